// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What waits for a disk that answers late: how much is held meanwhile, and who is answered when.

import Foundation
import HookModel
import HookStore
import Synchronization
import Testing

/// The real files, whose syncs wait while the gate is shut.
private final class GatedFiles: StoreFiles {
    private let real = SystemFiles()
    private let isShut = Atomic<Bool>(false)
    private let syncs = Atomic<Int>(0)
    private let held = Atomic<Int>(0)

    func shut() { isShut.store(true, ordering: .releasing) }
    func open() { isShut.store(false, ordering: .releasing) }
    var isHolding: Bool { held.load(ordering: .acquiring) > 0 }
    var syncCount: Int { syncs.load(ordering: .acquiring) }

    func synchronize(_ descriptor: Int32) -> Int32 {
        held.add(1, ordering: .acquiringAndReleasing)
        while isShut.load(ordering: .acquiring) { usleep(1000) }
        held.subtract(1, ordering: .acquiringAndReleasing)
        syncs.add(1, ordering: .acquiringAndReleasing)
        return real.synchronize(descriptor)
    }

    func open(_ path: String, creating: Bool, isDirect: Bool) -> Int32 {
        real.open(path, creating: creating, isDirect: isDirect)
    }
    func close(_ descriptor: Int32) { real.close(descriptor) }
    func write(_ descriptor: Int32, _ octets: UnsafeRawBufferPointer, at offset: Int) -> Int32 {
        real.write(descriptor, octets, at: offset)
    }
    func allocate(_ descriptor: Int32, size: Int) -> Int32 { real.allocate(descriptor, size: size) }
    func rename(_ from: String, to: String) -> Int32 { real.rename(from, to: to) }
    func remove(_ path: String) -> Int32 { real.remove(path) }
    func makeFolder(_ path: String) -> Int32 { real.makeFolder(path) }
    func synchronizeFolder(_ path: String) -> Int32 { real.synchronizeFolder(path) }
}

@Suite struct QueueTests {
    /// Each signal was once one more frame of the writer's stack, which is a mebibyte.
    @Test(.timeLimit(.minutes(5)))
    func signalsWithoutEnd() async throws {
        let folder = try TemporaryFolder()
        let store = try SQLiteStore.open(folder.path("store.db"), as: .owner)
        let signals = Tally<Int>()
        let count = 20_000
        store.onNewDeliveries { signals.add($0.count) }
        _ = try await store.commit(entry("m", events: ["e"], to: ["s"]))
        // Each a piece of work of the writer's own.
        for index in 0..<count {
            let status: SubscriptionStatus = index.isMultiple(of: 2) ? .paused : .active
            let subscription = StoredSubscription(name: "s", status: status, reason: "", changedAt: at(Int64(index)))
            try await store.set(subscription, adding: [])
        }
        #expect(signals.all.count >= count)
        await store.close()
    }

    private final class Held: Sendable {}

    /// While the disk hangs, what is too much is refused at once and nothing of it is kept; the rest is stored afterwards.
    @Test func whatIsTooMuchIsRefusedAtOnce() async throws {
        let folder = try TemporaryFolder()
        let files = GatedFiles()
        var options = SQLiteStore.Options()
        options.queueOctets = 100_000
        options.compresses = false
        let store = try SQLiteStore.open(folder.path("store.db"), as: .owner, options: options, files: files)
        let answers = Tally<Bool>()
        func given(_ index: Int) -> MessageEntry { entry("\(index) " + String(repeating: "x", count: 20_000)) }
        files.shut()
        store.commit(given(0)) { answers.add((try? $0.get()) != nil) }
        #expect(try await eventually { files.isHolding })
        for index in 1..<4 { store.commit(given(index)) { answers.add((try? $0.get()) != nil) } }
        #expect(answers.all == [])
        for index in 4..<300 {
            let refused = Mutex<StoreError?>(nil)
            weak var held: Held?
            do {
                let object = Held()
                held = object
                store.commit(given(index)) { [object] result in
                    withExtendedLifetime(object) {}
                    if case .failure(let error) = result { refused.withLock { $0 = error } }
                }
            }
            guard case .busy? = refused.withLock({ $0 }) else {
                Issue.record("\(index) was not refused")
                break
            }
            #expect(held == nil, "what answers is kept, and so is what it is about")
        }
        files.open()
        #expect(try await eventually { answers.all.count == 4 })
        #expect(answers.all == [true, true, true, true])
        #expect(try await store.commit(given(5)) == CommitReceipt(isDuplicate: false, newEvents: 0))
        #expect(try await store.counts().messages == 5)
        await store.close()
    }

    /// It comes back when both threads have taken it up, and the disk does not hear of it.
    @Test func aProbeWritesNothing() async throws {
        let folder = try TemporaryFolder()
        let files = GatedFiles()
        let path = folder.path("store.db")
        var options = SQLiteStore.Options()
        options.compresses = false
        let store = try SQLiteStore.open(path, as: .owner, options: options, files: files)
        _ = try await store.commit(entry("one", events: ["e1"], to: ["s"]))
        _ = try await store.events(after: 0, limit: 1)
        func state() throws -> [String: Data] {
            var found: [String: Data] = [:]
            for name in try FileManager.default.subpathsOfDirectory(atPath: folder.root) where !name.hasSuffix("-shm") {
                found[name] = FileManager.default.contents(atPath: folder.path(name))
            }
            return found
        }
        let (before, syncs) = (try state(), files.syncCount)
        for _ in 0..<20 { await store.probe() }
        #expect(try state() == before && files.syncCount == syncs)
        // A thread that hangs is noticed.
        files.shut()
        let answers = Tally<Bool>()
        store.commit(entry("two", events: ["e2"])) { answers.add((try? $0.get()) != nil) }
        #expect(try await eventually { files.isHolding })
        let isOver = Flag()
        let probe = Task {
            await store.probe()
            isOver.set()
        }
        try await Task.sleep(for: .milliseconds(100))
        #expect(!isOver.isSet)
        files.open()
        await probe.value
        #expect(answers.all == [true])
        await store.close()
        // Nobody waits for threads that have ended.
        await store.probe()
    }
}
