// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Numbers between JSON and XML Schema (JSON-LD API, section 8.6).

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

enum NumberForms {
    /// The canonical form of a JSON number in RDF, and whether that is a double and not an integer.
    /// - Parameter asDouble: Whether the datatype is `xsd:double` in any case.
    static func canonical(_ text: UnsafeBufferPointer<UInt8>, asDouble: Bool) -> (form: String, isDouble: Bool) {
        let isPlain = text.allSatisfy { $0.isASCIIDigit || $0 == UInt8(ascii: "-") }
        let digits = text.drop { $0 == UInt8(ascii: "-") }.count
        if isPlain, !asDouble, digits <= 21 {
            // Fewer than 10^21 is an integer, with all its digits.
            let form = String(decoding: text, as: UTF8.self)
            return (form == "-0" ? "0" : form, false)
        }
        let value = JSONNumber.doubleValue(text)
        let isWhole = value.rounded(.towardZero) == value && value.magnitude < 1e21
        guard isWhole, !asDouble else { return (double(value), true) }
        return (Int128(exactly: value)?.description ?? double(value), false)
    }

    // The mantissa is rounded to 15 digits after the point; zeros at its end go, but for one.
    /// The canonical form of `xsd:double`.
    static func double(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-INF" : "INF" }
        if value == 0 { return value.sign == .minus ? "-0.0E0" : "0.0E0" }
        var buffer = [CChar](repeating: 0, count: 40)
        let length = withVaList([value]) { vsnprintf(&buffer, buffer.count, "%.15E", $0) }
        // "-1.234500000000000E+03": sign, digit, point, fifteen digits, E, sign and digits of the exponent.
        let written = buffer.prefix(Int(max(0, length))).map { UInt8(bitPattern: $0) }
        guard let mark = written.firstIndex(of: UInt8(ascii: "E")) else {
            return String(decoding: written, as: UTF8.self)
        }
        var mantissa = written[..<mark]
        while mantissa.last == UInt8(ascii: "0"), mantissa.dropLast().last != UInt8(ascii: ".") { mantissa.removeLast() }
        let exponent = Int(String(decoding: written[(mark + 1)...], as: UTF8.self)) ?? 0
        return "\(String(decoding: mantissa, as: UTF8.self))E\(exponent)"
    }

    // XML Schema 1.1 part 2, sections 3.3.5 and 3.4.13.
    /// The JSON number of a literal, if its lexical form is one of its datatype.
    static func json(integer text: UnsafeBufferPointer<UInt8>) -> String? {
        var digits = text[...]
        let isNegative = digits.first == UInt8(ascii: "-")
        if isNegative || digits.first == UInt8(ascii: "+") { digits = digits.dropFirst() }
        guard !digits.isEmpty, digits.allSatisfy(\.isASCIIDigit) else { return nil }
        let significant = digits.drop { $0 == UInt8(ascii: "0") }
        if significant.isEmpty { return "0" }
        return (isNegative ? "-" : "") + String(decoding: significant, as: UTF8.self)
    }

    static func json(double text: UnsafeBufferPointer<UInt8>) -> String? {
        let isForm = text.allSatisfy { $0.isASCIIDigit || $0.isOne(of: "+-.eE") }
        guard isForm, let value = Double(String(decoding: text, as: UTF8.self)) else { return nil }
        return JCS.number(value)
    }
}
