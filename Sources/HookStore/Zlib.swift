// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Whole buffers through zlib (RFC 1950). The sizes are known, so that nothing has to grow.

internal import CZlib

enum Zlib {
    /// nil if `bytes` are damaged, or not exactly `size` octets.
    static func decompressed(_ bytes: [UInt8], size: Int) -> [UInt8]? {
        var length = uLongf(size)
        var isRight = false
        let out = [UInt8](unsafeUninitializedCapacity: max(1, size)) { buffer, count in
            isRight = uncompress(buffer.baseAddress, &length, bytes, uLong(bytes.count)) == Z_OK && Int(length) == size
            count = isRight ? size : 0
        }
        return isRight ? out : nil
    }
}

/// Compresses one buffer after the other. The 268 KB that zlib needs for it are made ready once: for each mail of a few
/// kilobytes that would take a tenth of the time.
struct ZlibCompressor: ~Copyable {
    /// Mail of 100 kB takes half of the time of level 6, and becomes 4 % larger.
    private static let level: Int32 = 4

    /// It stays in its place, for zlib keeps a pointer to it. nil where there was no memory.
    private let stream: UnsafeMutablePointer<z_stream>?

    init() {
        let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        stream.initialize(to: z_stream())
        guard deflateInit_(stream, Self.level, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
            stream.deallocate()
            self.stream = nil
            return
        }
        self.stream = stream
    }

    deinit {
        guard let stream else { return }
        deflateEnd(stream)
        stream.deallocate()
    }

    /// The smaller form of `bytes`, or nil if there is none that saves at least an eighth.
    func compressed(_ bytes: [UInt8]) -> [UInt8]? {
        let limit = bytes.count - bytes.count / 8 - 1
        guard let stream, limit > 0, bytes.count <= Int(UInt32.max), deflateReset(stream) == Z_OK else { return nil }
        var isSmaller = false
        let out = [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
            isSmaller = bytes.withUnsafeBufferPointer { bytes in
                // zlib does not write to its input.
                stream.pointee.next_in = UnsafeMutablePointer(mutating: bytes.baseAddress)
                stream.pointee.avail_in = UInt32(bytes.count)
                stream.pointee.next_out = buffer.baseAddress
                stream.pointee.avail_out = UInt32(limit)
                return deflate(stream, Z_FINISH) == Z_STREAM_END
            }
            count = isSmaller ? limit - Int(stream.pointee.avail_out) : 0
        }
        return isSmaller ? out : nil
    }
}
