// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// RFC 2231: parameters in numbered segments, with a charset, percent-encoded.

struct ParameterSegment {
    /// Lower case, without number and asterisk.
    var name: String
    /// Zero for a name with an asterisk and no number.
    var number: Int
    /// `name*=` or `name*0*=`: percent-encoded, the first with a charset.
    var isExtended: Bool
    /// Neither a number nor an asterisk.
    var isPlain: Bool
    var octets: ArraySlice<UInt8>
    var order = 0

    /// The octets of a parameter's name are not kept; only what they mean.
    init?(name: [UInt8], octets: [UInt8]) {
        self.octets = octets[...]
        var parts = name.split(separator: 0x2A, omittingEmptySubsequences: false)
        let base = parts.removeFirst()
        guard !base.isEmpty else { return nil }
        self.name = HeaderText.string(base).lowercased()
        isPlain = parts.isEmpty
        isExtended = false
        number = 0
        if let last = parts.last, last.isEmpty {
            isExtended = true
            parts.removeLast()
        }
        if let digits = parts.first {
            guard parts.count == 1, !digits.isEmpty, digits.count < 6, digits.allSatisfy(\.isDigit) else { return nil }
            number = digits.reduce(0) { $0 * 10 + Int($1 & 0x0F) }
        }
    }

    /// Puts the segments of each name together, in the order of the names' first segments.
    static func join(_ segments: [ParameterSegment]) -> [ParameterizedValue.Parameter] {
        var byName: [String: [ParameterSegment]] = [:]
        var names: [String] = []
        for segment in segments {
            if byName[segment.name] == nil { names.append(segment.name) }
            byName[segment.name, default: []].append(segment)
        }
        return names.prefix(ParameterizedValue.parameterLimit).compactMap { name in
            value(of: byName[name] ?? []).map { ParameterizedValue.Parameter(name: name, value: $0) }
        }
    }

    // RFC 2231 section 3: numbers count up from zero; the first gap ends the value. Section 4.1: only segments marked
    // as extended are percent-encoded, and the charset stands in the first.
    private static func value(of segments: [ParameterSegment]) -> String? {
        let sorted = segments.sorted { ($0.number, $0.order) < ($1.number, $1.order) }
        // QUIRK: RFC 2231 section 3 begins at 0. Senders that begin at 1 are read as well.
        guard var expected = sorted.first?.number, expected <= 1 else { return nil }
        var charset: String?
        var octets: [UInt8] = []
        var isFirst = true
        for segment in sorted {
            if segment.number < expected { continue }  // the same number again
            guard segment.number == expected else { break }
            expected += 1
            var rest = segment.octets
            if segment.isExtended {
                if isFirst { charset = takeCharset(&rest) }
                appendPercentDecoded(rest, to: &octets)
            } else {
                octets += rest
            }
            isFirst = false
        }
        guard let charset, !charset.isEmpty else { return HeaderText.string(octets[...]) }
        return String(decoding: Charset.utf8(octets, label: charset), as: UTF8.self)
    }

    /// `charset'language'`, which is taken off. Where the quotes are missing nothing is.
    private static func takeCharset(_ rest: inout ArraySlice<UInt8>) -> String? {
        guard let first = rest.firstIndex(of: 0x27), let second = rest[(first + 1)...].firstIndex(of: 0x27) else {
            return nil
        }
        let charset = String(decoding: rest[..<first], as: UTF8.self)
        rest = rest[(second + 1)...]
        return charset
    }

    private static func appendPercentDecoded(_ text: ArraySlice<UInt8>, to octets: inout [UInt8]) {
        var index = text.startIndex
        while index < text.endIndex {
            if text[index] == 0x25, index + 2 < text.endIndex, let high = text[index + 1].hexadecimalValue,
                let low = text[index + 2].hexadecimalValue
            {
                octets.append(high << 4 | low)
                index += 3
            } else {
                octets.append(text[index])
                index += 1
            }
        }
    }
}
