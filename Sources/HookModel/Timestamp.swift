// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A moment in time as a value. Nothing here reads a clock: callers pass the time in.

/// A moment, in microseconds since 1970-01-01T00:00:00Z (no leap seconds, as POSIX counts).
public struct Timestamp: Sendable, Hashable, Comparable {
    public var microseconds: Int64

    public init(microseconds: Int64) { self.microseconds = microseconds }
    public init(seconds: Int64) { self.microseconds = seconds * 1_000_000 }

    public static func < (a: Timestamp, b: Timestamp) -> Bool { a.microseconds < b.microseconds }

    /// Whole seconds since the epoch, rounded down.
    public var seconds: Int64 { Self.floorDivide(microseconds, 1_000_000).quotient }

    /// `duration` is rounded towards zero to whole microseconds.
    public func advanced(by duration: Duration) -> Timestamp {
        let (seconds, attoseconds) = duration.components
        return Timestamp(microseconds: microseconds + seconds * 1_000_000 + attoseconds / 1_000_000_000_000)
    }

    public func duration(since earlier: Timestamp) -> Duration {
        .microseconds(microseconds - earlier.microseconds)
    }

    /// RFC 3339 section 5.6 in UTC with microseconds, for example `2026-11-24T09:30:00.000125Z`.
    public var rfc3339: String { text(hasFraction: true) }

    /// The same without the fraction, for example `2026-11-24T09:30:00Z`.
    public var rfc3339WholeSeconds: String { text(hasFraction: false) }

    /// Every event and every line of the log has one, so that it is written digit by digit into the string's own memory.
    private func text(hasFraction: Bool) -> String {
        let (seconds, fraction) = Self.floorDivide(microseconds, 1_000_000)
        let (days, secondOfDay) = Self.floorDivide(seconds, 86_400)
        let (year, month, day) = Self.civil(fromDays: days)
        return String(unsafeUninitializedCapacity: Self.longestText) { buffer in
            var length = 0
            func put(_ character: Unicode.Scalar) {
                buffer[length] = UInt8(ascii: character)
                length += 1
            }
            func put(_ value: Int64, _ width: Int) {
                for place in (0..<width).reversed() {
                    put(Unicode.Scalar(UInt8(truncatingIfNeeded: 48 + value / Self.powersOfTen[place] % 10)))
                }
            }
            if year < 0 { put("-") }
            put(abs(year), abs(year) < 10_000 ? 4 : abs(year) < 100_000 ? 5 : 6)
            put("-")
            put(month, 2)
            put("-")
            put(day, 2)
            put("T")
            put(secondOfDay / 3600, 2)
            put(":")
            put(secondOfDay / 60 % 60, 2)
            put(":")
            put(secondOfDay % 60, 2)
            if hasFraction {
                put(".")
                put(fraction, 6)
            }
            put("Z")
            return length
        }
    }

    /// Years have up to six digits: 64 bits of microseconds reach from -290,308 to 294,247.
    private static let longestText = 32
    private static let powersOfTen: InlineArray<6, Int64> = [1, 10, 100, 1_000, 10_000, 100_000]

    /// Reads RFC 3339 section 5.6 with a `Z` or numeric offset, for example `2026-12-31T00:00:00Z`; nil for anything
    /// else. A leap second counts as the second after it; digits beyond microseconds are dropped.
    public init?(rfc3339 text: String) {
        let bytes = Array(text.utf8)
        func number(_ range: Range<Int>) -> Int64? {
            guard range.upperBound <= bytes.count, bytes[range].allSatisfy({ (48...57).contains($0) }) else { return nil }
            return bytes[range].reduce(0) { $0 * 10 + Int64($1 - 48) }
        }
        func stands(_ characters: String, at index: Int) -> Bool {
            index < bytes.count && characters.utf8.contains(bytes[index])
        }
        guard let year = number(0..<4), stands("-", at: 4), let month = number(5..<7), stands("-", at: 7),
            let day = number(8..<10), stands("Tt", at: 10), let hour = number(11..<13), stands(":", at: 13),
            let minute = number(14..<16), stands(":", at: 16), let second = number(17..<19),
            (1...12).contains(month), hour < 24, minute < 60, second <= 60
        else { return nil }
        let date = Self.days(year: year, month: month, day: day)
        guard Self.civil(fromDays: date) == (year, month, day) else { return nil }
        var index = 19
        var fraction: Int64 = 0
        if stands(".", at: index) {
            let digits = bytes[(index + 1)...].prefix { (48...57).contains($0) }
            guard !digits.isEmpty else { return nil }
            let six = Array(digits.prefix(6)) + Array(repeating: UInt8(48), count: max(0, 6 - digits.count))
            fraction = six.reduce(0) { $0 * 10 + Int64($1 - 48) }
            index = digits.endIndex
        }
        var offset: Int64 = 0
        if stands("+-", at: index) {
            guard let hours = number(index + 1..<index + 3), stands(":", at: index + 3),
                let minutes = number(index + 4..<index + 6), hours < 24, minutes < 60
            else { return nil }
            offset = (hours * 60 + minutes) * (bytes[index] == UInt8(ascii: "-") ? -60 : 60)
            index += 6
        } else {
            guard stands("Zz", at: index) else { return nil }
            index += 1
        }
        guard index == bytes.count else { return nil }
        let seconds = date * 86_400 + hour * 3600 + minute * 60 + second - offset
        self.init(microseconds: seconds * 1_000_000 + fraction)
    }

    /// Day number (0 = 1970-01-01) of a proleptic Gregorian date; the reverse of `civil(fromDays:)`.
    private static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
        let shiftedYear = month <= 2 ? year - 1 : year
        let (era, yearOfEra) = floorDivide(shiftedYear, 400)
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    private static func floorDivide(_ value: Int64, _ divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }

    /// Proleptic Gregorian date of a day number (0 = 1970-01-01), counted in 400-year eras that begin on 1 March.
    private static func civil(fromDays days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let (era, dayOfEra) = floorDivide(days + 719_468, 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return (year, month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
    }
}
