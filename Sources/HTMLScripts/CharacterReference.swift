// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Character references as attribute values resolve them (HTML Standard 13.2.5.72 to 13.2.5.80) and as text does; the
// two differ in one rule. The names are in CharacterReference+Names.swift.

/// Turns a piece of the input into text: references resolved, CRLF and CR become LF, NUL becomes U+FFFD.
struct TextResolver {
    enum Context {
        case attribute, text
        /// No references: script data, RAWTEXT, CDATA sections.
        case literal
    }

    let input: Input
    let context: Context

    /// The UTF-8 of `range`; nothing outside of it is looked at.
    func append(_ range: Range<Int>, to output: inout [UInt8]) {
        var index = range.lowerBound
        while index < range.upperBound {
            let byte = input[index]
            switch byte {
            case 0x26 where context != .literal:
                index = appendReference(index, range.upperBound, to: &output)
            case 0x0D:
                output.append(0x0A)
                index += index + 1 < range.upperBound && input[index + 1] == 0x0A ? 2 : 1
            case 0x00:
                Self.append(0xFFFD, to: &output)
                index += 1
            default:
                output.append(byte)
                index += 1
            }
        }
    }

    /// 13.2.5.72. `start` is the place of `&`; the answer is where to go on. What is no reference is appended as it
    /// stands.
    func appendReference(_ start: Int, _ end: Int, to output: inout [UInt8]) -> Int {
        let next = start + 1
        if next < end, input[next] == 0x23 { return appendNumeric(start, end, to: &output) }
        guard next < end, input[next].isLetter, let match = NamedReferences.shared.longest(input, next, end) else {
            output.append(0x26)
            return next
        }
        // 13.2.5.73: "for historical reasons", in an attribute a name without semicolon before `=` or a letter or digit
        // is text.
        if context == .attribute, !match.hasSemicolon, match.end < end,
            input[match.end] == 0x3D || input[match.end].isAlphanumeric
        {
            output.append(0x26)
            return next
        }
        Self.append(match.first, to: &output)
        if match.second != 0 { Self.append(match.second, to: &output) }
        return match.end
    }

    /// 13.2.5.75 to 13.2.5.80: `&#123;`, `&#x7B;`, the semicolon optional.
    private func appendNumeric(_ start: Int, _ end: Int, to output: inout [UInt8]) -> Int {
        var index = start + 2
        let isHexadecimal = index < end && input[index] | 0x20 == 0x78
        if isHexadecimal { index += 1 }
        let digits = index
        var code: UInt32 = 0
        while index < end, let value = isHexadecimal ? input[index].hexadecimalValue : decimalValue(input[index]) {
            // Past the last code point the value no longer matters; kept small, it cannot overflow.
            code = min(code * (isHexadecimal ? 16 : 10) + value, 0x11_0000)
            index += 1
        }
        guard index > digits else {
            output.append(contentsOf: [0x26, 0x23])
            return start + 2
        }
        Self.append(Self.replacement(code), to: &output)
        return index < end && input[index] == 0x3B ? index + 1 : index
    }

    private func decimalValue(_ byte: UInt8) -> UInt32? {
        byte.isDigit ? UInt32(byte - 0x30) : nil
    }

    /// 13.2.5.80: NUL, surrogates and what is no code point become U+FFFD; 80 to 9F are read as Windows-1252.
    private static func replacement(_ code: UInt32) -> UInt32 {
        if code >= 0x80, code < 0xA0 { return windows1252[Int(code - 0x80)] }
        return code == 0 || code > 0x10_FFFF || (0xD800..<0xE000).contains(code) ? 0xFFFD : code
    }

    private static let windows1252: [UInt32] = [
        0x20AC, 0x81, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8D,
        0x017D, 0x8F,
        0x90, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D,
        0x017E, 0x0178,
    ]

    static func append(_ code: UInt32, to output: inout [UInt8]) {
        // Callers give scalar values only; U+FFFD stands for anything else.
        let scalar = Unicode.Scalar(code) ?? "\u{FFFD}"
        output.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
    }
}

/// The named character references, sorted by the bytes of their names.
struct NamedReferences: Sendable {
    struct Match {
        var end: Int
        var hasSemicolon: Bool
        var first: UInt32
        /// 0 where the reference is one code point.
        var second: UInt32
    }

    static let shared = NamedReferences()

    private var names: [UInt8] = []
    private var starts: [Int32] = [0]
    private var codes: [(first: UInt32, second: UInt32)] = []

    /// Reads the generated text once: `NAME=CODE` or `NAME=CODE+CODE`, white space between.
    private init() {
        names.reserveCapacity(NamedReferenceSource.text.utf8CodeUnitCount)
        starts.reserveCapacity(NamedReferenceSource.count + 1)
        codes.reserveCapacity(NamedReferenceSource.count)
        let source = UnsafeBufferPointer(
            start: NamedReferenceSource.text.utf8Start, count: NamedReferenceSource.text.utf8CodeUnitCount)
        for entry in source.split(whereSeparator: { $0 <= 0x20 }) {
            guard let equals = entry.firstIndex(of: 0x3D) else { continue }
            var code: (first: UInt32, second: UInt32) = (0, 0)
            for byte in entry[(equals + 1)...] {
                if let digit = byte.hexadecimalValue {
                    code.second = code.second * 16 + digit
                } else {
                    code = (code.second, 0)
                }
            }
            codes.append(code.first == 0 ? (code.second, 0) : code)
            names.append(contentsOf: entry[..<equals])
            starts.append(Int32(names.count))
        }
    }

    var count: Int { codes.count }

    /// The longest name that stands at `start`. The range of names that agree so far is narrowed byte by byte, so the
    /// work is bounded by the longest name (33 bytes).
    func longest(_ input: Input, _ start: Int, _ end: Int) -> Match? {
        var low = 0
        var high = codes.count
        var index = start
        var match: Match?
        while index < end {
            let byte = input[index]
            let depth = index - start
            low = partition(low, high, depth) { $0 < byte }
            high = partition(low, high, depth) { $0 <= byte }
            guard low < high else { break }
            index += 1
            // The shortest of the names that agree comes first.
            if Int(starts[low + 1] - starts[low]) == depth + 1 {
                match = Match(
                    end: index, hasSemicolon: byte == 0x3B, first: codes[low].first, second: codes[low].second)
            }
        }
        return match
    }

    /// The first of `low..<high` whose byte at `depth` is not in the lower part. Names too short sort first.
    private func partition(_ low: Int, _ high: Int, _ depth: Int, _ isLower: (UInt8) -> Bool) -> Int {
        var low = low
        var high = high
        while low < high {
            let middle = (low + high) / 2
            let place = Int(starts[middle]) + depth
            if place >= starts[middle + 1] || isLower(names[place]) {
                low = middle + 1
            } else {
                high = middle
            }
        }
        return low
    }
}
