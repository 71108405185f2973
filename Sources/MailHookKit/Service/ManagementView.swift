// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What the management interface shows, from directory and store.

import HookModel
import HookStore
import HookWeb

struct ManagementView: ManagementData {
    let current: CurrentSnapshot
    let store: SQLiteStore
    let manager: HookManager

    var organization: String { current.value.organization }

    func hooks() -> [ManagedHook] { current.value.managed }

    func events(after sequence: Int64, limit: Int) async throws(StoreError) -> [StoredEvent] {
        try await store.events(after: sequence, limit: limit)
    }

    func lastSequence() async throws(StoreError) -> Int64 { try await store.lastSequence() }

    func event(id: String) async throws(StoreError) -> StoredEvent? { try await store.event(id: id) }

    func message(_ id: Int64) async throws(StoreError) -> StoredMessage? {
        try await store.message(id)
    }

    func message(ofEvent id: String) async throws(StoreError) -> StoredMessage? {
        try await store.message(ofEvent: id)
    }

    func deliveries(ofEvent id: String) async throws(StoreError) -> [StoredDelivery] {
        try await store.deliveries(ofEvent: id)
    }

    func create(_ draft: HookDraft, now: Timestamp) async throws(ManagementError) -> ManagedHook {
        try await manager.create(draft, now: now)
    }

    func change(_ eventName: String, _ change: HookChange, now: Timestamp) async throws(ManagementError) -> ManagedHook {
        try await manager.change(eventName, change, now: now)
    }

    func remove(_ eventName: String) async throws(ManagementError) { try await manager.remove(eventName) }
}
