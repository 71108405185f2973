// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// IRI references as octets: their parts, resolution against a base (RFC 3986 section 5.2) and the
// way back. Nothing is normalized; characters of IRIs beyond ASCII pass as they are.

/// The parts of a reference (RFC 3986 section 3 and appendix B), as ranges into its octets.
struct IRIReference {
    typealias Bytes = UnsafeBufferPointer<UInt8>

    let bytes: Bytes
    /// Without its colon; nil in a relative reference.
    var scheme: Range<Int>?
    /// Without the two slashes before it.
    var authority: Range<Int>?
    var path: Range<Int>
    /// Without the question mark.
    var query: Range<Int>?
    /// Without the number sign.
    var fragment: Range<Int>?

    init(_ bytes: Bytes) {
        self.bytes = bytes
        var position = 0
        if let colon = Self.schemeEnd(bytes) {
            scheme = 0..<colon
            position = colon + 1
        }
        func end(of stops: StaticString) -> Int {
            var index = position
            while index < bytes.count, !bytes[index].isOne(of: stops) { index += 1 }
            return index
        }
        if position + 1 < bytes.count, bytes[position] == UInt8(ascii: "/"), bytes[position + 1] == UInt8(ascii: "/") {
            position += 2
            let end = end(of: "/?#")
            authority = position..<end
            position = end
        }
        let pathEnd = end(of: "?#")
        path = position..<pathEnd
        position = pathEnd
        if position < bytes.count, bytes[position] == UInt8(ascii: "?") {
            position += 1
            let end = end(of: "#")
            query = position..<end
            position = end
        }
        if position < bytes.count { fragment = (position + 1)..<bytes.count }
    }

    // RFC 3986 section 3.1: scheme = ALPHA *( ALPHA / DIGIT / "+" / "-" / "." )
    /// Offset of the colon after a scheme.
    static func schemeEnd(_ bytes: Bytes) -> Int? {
        guard let first = bytes.first, first.isASCIILetter else { return nil }
        for (index, byte) in bytes.enumerated() {
            if byte == UInt8(ascii: ":") { return index }
            guard byte.isASCIILetter || byte.isASCIIDigit || byte.isOne(of: "+-.") else { return nil }
        }
        return nil
    }

    // MARK: resolution

    // RFC 3986 section 5.2.2.
    /// The reference, resolved against `base`.
    static func resolve(_ reference: Bytes, against base: Bytes) -> [UInt8] {
        let reference = IRIReference(reference)
        let base = IRIReference(base)
        var result: [UInt8] = []
        result.reserveCapacity(reference.bytes.count + base.bytes.count)
        if reference.scheme != nil {
            result.append(prefix: reference.part(reference.scheme), suffix: ":")
            result.append("//", reference.part(reference.authority))
            removeDotSegments(Array(reference.bytes[reference.path]), appendingTo: &result)
            result.append("?", reference.part(reference.query))
        } else {
            result.append(prefix: base.part(base.scheme), suffix: ":")
            if reference.authority != nil {
                result.append("//", reference.part(reference.authority))
                removeDotSegments(Array(reference.bytes[reference.path]), appendingTo: &result)
                result.append("?", reference.part(reference.query))
            } else {
                result.append("//", base.part(base.authority))
                if reference.path.isEmpty {
                    result.append(contentsOf: base.bytes[base.path])
                    result.append("?", reference.part(reference.query) ?? base.part(base.query))
                } else {
                    removeDotSegments(merge(reference, base), appendingTo: &result)
                    result.append("?", reference.part(reference.query))
                }
            }
        }
        result.append("#", reference.part(reference.fragment))
        return result
    }

    // RFC 3986 section 5.2.3.
    private static func merge(_ reference: IRIReference, _ base: IRIReference) -> [UInt8] {
        let path = reference.bytes[reference.path]
        if path.first == UInt8(ascii: "/") { return Array(path) }
        if base.authority != nil, base.path.isEmpty { return [UInt8(ascii: "/")] + path }
        let basePath = base.bytes[base.path]
        guard let slash = basePath.lastIndex(of: UInt8(ascii: "/")) else { return Array(path) }
        return Array(basePath[...slash]) + path
    }

    // RFC 3986 section 5.2.4, as one pass over the segments.
    private static func removeDotSegments(_ path: [UInt8], appendingTo result: inout [UInt8]) {
        let floor = result.count
        let isAbsolute = path.first == UInt8(ascii: "/")
        var position = 0
        while position < path.count {
            let hasSlash = path[position] == UInt8(ascii: "/")
            let start = hasSlash ? position + 1 : position
            var end = start
            while end < path.count, path[end] != UInt8(ascii: "/") { end += 1 }
            let segment = path[start..<end]
            let isLast = end == path.count
            if segment.elementsEqual(".".utf8) {
                if isLast, hasSlash { result.append(UInt8(ascii: "/")) }
            } else if segment.elementsEqual("..".utf8) {
                // Takes back the last segment and the slash before it.
                while result.count > floor, result.removeLast() != UInt8(ascii: "/") {}
                if isLast, hasSlash { result.append(UInt8(ascii: "/")) }
            } else {
                if hasSlash, result.count > floor || isAbsolute { result.append(UInt8(ascii: "/")) }
                result.append(contentsOf: segment)
            }
            position = end
        }
    }

    private func part(_ range: Range<Int>?) -> Slice<Bytes>? {
        range.map { bytes[$0] }
    }

    // MARK: the way back

    // JSON-LD API, section 6.2.2 step 10.
    /// A reference that resolves to `iri` against `base`; `iri` itself where there is none that is shorter in parts.
    static func relativize(_ iri: Bytes, against base: Bytes) -> [UInt8] {
        let target = IRIReference(iri)
        let base = IRIReference(base)
        func same(_ first: Range<Int>?, _ second: Range<Int>?) -> Bool {
            switch (target.part(first), base.part(second)) {
            case (nil, nil): true
            case (let first?, let second?): first.elementsEqual(second)
            default: false
            }
        }
        guard base.scheme != nil, same(target.scheme, base.scheme), same(target.authority, base.authority) else {
            return Array(iri)
        }
        var result = relativePath(target, base)
        let isSamePath = target.bytes[target.path].elementsEqual(base.bytes[base.path])
        if isSamePath, same(target.query, base.query), target.fragment != nil {
            result = []
        } else if isSamePath, target.query != nil {
            result = []
            result.append("?", target.part(target.query))
        } else {
            if result.isEmpty { result = Array("./".utf8) }
            result.append("?", target.part(target.query))
        }
        result.append("#", target.part(target.fragment))
        // A first segment with a colon would be read as a scheme, and one like a keyword as none at all.
        if let colon = result.firstIndex(of: UInt8(ascii: ":")),
            !result[..<colon].contains(where: { $0.isOne(of: "/?#") })
        {
            result.insert(contentsOf: "./".utf8, at: 0)
        } else if result.first == UInt8(ascii: "@") {
            result.insert(contentsOf: "./".utf8, at: 0)
        }
        return result
    }

    /// From the folder of the base's path to the target's path.
    private static func relativePath(_ target: IRIReference, _ base: IRIReference) -> [UInt8] {
        let slash = UInt8(ascii: "/")
        let targetSegments = target.bytes[target.path].split(separator: slash, omittingEmptySubsequences: false)
        let baseSegments = base.bytes[base.path].split(separator: slash, omittingEmptySubsequences: false)
        // The last segment of the base is no folder; the last of the target has to be named.
        var common = 0
        while common < baseSegments.count - 1, common < targetSegments.count - 1,
            targetSegments[common].elementsEqual(baseSegments[common])
        {
            common += 1
        }
        var result: [UInt8] = []
        for _ in common..<max(common, baseSegments.count - 1) { result.append(contentsOf: "../".utf8) }
        for (index, segment) in targetSegments[common...].enumerated() {
            if index > 0 { result.append(UInt8(ascii: "/")) }
            result.append(contentsOf: segment)
        }
        return result
    }
}

extension IRIReference {
    // RFC 3987 section 2.2: an IRI has a scheme, one fragment at most, and none of the characters that it can't hold.
    /// Whether the octets have the form of an IRI, so that it can stand in RDF.
    static func isWellFormed(_ bytes: Bytes) -> Bool {
        guard schemeEnd(bytes) != nil else { return false }
        var hasFragment = false
        for byte in bytes {
            if byte <= 0x20 || byte == 0x7F || byte.isOne(of: "<>\"{}|\\^`") { return false }
            if byte == UInt8(ascii: "#") {
                if hasFragment { return false }
                hasFragment = true
            }
        }
        return true
    }
}

extension [UInt8] {
    fileprivate mutating func append(_ prefix: StaticString, _ part: Slice<UnsafeBufferPointer<UInt8>>?) {
        guard let part else { return }
        prefix.withUTF8Buffer { append(contentsOf: $0) }
        append(contentsOf: part)
    }

    fileprivate mutating func append(prefix part: Slice<UnsafeBufferPointer<UInt8>>?, suffix: StaticString) {
        guard let part else { return }
        append(contentsOf: part)
        suffix.withUTF8Buffer { append(contentsOf: $0) }
    }
}

extension UInt8 {
    /// Whether it is one of the characters of `set`, which is ASCII.
    @inline(__always)
    func isOne(of set: StaticString) -> Bool {
        for index in 0..<set.utf8CodeUnitCount where set.utf8Start[index] == self { return true }
        return false
    }

    var isASCIILetter: Bool { (self | 0x20) &- UInt8(ascii: "a") < 26 }
    var isASCIIDigit: Bool { self &- UInt8(ascii: "0") < 10 }
}
