// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Where the data of a large message waits while it comes in, so that memory does not follow the
// number of slow senders. Nothing here is promised to anybody: the file has no name and is gone
// with the connection, and the store has its own copy before the sender hears 250.

import Glibc
import HookModel

/// A file without a name that is written to its end and then read once.
///
/// Used by one thread at a time: the session hands it to the pool and waits.
final class MessageSpool: @unchecked Sendable {
    private let descriptor: Int32
    private(set) var count = 0
    /// Why the message cannot be kept; nothing is written any more then.
    private(set) var failure: Outcome?

    /// - Parameter folder: on the disk where the store is.
    convenience init(folder: String) { self.init(descriptor: Self.open(folder)) }

    /// Owns the descriptor; a negative one failed with `errno`.
    init(descriptor: Int32) {
        self.descriptor = descriptor
        if descriptor < 0 { failure = Self.outcome(errno) }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    func append(_ octets: [UInt8]) {
        octets.withUnsafeBytes { buffer in
            var rest = buffer[...]
            while failure == nil, !rest.isEmpty {
                let written = write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
                if written > 0 {
                    rest = rest.dropFirst(written)
                } else if written == 0 || errno != EINTR {
                    failure = Self.outcome(written == 0 ? ENOSPC : errno)
                }
            }
        }
        if failure == nil { count += octets.count }
    }

    /// Everything that was appended and `rest` behind it; nil with `failure` set if it cannot be read.
    func load(appending rest: [UInt8]) -> [UInt8]? {
        guard failure == nil else { return nil }
        let size = count
        let message = [UInt8](unsafeUninitializedCapacity: size + rest.count) { buffer, initialized in
            initialized = readAll(UnsafeMutableRawBufferPointer(buffer), size)
            guard initialized == size else { return }
            _ = UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[size...]).initializeMemory(
                as: UInt8.self, from: rest)
            initialized += rest.count
        }
        if message.count < size + rest.count { failure = .storeFailed }
        return failure == nil ? message : nil
    }

    /// Octets read, fewer than `size` after an error.
    private func readAll(_ buffer: UnsafeMutableRawBufferPointer, _ size: Int) -> Int {
        var position = 0
        while position < size {
            let part = UnsafeMutableRawBufferPointer(rebasing: buffer[position..<size])
            let got = pread(descriptor, part.baseAddress, part.count, position)
            if got > 0 {
                position += got
            } else if got == 0 || errno != EINTR {
                return position
            }
        }
        return position
    }

    private static func open(_ folder: String) -> Int32 {
        // O_TMPFILE (open(2)); the importer does not know the composed constant.
        let unnamed = Glibc.open(folder, 0o20200000 | O_RDWR | O_CLOEXEC, 0o600)
        guard unnamed < 0, errno == EOPNOTSUPP || errno == EISDIR else { return unnamed }
        // Not every file system has files without a name.
        var template = Array("\(folder)/.spool.XXXXXX".utf8CString)
        let named = mkstemp(&template)
        if named >= 0 {
            _ = fcntl(named, F_SETFD, FD_CLOEXEC)
            unlink(template)
        }
        return named
    }

    private static func outcome(_ number: Int32) -> Outcome {
        number == ENOSPC || number == EDQUOT ? .storeFull : .storeFailed
    }
}
