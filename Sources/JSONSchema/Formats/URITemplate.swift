// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// URI templates of any level (RFC 6570 section 2).

enum URITemplate {
    typealias Text = UnsafeBufferPointer<UInt8>

    // URI-Template = *( literals / expression )
    static func isValid(_ text: Text) -> Bool {
        var position = 0
        while position < text.count {
            let byte = text[position]
            if byte == UInt8(ascii: "{") {
                guard let close = text[position...].firstIndex(of: UInt8(ascii: "}")) else { return false }
                guard isExpression(text[(position + 1)..<close]) else { return false }
                position = close + 1
            } else if byte == UInt8(ascii: "%") {
                guard isEncoded(text[position...]) else { return false }
                position += 3
            } else if byte >= 0x80 {
                let point = CodePoints.next(text, &position)
                guard ResourceIdentifier.isUniversal(point) || ResourceIdentifier.isPrivate(point) else { return false }
            } else {
                // Section 2.1 leaves out controls, space, " ' % < > \ ^ ` { | }; errata 6937 lets the apostrophe in.
                guard byte > 0x20, byte != 0x7F, !byte.isOne(of: "\"<>\\^`{|}") else { return false }
                position += 1
            }
        }
        return true
    }

    private static func isEncoded(_ text: Slice<Text>) -> Bool {
        text.count >= 3 && text[text.startIndex + 1].hexadecimalValue != nil
            && text[text.startIndex + 2].hexadecimalValue != nil
    }

    // expression = "{" [ operator ] variable-list "}"; the operators "=,!@|" are reserved (section 2.2).
    private static func isExpression(_ text: Slice<Text>) -> Bool {
        var list = text
        if let first = list.first, first.isOne(of: "+#./;?&=,!@|") { list = list.dropFirst() }
        return list.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false).allSatisfy { isVariable($0) }
    }

    // varspec = varname [ modifier-level4 ]; prefix = ":" max-length, 1 to 9999; explode = "*"
    private static func isVariable(_ text: Slice<Text>) -> Bool {
        var name = text
        if name.last == UInt8(ascii: "*") {
            name = name.dropLast()
        } else if let colon = name.firstIndex(of: UInt8(ascii: ":")) {
            let length = name[(colon + 1)...]
            guard (1...4).contains(length.count), length.allSatisfy({ $0.isASCIIDigit }), length.first != UInt8(ascii: "0")
            else { return false }
            name = name[..<colon]
        }
        return name.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).allSatisfy { isNamePart($0) }
    }

    // varchar = ALPHA / DIGIT / "_" / pct-encoded
    private static func isNamePart(_ text: Slice<Text>) -> Bool {
        guard !text.isEmpty else { return false }
        var rest = text
        while let byte = rest.first {
            if byte == UInt8(ascii: "%") {
                guard isEncoded(rest) else { return false }
                rest = rest.dropFirst(3)
            } else {
                guard byte.isASCIILetterOrDigit || byte == UInt8(ascii: "_") else { return false }
                rest = rest.dropFirst()
            }
        }
        return true
    }
}
