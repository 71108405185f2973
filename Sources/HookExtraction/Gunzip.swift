// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Unpacks gzip files (RFC 1952) of one or more members, within limits. A few kilobytes can
// unpack to gigabytes; nothing is unpacked beyond what the limits allow.

import CZlib

/// Front ends that keep mail compressed use it as well as the search for documents.
public enum Gunzip {
    public enum Failure: Error, Sendable, Hashable {
        case notGzip
        case damaged
        case truncated
        case tooLarge
        case ratio
        case noMemory
    }

    /// Below this a high ratio is no attack.
    private static let smallSize = 1 << 20

    /// The content of all members.
    ///
    /// - Throws: `tooLarge` or `ratio` beyond the limits; `notGzip`, `damaged` or `truncated` if it is no whole gzip file.
    public static func unpack(_ packed: [UInt8], limits: ExtractionLimits) throws(Failure) -> [UInt8] {
        var stream = z_stream()
        // 15 bits of window, +16: a gzip header is required.
        guard inflateInit2_(&stream, 15 + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
            throw .noMemory
        }
        defer { inflateEnd(&stream) }
        let ratioSize = packed.count.multipliedReportingOverflow(by: limits.decompressionRatio)
        let byRatio = max(ratioSize.overflow ? .max : ratioSize.partialValue, smallSize)
        // What is more than a document may have is of no use.
        let room = min(limits.decompressedSize, limits.documentSize, byRatio)
        let result = packed.withUnsafeBufferPointer { input in
            Result { () throws(Failure) in try members(input, &stream, room: room) }
        }
        do throws(Failure) {
            return try result.get()
        } catch .tooLarge where room == byRatio {
            throw .ratio
        }
    }

    private static func members(
        _ input: UnsafeBufferPointer<UInt8>, _ stream: inout z_stream, room: Int
    ) throws(Failure) -> [UInt8] {
        var unpacked: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        guard let available = UInt32(exactly: input.count), available > 0 else { throw .notGzip }
        // zlib does not write to its input, though its interface is without const.
        stream.next_in = UnsafeMutablePointer(mutating: input.baseAddress)
        stream.avail_in = available
        while true {
            let (status, written) = chunk.withUnsafeMutableBufferPointer { buffer in
                stream.next_out = buffer.baseAddress
                stream.avail_out = UInt32(truncatingIfNeeded: buffer.count)
                let status = inflate(&stream, Z_NO_FLUSH)
                return (status, buffer.count - Int(stream.avail_out))
            }
            guard unpacked.count + written <= room else { throw .tooLarge }
            unpacked += chunk[..<written]
            switch status {
            case Z_OK where stream.avail_in > 0 || written == chunk.count: continue
            case Z_OK, Z_BUF_ERROR: throw .truncated
            case Z_STREAM_END:
                // RFC 1952 section 2.2: members follow one another. Padding behind the last is ignored, as gzip does.
                guard isMember(input, at: input.count - Int(stream.avail_in)) else { return unpacked }
                guard inflateReset(&stream) == Z_OK else { throw .damaged }
            case Z_MEM_ERROR: throw .noMemory
            default: throw unpacked.isEmpty && !isMember(input, at: 0) ? .notGzip : .damaged
            }
        }
    }

    private static func isMember(_ input: UnsafeBufferPointer<UInt8>, at offset: Int) -> Bool {
        offset + 1 < input.count && input[offset] == 0x1F && input[offset + 1] == 0x8B
    }
}
