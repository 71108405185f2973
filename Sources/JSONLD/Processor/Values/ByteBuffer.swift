// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Octets of a result while it is written: room is made once for a whole string, and the array that
// the caller gets is made once at the end.

/// A growing buffer. A reference; whoever makes one calls `finish` or `deallocate` once.
struct ByteBuffer {
    private let pool: Pool<UInt8>

    init(capacity: Int) {
        pool = Pool(capacity: capacity)
    }

    func deallocate() {
        pool.deallocate()
    }

    /// The octets. The buffer is no more afterwards.
    func finish() -> [UInt8] {
        let bytes = Array(pool.elements)
        pool.deallocate()
        return bytes
    }

    @inline(__always)
    var count: Int { pool.count }

    @inline(__always)
    func append(_ byte: UInt8) {
        pool.append(byte)
    }

    @inline(__always)
    func append(contentsOf bytes: UnsafeBufferPointer<UInt8>) {
        pool.append(contentsOf: bytes)
    }

    @inline(__always)
    func append(_ text: StaticString) {
        pool.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// `\\u` and four digits.
    func append(unicodeEscape byte: UInt8, digits: StaticString) {
        append("\\u00")
        append(digits.utf8Start[Int(byte >> 4)])
        append(digits.utf8Start[Int(byte & 0x0F)])
    }

    /// `\\b`, `\\t`, `\\n`, `\\f`, `\\r`, an escaped quotation mark or reverse solidus. False for all other octets.
    func append(shortEscape byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "\""): append("\\\"")
        case UInt8(ascii: "\\"): append("\\\\")
        case 0x08: append("\\b")
        case 0x09: append("\\t")
        case 0x0A: append("\\n")
        case 0x0C: append("\\f")
        case 0x0D: append("\\r")
        default: return false
        }
        return true
    }
}
