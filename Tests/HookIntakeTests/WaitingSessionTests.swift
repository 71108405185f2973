// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What a client does while its message is being stored: sends on, says its last, hangs up. Over a Unix
// socket, with a receiver that answers when it is told to.

import Foundation
import HookModel
import Logging
import TestSupport
import Testing

@testable import HookIntake

@Suite(.timeLimit(.minutes(1))) struct WaitingSessionTests {
    private static let transaction =
        "EHLO a\r\nMAIL FROM:<a@example>\r\nRCPT TO:<b@example>\r\nDATA\r\nSubject: x\r\n\r\nbody\r\n.\r\n"

    /// Serves until `body` ends.
    private func serving(
        _ receiver: Receiver, idleTimeout: Duration = .seconds(20), drainTimeout: Duration = .seconds(1),
        _ body: (_ socket: String, _ stop: () -> Void) async throws -> Void
    ) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("mh-\(UUID().uuidString.prefix(8))").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let path = folder + "/s"
        let (ready, isReady) = AsyncStream.makeStream(of: Void.self)
        let intake = MailIntake(
            configuration: MailIntakeConfiguration(
                hostname: "mx.example", connections: 9, connectionsPerPeer: 9, perPeerExempt: [], messageSize: 1 << 20,
                recipients: 9, spoolFolder: folder, idleTimeout: idleTimeout, dataTimeout: .seconds(20),
                drainTimeout: drainTimeout),
            listeners: [MailListener(kind: .smtp, isTCP: false, descriptor: UnixSocket.listening(path))],
            receiver: receiver, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            now: { Timestamp(seconds: 1_800_000_000) }, onReady: { isReady.finish() })
        let service = Task { try await intake.run() }
        for await _ in ready {}
        do { try await body(path) { service.cancel() } } catch {
            service.cancel()
            throw error
        }
        service.cancel()
        _ = await service.result
    }

    /// A disk may hang for longer than a client may be silent. Nobody else waits for it.
    @Test func othersAreServedWhileTheStoreHangs() async throws {
        let receiver = Receiver(isHeld: true) { _, _ in .accepted }
        try await serving(receiver, idleTimeout: .milliseconds(200)) { path, _ in
            // Enough for every event loop to have one.
            let waiting = (0..<6).map { _ in UnixSocket(path) }
            for client in waiting { client.send(Self.transaction) }
            try await untilReceived(receiver, waiting.count)
            try await Task.sleep(for: .milliseconds(500))
            for _ in 0..<3 {
                let other = UnixSocket(path)
                other.send("EHLO b\r\nQUIT\r\n")
                #expect(other.readToEnd().hasSuffix("221 2.0.0 Bye\r\n"))
            }
            // They were not sent away for their silence.
            receiver.release()
            for client in waiting {
                client.send("QUIT\r\n")
                #expect(client.readToEnd().hasSuffix("221 2.0.0 Bye\r\n"))
            }
        }
    }

    /// At shutdown the transaction in progress ends; the next one is not begun, although the client has sent it already.
    @Test func shutdownEndsBetweenPipelinedTransactions() async throws {
        let receiver = Receiver(isHeld: true) { _, _ in .accepted }
        var replies = ""
        try await serving(receiver, drainTimeout: .seconds(20)) { path, stop in
            let idle = UnixSocket(path)
            let client = UnixSocket(path)
            client.send(Self.transaction + Self.transaction.dropFirst("EHLO a\r\n".count))
            try await untilReceived(receiver, 1)
            stop()
            // All sessions are told at the same time.
            #expect(idle.readToEnd().hasSuffix("421 4.3.2 Shutting down, try again later\r\n"))
            try await Task.sleep(for: .milliseconds(100))
            receiver.release()
            replies = client.readToEnd()
        }
        #expect(replies.split(separator: "\r\n").suffix(2).map { $0.prefix(9) } == ["250 2.0.0", "421 4.3.2"])
        #expect(receiver.count == 1)
    }

    private func untilReceived(_ receiver: Receiver, _ count: Int) async throws {
        while receiver.count < count { try await Task.sleep(for: .milliseconds(5)) }
    }

    @Test(arguments: [false, true])
    func whatComesMeanwhileIsAnsweredInItsTurn(saysItsLast: Bool) async throws {
        let receiver = Receiver(isHeld: true) { _, _ in .accepted }
        try await serving(receiver) { path, _ in
            let client = UnixSocket(path)
            client.send(Self.transaction)
            try await untilReceived(receiver, 1)
            client.send("NOOP\r\n")
            try await Task.sleep(for: .milliseconds(50))
            client.send("QUIT\r\n")
            if saysItsLast { client.finishSending() }
            try await Task.sleep(for: .milliseconds(50))
            #expect(client.readAvailable().hasSuffix("354 End data with <CR><LF>.<CR><LF>\r\n"))
            receiver.release()
            let rest = client.readToEnd().split(separator: "\r\n").map { $0.prefix(3) }
            #expect(rest == ["250", "250", "221"])
        }
    }

    @Test func whoSendsOnIsReadNoFurtherThanOnePiece() async throws {
        let receiver = Receiver(isHeld: true) { _, _ in .accepted }
        try await serving(receiver) { path, _ in
            let client = UnixSocket(path)
            client.send(Self.transaction)
            try await untilReceived(receiver, 1)
            var sent = 0
            for _ in 0..<40 {
                sent += client.sendAvailable(Array(repeating: UInt8(ascii: "x"), count: 64 << 10))
                try await Task.sleep(for: .milliseconds(5))
            }
            // One piece of 64 KiB at most, and what the kernel keeps of both ends.
            #expect(sent > 0 && sent < 1 << 20)
            receiver.release()
        }
    }

    /// Each of its writes ends behind a message, so that none of them waits while the session is at something else.
    @Test func whoDoesNotReadIsNotRead() async throws {
        let receiver = Receiver { _, _ in .accepted }
        try await serving(receiver) { path, _ in
            let client = UnixSocket(path)
            let piece = Array((String(repeating: "EHLO a\r\n", count: 90) + "MAIL FROM:<>\r\nRCPT TO:<b@example>\r\nBDAT 0 LAST\r\n").utf8)
            var pieces = 0
            // Replies of 18 kilooctets to each: the kernel keeps those to some tens.
            while pieces < 2000, client.sendAvailable(piece) > 0 {
                pieces += 1
                try await Task.sleep(for: .milliseconds(2))
            }
            #expect(pieces < 1000)
            let taken = receiver.count
            #expect(taken < 100)
            try await Task.sleep(for: .milliseconds(100))
            #expect(receiver.count == taken)
            // What was sent is answered to the end once the replies are read.
            client.finishSending()
            #expect(client.readToEnd().components(separatedBy: "250 2.0.0 Accepted").count > 1)
            #expect(receiver.count == pieces)
        }
    }

    @Test func whoHangsUpHasHandedItsMessageOver() async throws {
        let receiver = Receiver(isHeld: true) { _, _ in .accepted }
        try await serving(receiver) { path, _ in
            do {
                let client = UnixSocket(path)
                client.send(Self.transaction)
                try await untilReceived(receiver, 1)
            }
            try await Task.sleep(for: .milliseconds(50))
            receiver.release()
            let next = UnixSocket(path)
            next.send(Self.transaction + "QUIT\r\n")
            try await untilReceived(receiver, 2)
            receiver.release()
            #expect(next.readToEnd().hasSuffix("221 2.0.0 Bye\r\n"))
        }
    }
}

/// A blocking socket; reads end after some seconds.
final class UnixSocket {
    private let descriptor: Int32

    init(_ path: String) {
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        let result = withUnixAddress(path) { connect(descriptor, $0, $1) }
        #expect(result == 0)
    }

    deinit { close(descriptor) }

    static func listening(_ path: String) -> Int32 {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0)
        let result = withUnixAddress(path) { bind(descriptor, $0, $1) }
        #expect(result == 0 && listen(descriptor, 9) == 0)
        return descriptor
    }

    func send(_ text: String) {
        let octets = Array(text.utf8)
        #expect(Glibc.send(descriptor, octets, octets.count, Int32(MSG_NOSIGNAL)) == octets.count)
    }

    /// How much of it the kernel takes now.
    func sendAvailable(_ octets: [UInt8]) -> Int {
        max(0, Glibc.send(descriptor, octets, octets.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT)))
    }

    func finishSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    func readAvailable() -> String { read(Int32(MSG_DONTWAIT)) }

    func readToEnd() -> String { read(0) }

    private func read(_ flags: Int32) -> String {
        var octets: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = recv(descriptor, &piece, piece.count, flags)
            guard count > 0 else { return String(decoding: octets, as: UTF8.self) }
            octets += piece[..<count]
        }
    }
}
