// Part of mailhookd. SPDX-License-Identifier: Apache-2.0

import HookModel
import Synchronization
import TestSupport
import Testing

@testable import HookDelivery

@Suite struct BlockingThreadTests {
    /// Programs inherit what the thread that starts them may use, and an event loop may have started that thread.
    @Test(.enabled(if: ThreadPlacement.processors().count > 1, "needs two processors"))
    func theyMayUseAllProcessorsFromTheStart() async throws {
        let starter = WorkerThread()
        try #require(
            starter.run { ThreadPlacement.current().map { ThreadPlacement.bind($0, to: ThreadPlacement.processors()[0]) } } == true)
        let threads = BlockingThreads(count: 1)
        defer { threads.stop() }
        let seen = await withCheckedContinuation { continuation in
            let isTaken = starter.run { threads.add { continuation.resume(returning: WorkerThread().processors) } }
            if !isTaken { continuation.resume(returning: "") }
        }
        #expect(seen == WorkerThread.all)
    }
}
