// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What the first octets of a segment's file say about it: that it is in use, that it is not, or that
// they are damaged, which must not pass for the second.

internal import Glibc
internal import HookModel

enum SegmentHead {
    /// Records are in it.
    case inUse(SegmentHeader)
    /// It never had a header, or has one of the time before it was renamed.
    case unused
    /// There is no such file.
    case gone

    /// An owner may be at writing the header just when another process reads it.
    private static let looks = 3

    static func read(_ path: String, number: Int64) throws(StoreError) -> SegmentHead {
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return .gone }
            throw StoreError(opening: path, errno: errno)
        }
        defer { Glibc.close(descriptor) }
        return try read(descriptor, path, number: number)
    }

    /// What an end at any moment may leave, and nothing else, is `unused`. A header lies in one sector, which a disk writes
    /// wholly or not at all, and the file was empty, full of zeros, or that of another number before. A group that is
    /// acknowledged was synced with its header. So octets that are none of these were changed by something else, after
    /// records may have been acknowledged: even where the database knows of none behind the header, the newest mail can
    /// be there, and only who looks after the machine can tell.
    static func read(_ descriptor: Int32, _ path: String, number: Int64) throws(StoreError) -> SegmentHead {
        for time in 1...looks {
            if let head = try look(descriptor, path, number: number) { return head }
            if time < looks { usleep(1000) }
        }
        throw .corrupt(
            "\(path): its header is damaged, and mail that was accepted may be behind it; "
                + "to go on without that, move the file away")
    }

    /// nil if the octets are nothing that we write.
    private static func look(_ descriptor: Int32, _ path: String, number: Int64) throws(StoreError) -> SegmentHead? {
        var cause: Int32 = 0
        let head = withUnsafeTemporaryAllocation(byteCount: SegmentHeader.length, alignment: 8) { octets -> SegmentHead? in
            var count = pread(descriptor, octets.baseAddress, SegmentHeader.length, 0)
            while count < 0, errno == EINTR { count = pread(descriptor, octets.baseAddress, SegmentHeader.length, 0) }
            if count < 0 {
                cause = errno
                return nil
            }
            // Shorter than a header is only what nobody wrote to.
            guard count == SegmentHeader.length, octets.contains(where: { $0 != 0 }) else { return .unused }
            guard let header = SegmentHeader(UnsafeRawBufferPointer(octets)) else { return nil }
            return header.number == number ? .inUse(header) : .unused
        }
        if cause != 0 { throw StoreError(opening: path, errno: cause) }
        return head
    }
}
