// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The Retry-After header field (RFC 9110 section 10.2.3): seconds, or a date in one of three forms.

internal import HookModel

enum RetryAfter {
    /// How long the receiver asks us to wait from `now`; nil if the field says nothing that can be read.
    /// Never negative, at most a year: the caller applies its own bound.
    static func delay(_ value: String, now: Timestamp) -> Duration? {
        let text = value.drop { $0 == " " || $0 == "\t" }
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        if !digits.isEmpty, text[digits.endIndex...].allSatisfy({ $0 == " " || $0 == "\t" }) {
            // More digits than fit are still a very long time, not a mistake.
            return .seconds(min(Int64(digits) ?? longest, longest))
        }
        guard let date = HTTPDate.seconds(String(text), nowSeconds: now.seconds) else { return nil }
        return .seconds(min(max(date - now.seconds, 0), longest))
    }

    private static let longest: Int64 = 366 * 86_400
}

/// RFC 9110 section 5.6.7: HTTP-date = IMF-fixdate / obs-date; all three forms must be understood.
enum HTTPDate {
    private static let months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]

    /// Seconds since 1970, or nil. `nowSeconds` settles the century of two-digit years.
    static func seconds(_ text: String, nowSeconds: Int64) -> Int64? {
        let words = text.lowercased().split { $0 == " " || $0 == "," || $0 == "-" }
        // Sun, 06 Nov 1994 08:49:37 GMT | Sunday, 06-Nov-94 08:49:37 GMT | Sun Nov  6 08:49:37 1994
        guard words.count == 6 || words.count == 5 else { return nil }
        let isAsctime = words.count == 5
        let (dayWord, monthWord, timeWord, yearWord) =
            isAsctime ? (words[2], words[1], words[3], words[4]) : (words[1], words[2], words[4], words[3])
        if !isAsctime, words[5] != "gmt" { return nil }
        guard let day = number(dayWord, 1...31), let month = months.firstIndex(of: String(monthWord)),
            let time = secondOfDay(timeWord), var year = number(yearWord, 0...9999)
        else { return nil }
        if yearWord.utf8.count == 2 {
            // RFC 9110 section 5.6.7: a date more than 50 years ahead is the latest past one with the same digits.
            year += 2000
            if days(year: year, month: month + 1, day: day) * 86_400 > nowSeconds + 50 * 31_556_952 { year -= 100 }
        }
        guard yearWord.utf8.count == 2 || yearWord.utf8.count == 4 else { return nil }
        return days(year: year, month: month + 1, day: day) * 86_400 + time
    }

    private static func secondOfDay(_ word: Substring) -> Int64? {
        let fields = word.split(separator: ":", omittingEmptySubsequences: false)
        guard fields.count == 3, let hour = number(fields[0], 0...23), let minute = number(fields[1], 0...59),
            let second = number(fields[2], 0...60)
        else { return nil }
        return Int64(hour * 3600 + minute * 60 + second)
    }

    private static func number(_ word: Substring, _ range: ClosedRange<Int>) -> Int? {
        guard word.utf8.count <= 4, word.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let value = Int(word) else {
            return nil
        }
        return range.contains(value) ? value : nil
    }

    /// Days since 1970-01-01 of a Gregorian date. Years run from March, so that the leap day is their last.
    private static func days(year: Int, month: Int, day: Int) -> Int64 {
        let shiftedYear = month <= 2 ? year - 1 : year
        let shiftedMonth = month <= 2 ? month + 9 : month - 3
        let leapDays = floorDivide(shiftedYear, 4) - floorDivide(shiftedYear, 100) + floorDivide(shiftedYear, 400)
        return Int64(shiftedYear * 365 + leapDays + (153 * shiftedMonth + 2) / 5 + day - 1 - 719_468)
    }

    private static func floorDivide(_ value: Int, _ divisor: Int) -> Int {
        value >= 0 ? value / divisor : -((-value + divisor - 1) / divisor)
    }
}
