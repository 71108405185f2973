// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// JSON Canonicalization Scheme (RFC 8785): one spelling for every value, so that equal values
// have equal bytes. Numbers become doubles here, which is the scheme's rule, not ours.

/// The canonical form of JSON values.
public enum JCS {
    /// The canonical form of `value`.
    ///
    /// - Throws: `numberOutOfRange` for a number beyond the range of doubles, `loneSurrogate` for a string that has no
    ///   UTF-8 form (RFC 8785 sections 3.2.2.2 and 3.2.2.3), `duplicateName` for an object that says a name twice
    ///   (section 3.1 asks for I-JSON).
    public static func canonicalize(_ value: JSONValue) throws(JSONError) -> [UInt8] {
        var writer = CanonicalWriter()
        try writer.write(value)
        return writer.bytes
    }

    /// A finite double as ECMAScript writes it (RFC 8785 section 3.2.2.3): the fewest digits that read back the same.
    /// Nil where it is not finite.
    public static func number(_ value: Double) -> String? {
        guard value.isFinite else { return nil }
        guard value != 0 else { return "0" }  // -0 too
        let (digits, point) = shortestDigits(value.magnitude)
        let sign = value < 0 ? "-" : ""
        return sign + layOut(digits, point: point)
    }

    /// Whether `left` stands before `right` when names are sorted by UTF-16 code units (RFC 8785 section 3.2.3).
    public static func precedes(_ left: String, _ right: String) -> Bool {
        left.utf16.lexicographicallyPrecedes(right.utf16)
    }

    /// A string in quotation marks with the escapes of RFC 8785 section 3.2.2.2.
    public static func appendString(_ value: String, to bytes: inout [UInt8]) {
        JSONEscapes.appendQuoted(value, to: &bytes)
    }

    /// The significant digits, and how many of them stand before the decimal point (0 or less: zeros follow it).
    private static func shortestDigits(_ magnitude: Double) -> (digits: [UInt8], point: Int) {
        // `description` is the shortest that reads back, nearest to the value; only its layout differs.
        let parts = magnitude.description.split(separator: "e")
        let exponent = parts.count > 1 ? Int(parts[1]) ?? 0 : 0
        let mantissa = parts[0].utf8
        var digits = mantissa.filter { $0 != UInt8(ascii: ".") }
        let whole = mantissa.prefix { $0 != UInt8(ascii: ".") }.count
        var position = whole + exponent
        let leading = digits.prefix { $0 == UInt8(ascii: "0") }.count
        digits.removeFirst(leading)
        position -= leading
        while digits.last == UInt8(ascii: "0") { digits.removeLast() }
        return (digits, position)
    }

    // ECMA-262 Number::toString steps 6 to 12; k = digits.count, n = point.
    private static func layOut(_ digits: [UInt8], point: Int) -> String {
        let all = String(decoding: digits, as: UTF8.self)
        let zero = { (count: Int) in String(repeating: "0", count: count) }
        switch point {
        case digits.count...21:
            return all + zero(point - digits.count)
        case 1...21:
            return all.prefix(point) + "." + all.dropFirst(point)
        case -5...0:
            return "0." + zero(-point) + all
        default:
            let exponent = point - 1
            let mantissa = digits.count == 1 ? all : all.prefix(1) + "." + all.dropFirst()
            return mantissa + (exponent < 0 ? "e-" : "e+") + String(exponent.magnitude)
        }
    }
}

/// Writes values in canonical form, with its own stack for what is open.
private struct CanonicalWriter {
    private(set) var bytes: [UInt8] = []
    private var open: [Frame] = []

    /// An array or object being written, and what of it is still to come, last first.
    private struct Frame {
        var isObject: Bool
        var pending: [(name: String, value: JSONValue)]
        var isFirst = true
    }

    mutating func write(_ root: JSONValue) throws(JSONError) {
        try begin(root)
        while var frame = open.popLast() {
            guard let next = frame.pending.popLast() else {
                bytes.append(frame.isObject ? UInt8(ascii: "}") : UInt8(ascii: "]"))
                continue
            }
            if !frame.isFirst { bytes.append(UInt8(ascii: ",")) }
            frame.isFirst = false
            if frame.isObject {
                JSONEscapes.appendQuoted(next.name, to: &bytes)
                bytes.append(UInt8(ascii: ":"))
            }
            open.append(frame)
            try begin(next.value)
        }
    }

    /// Writes a scalar, or opens a frame.
    private mutating func begin(_ value: JSONValue) throws(JSONError) {
        switch value.kind {
        case .object:
            bytes.append(UInt8(ascii: "{"))
            open.append(Frame(isObject: true, pending: try sortedMembers(value).reversed()))
        case .array:
            bytes.append(UInt8(ascii: "["))
            open.append(Frame(isObject: false, pending: value.elements.reversed().map { ("", $0) }))
        case .string:
            JSONEscapes.appendQuoted(try string(value), to: &bytes)
        case .number:
            guard let number = JCS.number(value.doubleValue ?? .nan) else {
                throw JSONError(.numberOutOfRange, at: value.range.lowerBound)
            }
            bytes.append(contentsOf: number.utf8)
        case .true, .false, .null:
            bytes.append(contentsOf: value.text)
        }
    }

    private func string(_ value: JSONValue) throws(JSONError) -> String {
        if value.hasLoneSurrogate { throw JSONError(.loneSurrogate, at: value.range.lowerBound) }
        return value.string ?? ""
    }

    private func sortedMembers(_ object: JSONValue) throws(JSONError) -> [(name: String, value: JSONValue)] {
        var members: [(name: String, value: JSONValue, nameRange: Range<Int>)] = []
        for member in object.memberCursors {
            members.append((try string(member.name), member.value, member.name.range))
        }
        members.sort { JCS.precedes($0.name, $1.name) }
        for index in members.indices.dropFirst() where Array(members[index].name.utf8) == Array(members[index - 1].name.utf8) {
            let later = max(members[index].nameRange.lowerBound, members[index - 1].nameRange.lowerBound)
            throw JSONError(.duplicateName, at: later)
        }
        return members.map { ($0.name, $0.value) }
    }
}
