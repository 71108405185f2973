// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Keeps the store open as long as anybody may use it, and ends the daemon when the store can't be
// trusted any more: after a sync that failed, only opening it again shows what is on the disk.

import HookModel
import HookStore
import Logging
import ServiceLifecycle

struct StoreFailure: Error, CustomStringConvertible {
    var cause: StoreError
    var description: String { "the store failed: \(cause)" }
}

struct StoreService: Service {
    let store: SQLiteStore
    let logger: Logger

    func run() async throws {
        let (failures, continuation) = AsyncStream.makeStream(of: StoreError.self)
        store.onFailure { continuation.yield($0) }
        let failure = await failures.cancelOnGracefulShutdown().first { _ in true }
        guard let failure else { return await store.close() }
        logger.critical("the disk failed; ending, to begin again with what it holds", metadata: ["error": "\(failure)"])
        // The daemon's end closes the store.
        throw StoreFailure(cause: failure)
    }
}
