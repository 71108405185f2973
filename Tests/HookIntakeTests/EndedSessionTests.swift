// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What a connection leaves behind: on a real event loop, since another one ends connections at another time.

import Foundation
import HookModel
import Logging
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import HookIntake

@Suite(.timeLimit(.minutes(1))) struct EndedSessionTests {
    private final class Channels: Sendable {
        private struct Weak: @unchecked Sendable { weak var channel: (any Channel)? }

        private let all = Mutex<[Weak]>([])

        func add(_ channel: any Channel) {
            let entry = Weak(channel: channel)
            all.withLock { $0.append(entry) }
        }

        var left: Int { all.withLock { $0.count { $0.channel != nil } } }
        var count: Int { all.withLock { $0.count } }
    }

    private func context() -> SessionContext {
        SessionContext(
            configuration: MailIntakeConfiguration(
                hostname: "mx.example", connections: 9, connectionsPerPeer: 9, perPeerExempt: [], messageSize: 1 << 20,
                recipients: 9, spoolFolder: "/", idleTimeout: .seconds(20), dataTimeout: .seconds(20)),
            receiver: Receiver { _, _ in .accepted }, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            now: { Timestamp(seconds: 1_800_000_000) }, parsers: .singleton, sessions: SessionRegistry(),
            places: ConnectionPlaces(limit: 9, limitPerPeer: 9) { _ in false }, gates: LoadGates())
    }

    /// Thousands of clients a second say QUIT: whatever waits for a moment behind each of them adds up to 80 MB.
    @Test func nothingOfASessionIsLeftAfterQuit() async throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("mh-\(UUID().uuidString.prefix(8))").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let (channels, context) = (Channels(), context())
        let listener = MailListener(kind: .smtp, isTCP: false, descriptor: UnixSocket.listening(path))
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelOption(.autoRead, value: false)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let session = SessionHandler(listener: listener, context: context)
                    channels.add(channel)
                    try channel.pipeline.syncOperations.addHandler(session)
                }
            }
            .withBoundSocket(listener.descriptor).get()
        for _ in 0..<5 {
            let client = UnixSocket(path)
            client.send("EHLO client.example\r\nQUIT\r\n")
            #expect(client.readToEnd().hasSuffix("221 2.0.0 Bye\r\n"))
        }
        // Less than the time for which the last reply is waited for where the client has not said it.
        for _ in 0..<100 where channels.left > 0 { try await Task.sleep(for: .milliseconds(10)) }
        #expect(channels.left == 0)
        #expect(channels.count == 5)
        try await server.close()
    }
}
