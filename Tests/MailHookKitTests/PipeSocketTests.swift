// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A daemon that hangs is given up after one time for all of it, wherever in the hand-over it hangs.

import Foundation
import HookIntake
import Testing

@testable import MailHookKit

@Suite struct PipeSocketTests {
    /// One that hangs, with as many connections waiting as the system lets wait, is there all the same.
    @Test func aDaemonWithoutRoom() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("mailhookd-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        #expect(!PipeSocket.isServed(dataFolder: folder, within: .milliseconds(50)))
        let path = PipeSocket.path(folder)
        let listener = try ListeningSocket.bind(.unix(path: path), mode: 0o600)
        defer { close(listener) }
        #expect(PipeSocket.isServed(dataFolder: folder, within: .milliseconds(50)))
        listen(listener, 0)
        var waiting: [Int32] = []
        defer { waiting.forEach { close($0) } }
        while waiting.count < 8, let one = try? PipeSocket.connection(path, within: .milliseconds(50)) { waiting.append(one) }
        #expect(waiting.count < 8)
        #expect(PipeSocket.isServed(dataFolder: folder, within: .milliseconds(50)))
    }

    /// What a daemon does with a connection before it hangs.
    enum Hanging: CaseIterable {
        /// It reads nothing: the message does not fit into what the system holds.
        case beforeReading
        /// It sends an octet of its answer now and then, so that no single wait is long.
        case whileAnswering
    }

    @Test(arguments: Hanging.allCases) func aDaemonThatHangs(_ hanging: Hanging) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("mailhookd-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let listener = try ListeningSocket.bind(.unix(path: PipeSocket.path(folder)), mode: 0o600)
        defer { close(listener) }
        let end = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            defer { end.signal() }
            guard hanging == .whileAnswering else { return }
            let connection = accept(listener, nil, nil)
            for _ in 0..<200 where send(connection, "1", 1, Int32(MSG_NOSIGNAL)) == 1 { usleep(50_000) }
            close(connection)
        }
        let begin = ContinuousClock.now
        let request = PipeRequest(
            message: [UInt8](repeating: 0x78, count: hanging == .beforeReading ? 8 << 20 : 10), sender: "",
            recipients: ["a@b.example"])
        #expect(throws: PipeSocket.Failure.self) {
            try PipeSocket(dataFolder: folder, until: begin + .milliseconds(700)).deliver(request)
        }
        let time = ContinuousClock.now - begin
        #expect(time > .milliseconds(600) && time < .seconds(3), "\(time)")
        end.wait()
    }
}
