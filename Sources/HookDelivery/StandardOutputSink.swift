// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Writes events to the daemon's standard output, one JSON value a line. Not to the file /dev/stdout: under systemd
// standard output is a socket, which cannot be opened by a name.

internal import Glibc
public import HookModel

/// The `stdout` sink. Delivered means that the system took the line; what reads it is on its own.
public final class StandardOutputSink: Sink {
    public let maxBatch = 256
    /// One writer, so that lines never mix.
    public let concurrency = 1
    /// A reader that does not read blocks for so long at least.
    public let timeout = Duration.seconds(30)

    private let threads = BlockingThreads(count: 1)
    private let descriptor: Int32

    public init() { descriptor = STDOUT_FILENO }

    /// For tests.
    init(descriptor: Int32) { self.descriptor = descriptor }

    public func deliver(_ batch: [ClaimedDelivery], now: Timestamp) async -> [DeliveryVerdict] {
        let descriptor = descriptor
        let lines = FileSink.lines(of: batch)
        let failure = await threads.run { Self.write(lines, to: descriptor) }
        let verdict: DeliveryVerdict =
            switch failure {
            case .some(nil): .delivered
            case .some(.some(let code)): .retry(reason: code == EPIPE ? "connection_closed" : "io_error_\(code)")
            case nil: .retry(reason: "no_thread")
            }
        return Array(repeating: verdict, count: batch.count)
    }

    public func shutdown() async { threads.stop() }

    /// The number of the error that ended it; nil if all was written.
    private static func write(_ bytes: [UInt8], to descriptor: Int32) -> Int32? {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EAGAIN {
                // Somebody else set the other end to that.
                var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&ready, 1, 1000)
            } else if count < 0, errno != EINTR {
                return errno
            }
            if count > 0 { rest = rest.dropFirst(count) }
        }
        return nil
    }
}
