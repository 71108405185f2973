// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Dates of header fields (RFC 5322 section 3.3, with the obsolete forms of section 4.3). No clock, no calendar library.

/// A date and time with its distance from UTC, as a field says it.
public struct MailDate: Sendable, Hashable {
    /// Of the Gregorian calendar, all digits.
    public var year: Int
    /// 1 to 12.
    public var month: Int
    /// 1 to 31.
    public var day: Int
    /// 0 to 23.
    public var hour: Int
    /// 0 to 59.
    public var minute: Int
    /// Up to 60, for leap seconds.
    public var second: Int
    /// Minutes east of UTC. Zero also where the zone is `-0000` or not known (RFC 5322 section 4.3).
    public var offset: Int

    /// Seconds since 1970-01-01T00:00:00Z.
    public var secondsSince1970: Int {
        // Days of the proleptic Gregorian calendar, with years that begin in March so that leap days come last.
        let shifted = month <= 2 ? year - 1 : year
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return (era * 146_097 + dayOfEra - 719_468) * 86_400 + hour * 3600 + (minute - offset) * 60 + second
    }

    /// Reads a field's value. Nil where day, month, year and time cannot be found in it.
    public init?(_ text: String) {
        var tokens = Tokens(text).list[...]
        // asctime and the Date of old mailers: Thu Feb 13 23:32:54 1969
        if let first = tokens.first, Self.monthNumber(first) == nil, first.utf8.allSatisfy(\.isLetter) {
            tokens.removeFirst()
        }
        guard tokens.count >= 3 else { return nil }
        let isMonthFirst =
            Self.monthNumber(tokens[tokens.startIndex]) != nil
            && tokens[tokens.startIndex].utf8.first.map(\.isLetter) == true
        if isMonthFirst { tokens.swapAt(tokens.startIndex, tokens.startIndex + 1) }
        guard let day = Self.number(tokens.removeFirst()), let month = Self.monthNumber(tokens.removeFirst()) else {
            return nil
        }
        if isMonthFirst, tokens.count >= 2, !tokens[tokens.startIndex + 1].utf8.contains(.colon),
            tokens.first?.utf8.contains(.colon) == true
        {
            tokens.swapAt(tokens.startIndex, tokens.startIndex + 1)
        }
        guard let yearText = tokens.popFirst(), let year = Self.fullYear(yearText), let timeText = tokens.popFirst(),
            let time = Self.time(timeText)
        else { return nil }
        self.init(
            year: year, month: month, day: day, hour: time[0], minute: time[1], second: time[2],
            offset: tokens.first.map { Self.zone($0) } ?? 0)
        guard 1...31 ~= day, hour < 24, minute < 60, second <= 60 else { return nil }
    }

    /// A date that is known; nothing is checked.
    public init(year: Int, month: Int, day: Int, hour: Int, minute: Int, second: Int, offset: Int) {
        self.year = year
        self.month = month
        self.day = day
        self.hour = hour
        self.minute = minute
        self.second = second
        self.offset = offset
    }

    private static func number(_ text: Substring) -> Int? {
        text.utf8.count <= 4 && text.utf8.allSatisfy(\.isDigit) ? Int(text) : nil
    }

    private static let months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]

    /// By its name, or by its number as some senders write it.
    private static func monthNumber(_ text: Substring) -> Int? {
        if let index = months.firstIndex(of: text.prefix(3).lowercased()) { return index + 1 }
        return number(text).flatMap { 1...12 ~= $0 ? $0 : nil }
    }

    // RFC 5322 section 4.3: two digits below 50 are of this century, other two and all three digits count from 1900.
    private static func fullYear(_ text: Substring) -> Int? {
        guard let value = number(text) else { return nil }
        if text.utf8.count >= 4 { return value }
        return text.utf8.count <= 2 && value < 50 ? value + 2000 : value + 1900
    }

    private static func time(_ text: Substring) -> [Int]? {
        let parts = text.split(omittingEmptySubsequences: false) { $0 == ":" || $0 == "." }.map { number($0) }
        guard 2...3 ~= parts.count, let hour = parts[0], let minute = parts[1] else { return nil }
        guard parts.count == 3 else { return [hour, minute, 0] }
        return parts[2].map { [hour, minute, $0] }
    }

    private static let zones = ["edt": -4, "est": -5, "cdt": -5, "cst": -6, "mdt": -6, "mst": -7, "pdt": -7, "pst": -8]

    private static func zone(_ text: Substring) -> Int {
        let name = text.lowercased()
        // Also in the form of POSIX, EST5EDT.
        if let hours = zones[String(name.prefix(3))], name.utf8.dropFirst(3).first.map(\.isDigit) ?? true {
            return hours * 60
        }
        guard let sign = name.utf8.first, sign == 0x2B || sign == .hyphen, let digits = number(name.dropFirst()[...]),
            name.utf8.count == 5
        else { return 0 }
        let minutes = digits / 100 * 60 + digits % 100
        return sign == .hyphen ? -minutes : minutes
    }

    /// The words of a date. Comments, commas and blanks are between them.
    private struct Tokens {
        var list: [Substring] = []

        init(_ text: String) {
            var text = text
            text.makeContiguousUTF8()
            let utf8 = text.utf8
            var depth = 0
            var start: String.Index?
            var index = utf8.startIndex
            while index < utf8.endIndex, list.count < 8 {
                let octet = utf8[index]
                let isBetween = depth > 0 || octet.isBlankOrLineEnd || octet == 0x2C || octet == .leftParenthesis
                if octet == .leftParenthesis { depth += 1 }
                if octet == .rightParenthesis { depth = max(0, depth - 1) }
                if isBetween {
                    if let begin = start { list.append(text[begin..<index]) }
                    start = nil
                } else if start == nil {
                    start = index
                }
                index = utf8.index(after: index)
            }
            if let begin = start, list.count < 8 { list.append(text[begin..<index]) }
        }
    }
}

extension HeaderFields {
    /// The Date field; nil where it is absent or no date.
    public var date: MailDate? { rawValue("date").flatMap { MailDate($0) } }
}
