// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The power fails at every write, sync, rename and removal of the journal and of SQLite: whatever
// is left on the disk, nothing that was acknowledged is lost, nothing is doubled, and nothing is
// there that was never sent; nor after a kill behind what the next owner took. Some hundred points;
// all of them with MAILHOOKD_LONG=1 (`scripts/test --long`).

import Foundation
import HookModel
import HookStore
import Synchronization
import TestSupport
import Testing

@Suite struct FaultInjectionTests {
    private static let isLong = ProcessInfo.processInfo.environment["MAILHOOKD_LONG"] == "1"

    private static var options: SQLiteStore.Options {
        var options = SQLiteStore.Options()
        options.groupJobs = 16
        options.logOctets = 1 << 20
        options.waitingKeys = 20
        options.segmentOctets = 256 << 10
        options.journalBufferOctets = 16 << 10
        options.spareOctets = 1 << 20
        options.restingPause = 10
        return options
    }

    private static func content(_ id: String) -> String {
        // Small ones, middling ones, and some that are too large for the journal's buffer.
        let number = Int(id.drop { !$0.isNumber }) ?? 0
        let length = number % 13 == 0 ? 40_000 : number % 5 == 0 ? 9000 : 300
        return "\(id) " + String(repeating: "\(id) ", count: length / (id.utf8.count + 1))
    }

    private static func given(_ id: String) -> MessageEntry {
        entry(content(id), events: [id], to: ["s"], messageID: id)
    }

    // MARK: - What is done to the store

    /// Messages in groups, alone and again, claims, results, and pauses in which messages are packed and segments used
    /// again; every answer is noted in the log.
    private func work(_ store: SQLiteStore, _ log: PowerCutLog, prefix: String, rounds: Int) async throws {
        for round in 0..<rounds {
            // Some are handed on as they are committed; one of two is delivered.
            let tap = NotingTap(log, room: round % 3 * 2)
            store.setTap(tap, of: "s")
            let ids = (0..<14).map { "\(prefix)\(round * 14 + $0)" }
            let answers = Tally<String>()
            for id in ids {
                store.commit(Self.given(id)) { result in
                    // A repeated one is acknowledged as well.
                    if (try? result.get()) != nil { log.add(.note("commit \(id)")) }
                    answers.add(id)
                }
                // Not all in one group.
                if id.hasSuffix("3") { try await Task.sleep(for: .milliseconds(1)) }
            }
            #expect(try await eventually { answers.all.count == ids.count })
            #expect(try await store.commit(Self.given(ids[3])).isDuplicate)
            let claimed = try await store.claimDue(subscription: "s", now: at(2000), lease: .seconds(60), limit: 5)
            for delivery in claimed { log.add(.note("claim \(delivery.event.id) \(delivery.attempt)")) }
            let done = Array(claimed.prefix(3))
            try await store.finish(done.map { DeliveryResult(id: $0.id, state: .delivered, reason: "") }, now: at(2001))
            for delivery in done { log.add(.note("done \(delivery.event.id)")) }
            store.setTap(nil, of: "s")
            let tapped = tap.taken.enumerated().filter { $0.offset % 2 == 0 }.map(\.element.delivery)
            try await store.finish(tapped.map { DeliveryResult(id: $0.id, state: .delivered, reason: "") }, now: at(2001))
            for delivery in tapped { log.add(.note("done \(delivery.event.id)")) }
            if round % 4 == 3 { try await Task.sleep(for: .milliseconds(60)) }
        }
    }

    private func recordedRun(_ folder: String, rounds: Int) async throws -> PowerCutLog {
        let log = PowerCutLog(folder: folder)
        RecordedDatabase.record(log)
        defer { RecordedDatabase.stopRecording(log) }
        let files = RecordedFiles(log)
        for part in ["a", "b"] {
            let store = try SQLiteStore.open(folder + "/store.db", as: .owner, options: Self.options, files: files)
            try await work(store, log, prefix: part, rounds: rounds)
            await store.close()
        }
        return log
    }

    // MARK: - What has to hold

    private struct Told {
        var acknowledged: Set<String> = []
        var attempts: [String: Int] = [:]
        var done: Set<String> = []

        mutating func hear(_ note: String) {
            let words = note.split(separator: " ").map(String.init)
            switch words[0] {
            case "commit": acknowledged.insert(words[1])
            case "claim": attempts[words[1]] = Int(words[2])
            default: done.insert(words[1])
            }
        }
    }

    /// As it stays where a kill comes before the journal's next records are in the tables.
    private func copyDatabase(of store: SQLiteStore, at path: String, to folder: TemporaryFolder) async throws {
        // Answered when everything is in the tables: nobody writes there now.
        _ = try await store.counts()
        try run("/bin/cp", path, path + "-wal", folder.root)
    }

    private func check(_ folder: String, _ told: Told, _ point: String, files: any StoreFiles = SystemFiles()) async throws {
        let path = folder + "/store.db"
        var options = Self.options
        options.compresses = false
        var store = try SQLiteStore.open(path, as: .owner, options: options, files: files)
        let killed = try TemporaryFolder()
        try await copyDatabase(of: store, at: path, to: killed)
        let events = try await store.events(after: 0, limit: 100_000)
        let ids = events.map(\.event.id)
        let found = Set(ids)
        #expect(found.isSuperset(of: told.acknowledged), "\(point): lost \(told.acknowledged.subtracting(found).sorted())")
        #expect(found.count == ids.count, "\(point): doubled")
        #expect(zip(events, events.dropFirst()).allSatisfy { $0.sequence < $1.sequence }, "\(point)")
        for id in found {
            guard ids.count < 40 || abs(id.hashValue) % 8 == 0 else { continue }
            let message = try #require(try await store.message(ofEvent: id), "\(point)")
            #expect(message.bytes == Array(Self.content(id).utf8), "\(point): \(id) is not what was sent")
        }
        #expect(events.allSatisfy { $0.event == Self.given($0.event.id).verdict.hooks[0].events[0] }, "\(point)")
        let counts = try await store.counts()
        #expect(counts.messages - counts.duplicates == ids.count, "\(point)")
        let deliveries = counts.deliveriesWaiting + counts.deliveriesLeased + counts.deliveriesDelivered
        #expect(deliveries == ids.count, "\(point)")
        // Claims come before what they lead to, so a consumer may see something twice, and knows by the attempt.
        let claimed = try await store.claimDue(subscription: "s", now: at(5000), lease: .seconds(9), limit: 100_000)
        for delivery in claimed {
            #expect(!told.done.contains(delivery.event.id), "\(point): \(delivery.event.id) delivered again")
            #expect(delivery.attempt > told.attempts[delivery.event.id] ?? 0, "\(point): an attempt was forgotten")
        }
        // It goes on from there.
        if let id = told.acknowledged.min() {
            let receipt = try await store.commit(Self.given(id))
            #expect(receipt == CommitReceipt(isDuplicate: true, newEvents: 0), "\(point)")
        }
        #expect(try await store.commit(Self.given("z1")).newEvents == (found.contains("z1") ? 0 : 1), "\(point)")
        try run("/bin/cp", "-r", JournalFolder.of(path), killed.root)
        await store.close()
        let survivor = try SQLiteStore.open(killed.path("store.db"), as: .owner, options: options)
        let kept = Set(try await survivor.events(after: 0, limit: 100_000).map(\.event.id))
        #expect(kept == found.union(["z1"]), "\(point), and a kill after the next records")
        await survivor.close()
        store = try SQLiteStore.open(path, as: .owner, options: options, files: files)
        let again = try await store.events(after: 0, limit: 100_000)
        #expect(again.dropLast().map(\.event.id) == ids.filter { $0 != "z1" } || again.map(\.event.id) == ids, "\(point)")
        await store.close()
    }

    /// A segment that was written ahead while the one after it was begun, as a slow disk leaves it: its number is free
    /// below the newest one.
    private func addSpare(to folder: String) throws {
        let journal = JournalFolder.of(folder + "/store.db")
        let names = (try? FileManager.default.contentsOfDirectory(atPath: journal)) ?? []
        let numbers = Set(names.compactMap { Int($0.prefix { $0 != "." }) })
        guard let free = (1..<(numbers.max() ?? 1)).last(where: { !numbers.contains($0) }) else { return }
        let digits = String(free)
        try Data(count: Self.options.segmentOctets)
            .write(to: URL(fileURLWithPath: journal + "/" + String(repeating: "0", count: 8 - digits.count) + digits + ".seg"))
    }

    /// Walks over a log and checks what is left at about `points` of its changes; in the long form at `longPoints`.
    private func cutEverywhere(
        _ log: PowerCutLog, from start: PowerCutDisk = PowerCutDisk(), told begin: Told = Told(), points: Int,
        longPoints: Int = .max, seed: UInt64, _ name: String, then: ((String, Told, String) async throws -> Void)? = nil
    ) async throws -> Int {
        let entries = log.all
        var generator = SplitMix64(state: seed)
        var disk = start
        var told = begin
        let step = max(1, entries.count / (Self.isLong ? longPoints : points))
        var next = Int.random(in: 0..<step, using: &generator)
        var checked = 0
        for (index, entry) in entries.enumerated() {
            if case .note(let note) = entry { told.hear(note) }
            disk.apply(entry, index)
            // Between a segment's header and its first group is looked at each time.
            let isHeader = entry.isSegmentHeader
            guard index >= next || isHeader else { continue }
            if index >= next { next = index + step }
            let cuts = Self.isLong ? PowerCutDisk.Cut.allCases : [isHeader ? .full : PowerCutDisk.Cut.allCases[checked % 3]]
            for cut in cuts {
                let target = try TemporaryFolder()
                try disk.write(from: log.folder, to: target.root, cut, using: &generator)
                checked += 1
                if isHeader || checked % 2 == 0 { try addSpare(to: target.root) }
                let point = "\(name) after change \(index) of \(entries.count), \(cut) (seed \(seed))"
                do {
                    if let then {
                        try await then(target.root, told, point)
                    } else {
                        try await check(target.root, told, point)
                    }
                } catch {
                    Issue.record("\(point): \(error)")
                }
            }
        }
        return checked
    }

    @Test func aPowerCutAtAnyPointLosesNothing() async throws {
        let folder = try TemporaryFolder()
        let log = try await recordedRun(folder.root, rounds: 9)
        let entries = log.all
        let renames = entries.count { if case .rename = $0 { true } else { false } }
        #expect(renames > 0, "no segment was used again, so this shows nothing about it")
        let seed = UInt64(ProcessInfo.processInfo.environment["MAILHOOKD_SEED"] ?? "") ?? UInt64.random(in: 1...UInt64.max)
        let checked = try await cutEverywhere(log, points: 240, seed: seed, "work")
        print("fault injection: \(checked) points of \(entries.count) changes, \(renames) segments used again (seed \(seed))")
        #expect(checked >= 200)
    }

    /// The power fails, and fails again while the next owner brings the journal's rest to the database.
    @Test func aPowerCutDuringRecoveryLosesNothing() async throws {
        let folder = try TemporaryFolder()
        let log = try await recordedRun(folder.root, rounds: 3)
        let seed = UInt64(ProcessInfo.processInfo.environment["MAILHOOKD_SEED"] ?? "") ?? UInt64.random(in: 1...UInt64.max)
        let count = Mutex(0)
        // Each of them is a recovery of some hundred changes; all of all would take hours.
        _ = try await cutEverywhere(log, points: 12, longPoints: 24, seed: seed, "recovery") { root, told, point in
            // What is on the disk now is all there is, and durable.
            var disk = PowerCutDisk()
            for case let path as String in FileManager.default.enumerator(atPath: root) ?? .init() {
                guard let data = FileManager.default.contents(atPath: root + "/" + path), path.contains(".") else { continue }
                disk.apply(.create(root + "/" + path), -1)
                disk.apply(.write(root + "/" + path, offset: 0, Array(data)), -1)
                disk.apply(.synchronize(root + "/" + path, through: 0), -1)
            }
            for path in [root, root + "/store.db.journal"] { disk.apply(.synchronizeFolder(path), -1) }
            let second = PowerCutLog(folder: root)
            RecordedDatabase.record(second)
            defer { RecordedDatabase.stopRecording(second) }
            try await check(root, told, point, files: RecordedFiles(second))
            let checked = try await cutEverywhere(
                second, from: disk, told: told, points: 8, longPoints: 30, seed: seed, point)
            count.withLock { $0 += checked }
        }
        let checked = count.withLock { $0 }
        print("fault injection: \(checked) points during recoveries (seed \(seed))")
        #expect(checked >= 60)
    }
}

/// Notes what it takes as an attempt that was begun.
private final class NotingTap: DeliveryTap {
    private let log: PowerCutLog
    private let state: Mutex<(room: Int, taken: [LeasedDelivery])>

    init(_ log: PowerCutLog, room: Int) {
        self.log = log
        state = Mutex((room, []))
    }

    var taken: [LeasedDelivery] { state.withLock { $0.taken } }

    func lease(octets: Int) -> Timestamp? {
        state.withLock { state in
            guard state.room > 0 else { return nil }
            state.room -= 1
            return at(3000)
        }
    }

    func take(_ deliveries: [LeasedDelivery]) {
        for leased in deliveries { log.add(.note("claim \(leased.delivery.event.id) \(leased.delivery.attempt)")) }
        state.withLock { $0.taken += deliveries }
    }

    func giveBack(_ count: Int, octets: Int) {}
}
