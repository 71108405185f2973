// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// URI references of `$id` and `$ref`, resolved (RFC 3986 section 5.2). Characters beyond ASCII
// pass as they are; nothing is normalized but dot segments.

/// A reference in its parts (RFC 3986 section 3 and appendix B).
struct URIReference {
    var scheme: Substring?
    var authority: Substring?
    var path: Substring
    var query: Substring?
    var fragment: Substring?

    init(_ text: String) {
        var rest = Substring(text)
        if let number = rest.firstIndex(of: "#") {
            fragment = rest[rest.index(after: number)...]
            rest = rest[..<number]
        }
        if let mark = rest.firstIndex(of: "?") {
            query = rest[rest.index(after: mark)...]
            rest = rest[..<mark]
        }
        // RFC 3986 section 3.1: a scheme begins with a letter; a colon in the path comes after a slash or a scheme.
        if let colon = rest.firstIndex(of: ":"), Self.isScheme(rest[..<colon]) {
            scheme = rest[..<colon]
            rest = rest[rest.index(after: colon)...]
        }
        if rest.hasPrefix("//") {
            rest = rest.dropFirst(2)
            let slash = rest.firstIndex(of: "/") ?? rest.endIndex
            authority = rest[..<slash]
            rest = rest[slash...]
        }
        path = rest
    }

    private static func isScheme(_ text: Substring) -> Bool {
        guard let first = text.utf8.first, first.isASCIILetter else { return false }
        return text.utf8.allSatisfy { $0.isASCIILetterOrDigit || $0.isOne(of: "+-.") }
    }

    /// Everything but the fragment.
    var withoutFragment: String {
        var result = ""
        if let scheme { result += scheme + ":" }
        if let authority { result += "//" + authority }
        result += path
        if let query { result += "?" + query }
        return result
    }

    // RFC 3986 section 5.2.2.
    func resolved(against base: URIReference) -> URIReference {
        var result = self
        guard scheme == nil else {
            result.path = Self.withoutDotSegments(path)
            return result
        }
        result.scheme = base.scheme
        guard authority == nil else {
            result.path = Self.withoutDotSegments(path)
            return result
        }
        result.authority = base.authority
        if path.isEmpty {
            result.path = base.path
            if query == nil { result.query = base.query }
        } else if path.hasPrefix("/") {
            result.path = Self.withoutDotSegments(path)
        } else {
            // Section 5.2.3.
            let folder: String
            if base.authority != nil, base.path.isEmpty {
                folder = "/"
            } else {
                folder = base.path.lastIndex(of: "/").map { String(base.path[...$0]) } ?? ""
            }
            result.path = Self.withoutDotSegments(Substring(folder + path))
        }
        return result
    }

    // RFC 3986 section 5.2.4.
    private static func withoutDotSegments(_ path: Substring) -> Substring {
        guard path.contains(".") else { return path }
        var result: [Substring] = []
        let segments = path.split(separator: "/", omittingEmptySubsequences: false)
        for (index, segment) in segments.enumerated() {
            let isLast = index == segments.count - 1
            switch segment {
            case ".": if isLast { result.append("") }
            case "..":
                // The empty segment before a leading slash stays.
                if result.count > (path.hasPrefix("/") ? 1 : 0) { result.removeLast() }
                if isLast { result.append("") }
            default: result.append(segment)
            }
        }
        return Substring(result.joined(separator: "/"))
    }

    // RFC 3986 section 2.1.
    /// The text with `%XX` replaced; nil where that leaves no UTF-8, or a percent sign stands alone.
    static func percentDecoded(_ text: Substring) -> String? {
        guard text.utf8.contains(UInt8(ascii: "%")) else { return String(text) }
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst()?.hexadecimalValue, let low = rest.popFirst()?.hexadecimalValue else { return nil }
            bytes.append(UInt8(high << 4 | low))
        }
        return String(validating: bytes, as: UTF8.self)
    }
}
