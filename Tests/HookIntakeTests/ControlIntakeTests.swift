// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The control socket from the other side: signs of life before the answer, nothing done for who has gone, and nobody
// who keeps the daemon from its end.

import Foundation
import Logging
import Synchronization
import TestSupport
import Testing

@testable import HookIntake

@Suite struct ControlIntakeTests {
    /// A client that waits in bounded time.
    private static func connection(_ path: String) -> Int32 {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        let result = withUnixAddress(path) { connect(descriptor, $0, $1) }
        #expect(result == 0, "errno \(errno)")
        return descriptor
    }

    private static func receive(_ descriptor: Int32) -> String {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : ""
    }

    /// Asks on a thread of its own, for those of tests are few and the daemon's end needs one.
    ///
    /// - Parameters:
    ///   - isLast: whether it says that no other request follows.
    ///   - onBeat: called after the second blank, or where there is none.
    private static func ask(
        _ path: String, _ request: String, isLast: Bool = false, onBeat: @escaping @Sendable () -> Void = {}
    ) async -> String {
        await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                let client = connection(path)
                defer { close(client) }
                let (sent, cause) = (send(client, request, request.utf8.count, Int32(MSG_NOSIGNAL)), errno)
                // Who finds no place may be told before it asks.
                #expect(sent == request.utf8.count || cause == EPIPE, "errno \(cause)")
                if isLast { shutdown(client, Int32(SHUT_WR)) }
                var answer = ""
                while answer.last != "\n" {
                    let more = receive(client)
                    answer += more
                    if answer.hasPrefix("  ") || more.isEmpty { onBeat() }
                    if more.isEmpty { break }
                }
                continuation.resume(returning: answer)
            }
        }
    }

    /// A connection that has its place: it was answered, and stays.
    private static func place(_ path: String) async -> Int32 {
        await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                let client = connection(path)
                #expect(send(client, "place\n", 6, Int32(MSG_NOSIGNAL)) == 6)
                var answer = ""
                while answer.last != "\n" {
                    let more = receive(client)
                    if more.isEmpty { break }
                    answer += more
                }
                #expect(answer.hasSuffix("done\n"))
                continuation.resume(returning: client)
            }
        }
    }

    /// A daemon's end with a socket of its own, and what it was asked.
    private final class Daemon: Sendable {
        let path = NSTemporaryDirectory() + "control-\(UUID().uuidString.prefix(8)).sock"
        private let asked = Mutex<[String]>([])
        private let service = Mutex<Task<Void, any Error>?>(nil)

        var requests: [String] { asked.withLock { $0 } }

        /// Served when this returns. `onReady` is called before any connection is looked at.
        func start(
            heartbeatInterval: Duration = .milliseconds(20), onReady: @escaping @Sendable () -> Void = {},
            answer: @escaping @Sendable () async -> [UInt8]
        ) async {
            let (ready, isReady) = AsyncStream.makeStream(of: Void.self)
            let intake = ControlIntake(
                path: path, refusal: Array("full".utf8), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
                heartbeatInterval: heartbeatInterval,
                onReady: {
                    onReady()
                    isReady.finish()
                }
            ) { [self] request in
                asked.withLock { $0.append(String(decoding: request, as: UTF8.self)) }
                return await answer()
            }
            service.withLock { $0 = Task { try await intake.run() } }
            for await _ in ready {}
        }

        /// Returns when nothing is left of it.
        func stop() async {
            let task = service.withLock { $0 }
            task?.cancel()
            _ = try? await task?.value
        }
    }

    @Test func lifeIsShownUntilTheAnswer() async throws {
        let daemon = Daemon()
        let (beats, beat) = AsyncStream.makeStream(of: Void.self)
        await daemon.start {
            for await _ in beats {}
            return Array("done".utf8)
        }
        let answer = await Self.ask(daemon.path, "a\n") { beat.finish() }
        #expect(answer.hasPrefix("  ") && answer.drop { $0 == " " } == "done\n", "\(answer)")
        #expect(daemon.requests == ["a"])
        await daemon.stop()
    }

    @Test func nothingIsDoneForWhoHasGone() async throws {
        let daemon = Daemon()
        let path = daemon.path
        await daemon.start(onReady: {
            // Gone before anybody could look at it; none of these calls waits.
            let client = Self.connection(path)
            #expect(send(client, "gone\n", 5, Int32(MSG_NOSIGNAL)) == 5)
            close(client)
        }) { Array("done".utf8) }
        // Whoever comes behind it is answered, and then it has had its turn.
        for request in ["b", "c"] { #expect(await Self.ask(path, request + "\n").hasSuffix("done\n")) }
        await daemon.stop()
        #expect(daemon.requests == ["b", "c"])
    }

    /// With more than what sockets hold, of which nothing may be missing.
    @Test(.timeLimit(.minutes(1))) func whoHasSaidAllIsAnswered() async throws {
        let daemon = Daemon()
        await daemon.start(heartbeatInterval: .seconds(3600)) {
            // Until it is known that nothing follows.
            try? await Task.sleep(for: .milliseconds(200))
            return [UInt8](repeating: 0x78, count: 1 << 20)
        }
        let answer = await Self.ask(daemon.path, "a\n", isLast: true)
        #expect(answer.utf8.count == 1 + 1 << 20 + 1 && answer.hasPrefix(" x") && answer.hasSuffix("x\n"), "\(answer.utf8.count)")
        await daemon.stop()
    }

    @Test(.timeLimit(.minutes(1))) func whoFindsNoPlaceIsTold() async throws {
        let daemon = Daemon()
        await daemon.start { Array("done".utf8) }
        var clients: [Int32] = []
        for _ in 0..<ControlIntake.connectionLimit { clients.append(await Self.place(daemon.path)) }
        #expect(await Self.ask(daemon.path, "a\n") == "full\n")
        #expect(!daemon.requests.contains("a"))
        clients.forEach { close($0) }
        var answer = ""
        while !answer.hasSuffix("done\n") { answer = await Self.ask(daemon.path, "b\n") }
        await daemon.stop()
    }

    /// More than what sockets hold is answered to a client that does not read, which asks once more.
    @Test(.timeLimit(.minutes(1))) func whoNeverReadsDoesNotHoldUpTheEnd() async throws {
        let daemon = Daemon()
        let (begins, begin) = AsyncStream.makeStream(of: Void.self)
        await daemon.start {
            begin.finish()
            return [UInt8](repeating: 0x78, count: 8 << 20)
        }
        let client = Self.connection(daemon.path)
        defer { close(client) }
        #expect(send(client, "a\nb\n", 4, Int32(MSG_NOSIGNAL)) == 4)
        for await _ in begins {}
        // The sign of life for the second request waits behind the first answer.
        try await Task.sleep(for: .milliseconds(300))
        await daemon.stop()
        #expect(daemon.requests == ["a"])
    }
}
