// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Writes JSON into one buffer. Values that came as JSON are spliced in as they were sent, so
// that nothing they say is lost or said differently.

/// An append-only writer. The caller keeps the order: a name before each value of an object.
public struct JSONWriter: Sendable {
    public private(set) var bytes: [UInt8]
    /// Whether a comma is due before the next name or element.
    private var needsComma = false

    public init(capacity: Int = 256) {
        bytes = []
        bytes.reserveCapacity(capacity)
    }

    public mutating func beginObject() { begin("{") }
    public mutating func endObject() { end("}") }
    public mutating func beginArray() { begin("[") }
    public mutating func endArray() { end("]") }

    /// The name of the member whose value is written next.
    public mutating func name(_ name: String) {
        separate()
        JSONEscapes.appendQuoted(name, to: &bytes)
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
    }

    public mutating func string(_ value: String) {
        separate()
        JSONEscapes.appendQuoted(value, to: &bytes)
    }

    public mutating func integer(_ value: Int) { raw(String(value).utf8) }
    public mutating func boolean(_ value: Bool) { raw((value ? "true" : "false").utf8) }
    public mutating func null() { raw("null".utf8) }

    /// A value that is JSON already.
    public mutating func raw(_ json: some Collection<UInt8>) {
        separate()
        bytes.append(contentsOf: json)
    }

    /// A value that is JSON already, on one line (`JSONDocument.onOneLine`).
    public mutating func rawOnOneLine(_ json: ArraySlice<UInt8>) {
        separate()
        let start = bytes.count
        bytes.append(contentsOf: json)
        bytes.withUnsafeMutableBytes { JSONDocument.joinLines(UnsafeMutableRawBufferPointer(rebasing: $0[start...])) }
    }

    /// `name` and a string, if there is one.
    public mutating func member(_ name: String, _ value: String?) {
        guard let value else { return }
        self.name(name)
        string(value)
    }

    private mutating func begin(_ bracket: Unicode.Scalar) {
        separate()
        bytes.append(UInt8(ascii: bracket))
        needsComma = false
    }

    private mutating func end(_ bracket: Unicode.Scalar) {
        bytes.append(UInt8(ascii: bracket))
        needsComma = true
    }

    private mutating func separate() {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
        needsComma = true
    }
}
