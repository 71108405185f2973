// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Dates, times, durations (RFC 3339), UUIDs and JSON pointers, read character by character.

struct FormatScanner {
    private let text: UnsafeBufferPointer<UInt8>
    private var position = 0

    init(_ text: UnsafeBufferPointer<UInt8>) {
        self.text = text
    }

    var isAtEnd: Bool { position == text.count }

    private var next: UInt8? { position < text.count ? text[position] : nil }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard next == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    /// Exactly `count` digits as a number.
    private mutating func digits(_ count: Int) -> Int? {
        guard position + count <= text.count else { return nil }
        var value = 0
        for _ in 0..<count {
            guard text[position].isASCIIDigit else { return nil }
            value = value * 10 + Int(text[position] - UInt8(ascii: "0"))
            position += 1
        }
        return value
    }

    /// One digit or more.
    private mutating func someDigits() -> Bool {
        let start = position
        while let digit = next, digit.isASCIIDigit { position += 1 }
        return position > start
    }

    // MARK: RFC 3339 section 5.6

    // date-time = full-date "T" full-time
    mutating func dateTime() -> Bool {
        guard date(), take("T") || take("t") else { return false }
        return time()
    }

    // full-date = date-fullyear "-" date-month "-" date-mday
    mutating func date() -> Bool {
        guard let year = digits(4), take("-"), let month = digits(2), take("-"), let day = digits(2) else { return false }
        guard (1...12).contains(month) else { return false }
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        let lengths = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        return day >= 1 && day <= lengths[month - 1]
    }

    // full-time = time-hour ":" time-minute ":" time-second [time-secfrac] ("Z" / time-numoffset)
    mutating func time() -> Bool {
        guard let hour = digits(2), take(":"), let minute = digits(2), take(":"), let second = digits(2) else { return false }
        guard hour < 24, minute < 60, second <= 60 else { return false }
        if take("."), !someDigits() { return false }
        var offset = 0
        if !take("Z"), !take("z") {
            let isNegative = next == UInt8(ascii: "-")
            guard take("+") || take("-"), let hours = digits(2), take(":"), let minutes = digits(2) else { return false }
            guard hours < 24, minutes < 60 else { return false }
            offset = (hours * 60 + minutes) * (isNegative ? -1 : 1)
        }
        // Section 5.7: a leap second is the last of a day in UTC. Whether there was one that day is not asked.
        let minuteOfDay = (hour * 60 + minute - offset + 2 * 1440) % 1440
        return second < 60 || minuteOfDay == 23 * 60 + 59
    }

    // Appendix A: duration = "P" (dur-date / dur-time / dur-week); of date and of time each unit is followed by the next
    // smaller one or none.
    mutating func duration() -> Bool {
        guard take("P") else { return false }
        let start = position
        guard let dates = units("YMD") else { return false }
        if dates == 0 {
            // Weeks stand alone.
            let weeks = position
            if someDigits() { return take("W") && position > weeks }
            position = start
        }
        guard take("T") else { return dates > 0 }
        guard let times = units("HMS") else { return false }
        return times > 0
    }

    /// Numbers with these units, each once, in order and without a gap. Returns how many; nil where one is out of place.
    private mutating func units(_ names: StaticString) -> Int? {
        var count = 0
        var last = -1
        while let digit = next, digit.isASCIIDigit {
            let start = position
            _ = someDigits()
            guard let unit = next else { return nil }
            guard let index = (0..<3).first(where: { names.utf8Start[$0] == unit }) else {
                position = start
                return count
            }
            guard count == 0 || index == last + 1 else { return nil }
            position += 1
            last = index
            count += 1
        }
        return count
    }

    // MARK: RFC 4122 section 3

    mutating func uuid() -> Bool {
        for (index, count) in [8, 4, 4, 4, 12].enumerated() {
            if index > 0, !take("-") { return false }
            for _ in 0..<count {
                guard let digit = next, digit.hexadecimalValue != nil else { return false }
                position += 1
            }
        }
        return true
    }

    // MARK: RFC 6901

    // Section 3: json-pointer = *( "/" reference-token ), with ~0 and ~1 as the only escapes.
    mutating func jsonPointer() -> Bool {
        guard isAtEnd || next == UInt8(ascii: "/") else { return false }
        while let character = next {
            position += 1
            guard character == UInt8(ascii: "~") else { continue }
            guard take("0") || take("1") else { return false }
        }
        return true
    }

    // draft-handrews-relative-json-pointer-01 section 3: a non-negative integer, then "#" or a JSON pointer. An index
    // manipulation in between came with later drafts.
    mutating func relativeJSONPointer() -> Bool {
        let start = position
        guard someDigits(), position == start + 1 || text[start] != UInt8(ascii: "0") else { return false }
        if take("#") { return isAtEnd }
        return jsonPointer()
    }
}
