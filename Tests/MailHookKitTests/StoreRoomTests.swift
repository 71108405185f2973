// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A disk that is nearly full: what is kept for later use is asked for once.

import Foundation
import HookModel
import Synchronization
import Testing

@testable import MailHookKit

@Suite struct StoreRoomTests {
    @Test func roomIsAskedForOnce() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("mailhookd-room-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try Data().write(to: folder.appendingPathComponent("mailhookd.sqlite"))
        let least = Mutex(0)
        let asked = Mutex(0)
        let room = StoreRoom(
            dataFolder: folder.path, least: { least.withLock { $0 } }, logger: DaemonLog.quiet,
            makeRoom: { asked.withLock { $0 += 1 } })
        #expect(room.refusal == nil && asked.withLock { $0 } == 0)
        least.withLock { $0 = .max }
        for _ in 0..<3 {
            // It looks once a second.
            try await Task.sleep(for: .milliseconds(1100))
            #expect(room.refusal == .storeFull)
        }
        #expect(asked.withLock { $0 } == 1)
    }
}
