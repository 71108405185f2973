// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Values such as `text/plain; charset=utf-8` (RFC 2045 section 5.1, RFC 2183 section 2) with the parameters of
// RFC 2231 put together. Takes what senders write: comments, folding, missing semicolons, unquoted file names.

/// A value with parameters, as of Content-Type and Content-Disposition.
public struct ParameterizedValue: Sendable, Hashable {
    /// One parameter.
    public struct Parameter: Sendable, Hashable {
        /// Lower case, without the asterisks of RFC 2231.
        public var name: String
        /// Without quotes; in any charset it was sent, as text.
        public var value: String
    }

    /// Lower case, without comments and blanks.
    public var value: String
    /// In the order they were sent. Of a name that was sent again only the first value is here.
    public var parameters: [Parameter]
    /// Names that were sent more than once with different values.
    public var contradictions: [String]

    /// A value that is known.
    public init(value: String, parameters: [Parameter] = []) {
        self.value = value
        self.parameters = parameters
        contradictions = []
    }

    /// Reads a field's value, folded or not.
    public init(_ text: String) {
        var text = text
        self = text.withUTF8 { ParameterizedValue($0, 0..<$0.count) }
    }

    init(_ bytes: Bytes, _ range: Range<Int>) {
        var scanner = ParameterScanner(bytes, range)
        value = scanner.mainValue()
        parameters = []
        contradictions = []
        var segments: [ParameterSegment] = []
        var left = Self.scanLimit
        while left > 0, let found = scanner.next() {
            left -= 1
            guard var segment = ParameterSegment(name: Array(bytes[found.name]), octets: found.value) else { continue }
            if segment.isPlain {
                add(segment.name, HeaderText.string(segment.octets))
            } else {
                segment.order = segments.count
                segments.append(segment)
            }
        }
        if !segments.isEmpty {
            for joined in ParameterSegment.join(segments) { replace(joined.name, joined.value) }
        }
    }

    /// The value of a parameter by its lower-case name.
    public subscript(name: String) -> String? {
        for parameter in parameters where parameter.name == name { return parameter.value }
        return nil
    }

    private mutating func add(_ name: String, _ value: String) {
        if let first = self[name] {
            if first != value, !contradictions.contains(name) { contradictions.append(name) }
        } else if parameters.count < Self.parameterLimit {
            parameters.append(Parameter(name: name, value: value))
        }
    }

    /// RFC 6266 section 4.3 says it for HTTP, and mail readers do the same: the extended form goes before the plain one.
    private mutating func replace(_ name: String, _ value: String) {
        if let index = parameters.firstIndex(where: { $0.name == name }) {
            parameters[index].value = value
        } else if parameters.count < Self.parameterLimit {
            parameters.append(Parameter(name: name, value: value))
        }
    }

    /// A field with more parameters than anyone sends would make looking them up slow.
    static let parameterLimit = 100
    /// Parameters and segments of parameters that are looked at.
    private static let scanLimit = 1000
}

/// Walks over a value with parameters. Every octet is looked at a bounded number of times.
struct ParameterScanner {
    private let bytes: Bytes
    private var index: Int
    private let end: Int

    init(_ bytes: Bytes, _ range: Range<Int>) {
        self.bytes = bytes
        index = range.lowerBound
        end = range.upperBound
    }

    /// What stands before the first parameter, in lower case.
    mutating func mainValue() -> String {
        var octets: [UInt8] = []
        while true {
            skipCommentsAndBlanks()
            guard index < end, bytes[index] != .semicolon else { break }
            // `attachment filename=x`: the semicolon is missing, and a parameter begins here.
            if !octets.isEmpty, octets.last != 0x2F, bytes[index] != 0x2F, startsParameter() { break }
            if bytes[index] == .quote {
                octets += quotedString(isFileName: false)
                continue
            }
            while index < end, bytes[index] != .semicolon, bytes[index] != .leftParenthesis, bytes[index] != .quote,
                !bytes[index].isBlankOrLineEnd
            {
                octets.append(bytes[index].lowercased)
                index += 1
            }
        }
        return HeaderText.string(octets[...]).lowercased()
    }

    /// The next parameter: name as it stands, value without quotes.
    mutating func next() -> (name: Range<Int>, value: [UInt8])? {
        while true {
            skipCommentsAndBlanks()
            while index < end, bytes[index] == .semicolon {
                index += 1
                skipCommentsAndBlanks()
            }
            guard index < end else { return nil }
            let nameStart = index
            while index < end, bytes[index] != .equals, bytes[index] != .semicolon, bytes[index] != .leftParenthesis,
                !bytes[index].isBlankOrLineEnd
            { index += 1 }
            let name = nameStart..<index
            skipCommentsAndBlanks()
            guard index < end, bytes[index] == .equals else {
                if index == nameStart { index += 1 }
                continue
            }
            index += 1
            let value = parameterValue(isFileName: isFileName(name))
            if !name.isEmpty { return (name, value) }
        }
    }

    private func isFileName(_ name: Range<Int>) -> Bool {
        switch name.count {
        case 4: bytes.hasWord("name", at: name.lowerBound, name.upperBound)
        case 8: bytes.hasWord("filename", at: name.lowerBound, name.upperBound)
        default: false
        }
    }

    private mutating func parameterValue(isFileName: Bool) -> [UInt8] {
        skipBlanks()
        // QUIRK: RFC 2045 section 5.1 wants quotes around a value with blanks or parentheses; file names come without.
        if !isFileName { skipCommentsAndBlanks() }
        guard index < end else { return [] }
        if bytes[index] == .quote {
            let value = quotedString(isFileName: isFileName)
            while index < end, bytes[index] != .semicolon, !bytes[index].isBlankOrLineEnd, bytes[index] != .leftParenthesis {
                index += 1
            }
            return value
        }
        let start = index
        if isFileName {
            while index < end, bytes[index] != .semicolon { index += 1 }
            return HeaderText.unfolded(bytes, bytes.trimmed(start..<index))
        }
        while index < end, bytes[index] != .semicolon, !bytes[index].isBlankOrLineEnd, bytes[index] != .leftParenthesis {
            index += 1
        }
        return Array(bytes[start..<index])
    }

    /// Whether the octets from here to a blank or semicolon are `name=`.
    private func startsParameter() -> Bool {
        var place = index
        while place < end, bytes[place].isToken { place += 1 }
        return place > index && place < end && bytes[place] == .equals
    }

    // RFC 5322 section 3.2.4. One that is not closed ends where the field does.
    // QUIRK: RFC 5322 section 3.2.1: a backslash quotes any octet. Windows software writes paths with single ones as
    // file names; in those it quotes the quote and itself only.
    private mutating func quotedString(isFileName: Bool) -> [UInt8] {
        index += 1
        var octets: [UInt8] = []
        while index < end, bytes[index] != .quote {
            if bytes[index] == .backslash, index + 1 < end,
                !isFileName || bytes[index + 1] == .quote || bytes[index + 1] == .backslash
            {
                index += 1
            }
            if bytes[index] != .carriageReturn, bytes[index] != .lineFeed { octets.append(bytes[index]) }
            index += 1
        }
        if index < end { index += 1 }
        return octets
    }

    private mutating func skipBlanks() {
        while index < end, bytes[index].isBlankOrLineEnd { index += 1 }
    }

    private mutating func skipCommentsAndBlanks() {
        skipBlanks()
        while index < end, bytes[index] == .leftParenthesis {
            index = HeaderText.behindComment(bytes, index, end)
            skipBlanks()
        }
    }
}
