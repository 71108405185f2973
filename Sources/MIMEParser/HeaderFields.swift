// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The fields of one header, found when they are asked for. Nothing is indexed or copied before.

/// The fields of a header, in the order they stand there.
public struct HeaderFields: Sendable, Sequence {
    /// One field.
    public struct Field: Sendable, Hashable {
        /// As it was sent.
        public var name: String
        /// Unfolded, without blanks at either end, encoded words as they are.
        public var rawValue: String
        /// The value with its encoded words decoded (RFC 2047).
        public var text: String { EncodedWords.decoded(Array(rawValue.utf8)) }
    }

    let bytes: [UInt8]
    let range: Range<Int>

    init(_ bytes: [UInt8], _ range: Range<Int>) {
        self.bytes = bytes
        self.range = range
    }

    /// The first value of a field by its name, in any case of letters: unfolded, not decoded.
    public func rawValue(_ name: String) -> String? {
        firstRange(name).map { value(in: $0) }
    }

    /// All values of a field by its name, in any case of letters: unfolded, not decoded.
    public func rawValues(_ name: String) -> [String] {
        ranges(name).map { value(in: $0) }
    }

    /// How many fields have this name, in any case of letters.
    public func count(_ name: String) -> Int {
        var count = 0
        eachRange(of: name) { _ in
            count += 1
            return true
        }
        return count
    }

    /// The first value of a field, unfolded and with its encoded words decoded (RFC 2047).
    public func text(_ name: String) -> String? {
        firstRange(name).map { range in EncodedWords.decoded(unfolded(range)) }
    }

    /// All fields; lines that are none are left out.
    public func makeIterator() -> AnyIterator<Field> {
        var position = range.lowerBound
        return AnyIterator {
            while let (field, next) = item(at: position) {
                position = next
                guard let field else { continue }
                return Field(name: string(in: field.name), rawValue: value(in: field.value))
            }
            return nil
        }
    }

    // MARK: ranges

    /// What stands at a place: a field, or nil for a line that is none. Nil at the end of the header.
    private func item(at position: Int) -> (field: FieldRange?, next: Int)? {
        bytes.withUnsafeBufferPointer { bytes in
            switch HeaderScanner.item(bytes, at: position, range.upperBound) {
            case .field(let field, let next): (field, next)
            case .junk(let next): (nil, next)
            case .end, .unterminated: nil
            }
        }
    }

    /// Calls back with the value of each field that has this name, until the answer is false.
    private func eachRange(of name: String, _ body: (Range<Int>) -> Bool) {
        var name = name
        name.withUTF8 { name in
            bytes.withUnsafeBufferPointer { bytes in
                var position = range.lowerBound
                while true {
                    switch HeaderScanner.item(bytes, at: position, range.upperBound) {
                    case .field(let field, let next):
                        position = next
                        if isEqual(bytes, field.name, name), !body(field.value) { return }
                    case .junk(let next): position = next
                    case .end, .unterminated: return
                    }
                }
            }
        }
    }

    /// Where all values of a field are.
    func ranges(_ name: String) -> [Range<Int>] {
        var ranges: [Range<Int>] = []
        eachRange(of: name) { value in
            ranges.append(value)
            return true
        }
        return ranges
    }

    func firstRange(_ name: String) -> Range<Int>? {
        var found: Range<Int>?
        eachRange(of: name) { value in
            found = value
            return false
        }
        return found
    }

    private func isEqual(_ bytes: Bytes, _ range: Range<Int>, _ name: Bytes) -> Bool {
        guard range.count == name.count else { return false }
        return name.indices.allSatisfy { bytes[range.lowerBound + $0].lowercased == name[$0].lowercased }
    }

    func unfolded(_ range: Range<Int>) -> [UInt8] {
        bytes.withUnsafeBufferPointer { HeaderText.unfolded($0, $0.trimmed(range)) }
    }

    private func value(in range: Range<Int>) -> String { HeaderText.string(unfolded(range)[...]) }

    private func string(in range: Range<Int>) -> String { HeaderText.string(bytes[range]) }
}
