// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What the management interface shows, from directory and store.

import HookModel
import HookStore
import HookWeb

struct ManagementView: ManagementData {
    let current: CurrentSnapshot
    let store: SQLiteStore

    var organization: String { current.value.organization }

    func hooks() -> [ManagedHook] { current.value.managed }

    func events(after sequence: Int64, limit: Int) async throws(StoreError) -> [StoredEvent] {
        try await store.events(after: sequence, limit: limit)
    }

    func lastSequence() async throws(StoreError) -> Int64 { try await store.lastSequence() }

    func event(id: String) async throws(StoreError) -> StoredEvent? { try await store.event(id: id) }
}
