// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The control socket from the other side: signs of life before the answer, and nothing done for who has gone.

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
        var target = sockaddr_un()
        target.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &target.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let result = withUnsafePointer(to: &target) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        #expect(result == 0, "errno \(errno)")
        return descriptor
    }

    private static func receive(_ descriptor: Int32) -> String {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : ""
    }

    /// What was said first and after how long, and all of it. On a thread of its own: those of tests are few, and the
    /// daemon's end needs one.
    private static func ask(_ path: String, _ request: String) async -> (first: String, took: Duration, answer: String) {
        await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                let begin = ContinuousClock.now
                let client = connection(path)
                defer { close(client) }
                #expect(send(client, request, request.utf8.count, Int32(MSG_NOSIGNAL)) == request.utf8.count)
                let first = receive(client)
                let took = ContinuousClock.now - begin
                var answer = first
                while answer.last != "\n" {
                    let more = receive(client)
                    answer += more
                    if more.isEmpty { break }
                }
                continuation.resume(returning: (first, took, answer))
            }
        }
    }

    @Test func lifeIsShownUntilTheAnswer() async throws {
        let path = NSTemporaryDirectory() + "control-\(UUID().uuidString.prefix(8)).sock"
        let requests = Mutex<[String]>([])
        let (ready, isReady) = AsyncStream.makeStream(of: Void.self)
        let intake = ControlIntake(
            path: path, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, onReady: { isReady.finish() }
        ) { request in
            requests.withLock { $0.append(String(decoding: request, as: UTF8.self)) }
            try? await Task.sleep(for: ControlIntake.lifeTime + .milliseconds(500))
            return Array("done".utf8)
        }
        let service = Task { try await intake.run() }
        for await _ in ready {}
        let (first, took, answer) = await Self.ask(path, "a\n")
        #expect(first == " " && took < ControlIntake.lifeTime)
        #expect(answer.hasPrefix("  ") && answer.drop { $0 == " " } == "done\n", "\(answer)")
        #expect(requests.withLock { $0 } == ["a"])
        service.cancel()
        _ = try? await service.value
    }
}
