// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Where the fields of a header are (RFC 5322 section 2.2, with the obsolete forms of section 4.5).

/// One field: its name and what follows the colon, folded as it was sent, without the line end.
struct FieldRange {
    var name: Range<Int>
    var value: Range<Int>
}

/// What stands at a place in a header.
enum HeaderItem {
    case field(FieldRange, next: Int)
    /// A line that is no field although the header goes on behind it.
    case junk(next: Int)
    /// The empty line; the body begins at `next`.
    case end(next: Int)
    /// The body begins here without an empty line, or the bytes are at their end.
    case unterminated(at: Int)
}

enum HeaderScanner {
    /// The item at the beginning of a line.
    @inline(__always)
    static func item(_ bytes: Bytes, at start: Int, _ end: Int) -> HeaderItem {
        guard start < end else { return .unterminated(at: start) }
        let first = bytes[start]
        if first == .lineFeed { return .end(next: start + 1) }
        if first == .carriageReturn {
            guard start + 1 < end else { return .end(next: end) }
            if bytes[start + 1] == .lineFeed { return .end(next: start + 2) }
        }
        guard let name = fieldName(bytes, start, end) else { return withoutName(bytes, start, end) }
        let colon = bytes.firstIndex(of: .colon, in: name.upperBound..<end)
        return field(bytes, name, behindColon: colon + 1, end)
    }

    // RFC 5322 section 4.5: blanks between the name and its colon are an obsolete form.
    @inline(__always)
    static func fieldName(_ bytes: Bytes, _ start: Int, _ end: Int) -> Range<Int>? {
        var index = start
        while index < end, bytes[index].isFieldName { index += 1 }
        let nameEnd = index
        while index < end, bytes[index].isBlank { index += 1 }
        guard nameEnd > start, index < end, bytes[index] == .colon else { return nil }
        return start..<nameEnd
    }

    @inline(__always)
    private static func field(_ bytes: Bytes, _ name: Range<Int>, behindColon: Int, _ end: Int) -> HeaderItem {
        var next = bytes.nextLine(behindColon, end)
        while next < end, bytes[next].isBlank {
            let following = bytes.nextLine(next, end)
            // A line of blanks alone ends the header for senders that pad the empty line; RFC 5322 section 4.2
            // (obs-FWS) lets it go on. It goes on if a field or a folded line follows.
            if isBlankLine(bytes, next..<following), !continuesHeader(bytes, following, end) { break }
            next = following
        }
        return .field(FieldRange(name: name, value: behindColon..<withoutLineEnd(bytes, behindColon, next)), next: next)
    }

    private static func isBlankLine(_ bytes: Bytes, _ range: Range<Int>) -> Bool {
        range.allSatisfy { bytes[$0].isBlankOrLineEnd }
    }

    private static func continuesHeader(_ bytes: Bytes, _ start: Int, _ end: Int) -> Bool {
        guard start < end else { return false }
        return bytes[start].isBlank || fieldName(bytes, start, end) != nil
    }

    static func withoutLineEnd(_ bytes: Bytes, _ start: Int, _ next: Int) -> Int {
        var end = next
        if end > start, bytes[end - 1] == .lineFeed {
            end -= 1
            if end > start, bytes[end - 1] == .carriageReturn { end -= 1 }
        }
        return end
    }

    /// A line that is neither empty nor a field. It is junk where a field follows it, as with `From ` lines of
    /// mailboxes, and else the first line of a body whose empty line is missing.
    private static func withoutName(_ bytes: Bytes, _ start: Int, _ end: Int) -> HeaderItem {
        let next = bytes.nextLine(start, end)
        if isBlankLine(bytes, start..<next) {
            return continuesHeader(bytes, next, end) ? .junk(next: next) : .end(next: next)
        }
        guard next < end, fieldName(bytes, next, end) != nil else { return .unterminated(at: start) }
        return .junk(next: next)
    }
}
