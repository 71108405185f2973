// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Whole buffers through zlib (RFC 1950). The sizes are known, so that nothing has to grow.

internal import CZlib

enum Zlib {
    /// The smaller form of `bytes`, or nil if there is none that saves at least an eighth.
    static func compressed(_ bytes: [UInt8]) -> [UInt8]? {
        let limit = bytes.count - bytes.count / 8 - 1
        guard limit > 0 else { return nil }
        var length = uLongf(limit)
        var isSmaller = false
        let out = [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
            isSmaller = compress2(buffer.baseAddress, &length, bytes, uLong(bytes.count), 6) == Z_OK
            count = isSmaller ? Int(length) : 0
        }
        return isSmaller ? out : nil
    }

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
