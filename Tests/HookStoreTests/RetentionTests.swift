// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What is kept, for how long, and what never goes.

import Foundation
import HookModel
import HookStore
import Synchronization
import Testing

/// A store with a clock that is set by hand. Its policy is looked at as soon as it is set.
private final class KeptStore: Sendable {
    let store: SQLiteStore
    private let reports = Mutex<[RetentionReport]>([])

    init(_ path: String, options: SQLiteStore.Options = .init()) throws {
        store = try SQLiteStore.open(path, as: .owner, options: options)
    }

    /// Runs passes at `now` until one of them, asked for here, has reported what it did.
    func pass(_ policy: RetentionPolicy, at now: Timestamp) async throws -> RetentionReport {
        reports.withLock { $0 = [] }
        try store.keep(policy, now: { now }, report: { report in self.reports.withLock { $0.append(report) } })
        // A pass that does nothing reports nothing: one that has to do something comes last.
        _ = try await eventually { !self.reports.withLock { $0.isEmpty } }
        return reports.withLock { $0.first } ?? RetentionReport()
    }
}

private let day: Int64 = 86_400

extension RetentionPolicy {
    fileprivate static func test(
        messages: Int64? = nil, events: Int64? = nil, delivered: Int64? = nil, dead: Int64? = nil,
        duplicates: Int64? = nil, size: Int? = nil, hooks: [String: Ages] = [:]
    ) -> Self {
        func time(_ days: Int64?) -> Duration? { days.map { .seconds($0 * day) } }
        return Self(
            ages: Ages(messages: time(messages), events: time(events)), hooks: hooks, delivered: time(delivered),
            dead: time(dead), duplicates: time(duplicates), size: size)
    }
}

@Suite struct RetentionTests {
    @Test(arguments: [true, false])
    func rawMessagesGoFirstAndTheirRowsStay(_ isSmall: Bool) async throws {
        let folder = try TemporaryFolder()
        let kept = try KeptStore(folder.path("store.db"), options: isSmall ? .small : .init())
        let store = kept.store
        for index in 0..<10 {
            _ = try await store.commit(
                entry("m\(index)", events: ["e\(index)"], at: at(Int64(index) * day), messageID: "id\(index)"))
        }
        // A duplicate has no octets of its own.
        _ = try await store.commit(entry("m2", events: ["e2"], at: at(9 * day), messageID: "again"))
        let report = try await kept.pass(.test(messages: 4), at: at(10 * day))
        #expect(report.messages == 6 && report.events == 0 && report.forgotten == 0 && report.failure == nil)
        for index in 0..<10 {
            let message = try #require(try await store.message(ofEvent: "e\(index)"))
            #expect((message.bytes == nil) == (index < 6), "\(index)")
            #expect(message.size == 2 && message.messageID == "id\(index)")
        }
        #expect(try await store.messages(messageID: "again", limit: 9).first?.bytes == nil)
        // Known still, and not stored again.
        let receipt = try await store.commit(entry("m1", events: ["e1"], at: at(10 * day)))
        #expect(receipt == CommitReceipt(isDuplicate: true, newEvents: 0))
        await store.close()
    }

    @Test func eventsGoUnlessTheyAreStillToBeDelivered() async throws {
        let folder = try TemporaryFolder()
        let kept = try KeptStore(folder.path("store.db"))
        let store = kept.store
        for index in 0..<6 {
            _ = try await store.commit(entry("m\(index)", events: ["e\(index)"], to: ["s"], at: at(Int64(index) * day)))
        }
        // e0 delivered, e1 dead, e2 leased, e3 waits for another try, e4 and e5 were never tried.
        let claimed = try await store.claimDue(subscription: "s", now: at(5 * day), lease: .seconds(1000 * day), limit: 4)
        try await store.finish(
            [
                DeliveryResult(id: claimed[0].id, state: .delivered, reason: ""),
                DeliveryResult(id: claimed[1].id, state: .dead, reason: "http_410"),
                DeliveryResult(id: claimed[3].id, state: .retry(at: at(200 * day)), reason: "timeout"),
            ], now: at(5 * day))
        let report = try await kept.pass(.test(events: 3), at: at(100 * day))
        #expect(report.events == 2 && report.deliveries == 2)
        #expect(try await store.events(after: 0, limit: 99).map(\.event.id) == ["e2", "e3", "e4", "e5"])
        for id in ["e0", "e1"] {
            #expect(try await store.event(id: id) == nil)
            // Its id is known still.
            let receipt = try await store.commit(entry("new with \(id)", events: [id], to: ["s"], at: at(100 * day)))
            #expect(receipt.newEvents == 0)
        }
        let due = try await store.claimDue(subscription: "s", now: at(300 * day), lease: .seconds(9), limit: 99)
        #expect(Set(due.map(\.event.id)) == ["e3", "e4", "e5"])
        await store.close()
    }

    @Test func finishedDeliveriesGoByTheirState() async throws {
        let folder = try TemporaryFolder()
        let kept = try KeptStore(folder.path("store.db"))
        let store = kept.store
        for index in 0..<8 { _ = try await store.commit(entry("m\(index)", events: ["e\(index)"], to: ["s"], at: at(0))) }
        let claimed = try await store.claimDue(subscription: "s", now: at(1), lease: .seconds(9), limit: 6)
        for (index, delivery) in claimed.enumerated() {
            let state: DeliveryResult.State = index % 2 == 0 ? .delivered : .dead
            try await store.finish([DeliveryResult(id: delivery.id, state: state, reason: "")], now: at(Int64(index) * day))
        }
        // Delivered on days 0, 2 and 4; dead on 1, 3 and 5.
        #expect(try await kept.pass(.test(delivered: 7, dead: 8), at: at(10 * day)).deliveries == 3)
        var counts = try await store.counts()
        #expect(counts.deliveriesDelivered == 1 && counts.deliveriesDead == 2 && counts.deliveriesWaiting == 2)
        #expect(counts.events == 8)
        #expect(try await kept.pass(.test(delivered: 1, dead: 1), at: at(1000 * day)).deliveries == 3)
        counts = try await store.counts()
        #expect(counts.deliveriesDelivered == 0 && counts.deliveriesDead == 0 && counts.deliveriesWaiting == 2)
        await store.close()
    }

    /// A number that was given to a delivery is not given to another one, whose result would then be mistaken.
    @Test func numbersAreNotUsedTwice() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("store.db")
        var last: (event: Int64, delivery: Int64) = (0, 0)
        for round in 0..<4 {
            let kept = try KeptStore(path, options: round % 2 == 0 ? .small : .init())
            let store = kept.store
            for index in 0..<30 {
                _ = try await store.commit(entry("m\(round)-\(index)", events: ["e\(round)-\(index)"], to: ["s"], at: at(0)))
            }
            let claimed = try await store.claimDue(subscription: "s", now: at(1), lease: .seconds(9), limit: 99)
            let events = try await store.events(after: 0, limit: 99)
            #expect(claimed.count == 30 && events.count == 30)
            #expect(claimed.allSatisfy { $0.id > last.delivery } && events.allSatisfy { $0.sequence > last.event })
            last = (events.last?.sequence ?? 0, claimed.map(\.id).max() ?? 0)
            #expect(try await store.lastSequence() == last.event)
            try await store.finish(
                claimed.map { DeliveryResult(id: $0.id, state: .delivered, reason: "") }, now: at(2))
            let report = try await kept.pass(
                .test(messages: 1, events: 1, delivered: 1, dead: 1, duplicates: 1), at: at(100 * day))
            // The delivery with the highest number, its event and its message stay until there is a higher one.
            #expect(report.forgotten == (round == 0 ? 29 : 30) && report.failure == nil)
            let counts = try await store.counts()
            #expect(counts.messages == 1 && counts.events == 1)
            #expect(try await store.lastSequence() == last.event)
            await store.close()
        }
    }

    /// Keys go with the last of a message: its content is new again, in the same process and in the next one.
    @Test(arguments: [10, 48_000], [false, true])
    func whatIsForgottenIsNew(_ waitingKeys: Int, _ isReopened: Bool) async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("store.db")
        var options = SQLiteStore.Options()
        options.waitingKeys = waitingKeys
        var kept = try KeptStore(path, options: options)
        for index in 0..<400 {
            _ = try await kept.store.commit(
                entry("m\(index)", events: ["e\(index)"], at: at(Int64(index)), messageID: "id\(index)"))
        }
        let report = try await kept.pass(.test(messages: 1, events: 1, duplicates: 2), at: at(2 * day + 350))
        #expect(report.forgotten == 350 && report.messages == 400 && report.events == 400)
        if isReopened {
            await kept.store.close()
            kept = try KeptStore(path, options: options)
        }
        for index in 0..<400 {
            let receipt = try await kept.store.commit(entry("m\(index)", events: ["e\(index)"], at: at(3 * day)))
            let isNew = index < 350
            #expect(receipt == CommitReceipt(isDuplicate: !isNew, newEvents: isNew ? 1 : 0), "\(index)")
        }
        #expect(try await kept.store.events(after: 0, limit: 999).map(\.sequence) == Array(401...750))
        #expect(try await kept.store.messages(messageID: "id7", limit: 9) == [])
        await kept.store.close()
        #expect(try StoreCheck.run(path).faults == [])
    }

    /// A post whose key was another's is taken once that one is forgotten, and is itself what it repeats from then on.
    @Test func anIdentityBelongsToWhoMadeItsEvent() async throws {
        let folder = try TemporaryFolder()
        let kept = try KeptStore(folder.path("store.db"))
        let store = kept.store
        _ = try await store.commit(entry("first", events: ["key"], at: at(0)))
        let refused = entry("refused", events: ["key"], at: at(3 * day))
        #expect(try await store.commit(refused) == CommitReceipt(isDuplicate: false, newEvents: 0, hasForeignEvents: true))
        #expect(try await store.commit(refused) == CommitReceipt(isDuplicate: true, newEvents: 0, hasForeignEvents: true))
        // The event's content goes first; its id is the first one's still.
        #expect(try await kept.pass(.test(messages: 2, events: 2, duplicates: 4), at: at(3 * day)).events == 1)
        #expect(try await store.commit(refused) == CommitReceipt(isDuplicate: true, newEvents: 0, hasForeignEvents: true))
        #expect(try await kept.pass(.test(messages: 2, events: 2, duplicates: 4), at: at(4 * day + 1)).forgotten == 1)
        #expect(try await store.commit(refused) == CommitReceipt(isDuplicate: true, newEvents: 1))
        #expect(try await store.commit(refused) == CommitReceipt(isDuplicate: true, newEvents: 0))
        #expect(
            try await store.commit(entry("first", events: ["key"], at: at(4 * day)))
                == CommitReceipt(isDuplicate: false, newEvents: 0, hasForeignEvents: true))
        await store.close()
    }

    @Test func hooksMayDiffer() async throws {
        let folder = try TemporaryFolder()
        let kept = try KeptStore(folder.path("store.db"))
        let store = kept.store
        let names = ["app.short", "app.long", "app.event"]
        for (index, name) in names.enumerated() {
            var given = entry("m\(index)", events: ["e\(index)"], at: at(0), type: name)
            given.verdict.hooks[0].eventName = name
            _ = try await store.commit(given)
        }
        // One that two hooks took.
        var both = entry("both", events: ["eb"], at: at(0), type: "app.short")
        both.verdict.hooks[0].eventName = "app.short"
        both.verdict.hooks.append(
            HookVerdict(eventName: "app.long", recipient: "x@y", outcome: .accepted, answer: .accepted, events: []))
        _ = try await store.commit(both)
        let seconds = { (days: Int64) in Duration.seconds(days * day) }
        let policy = RetentionPolicy.test(
            messages: 5, events: 5,
            hooks: [
                "app.short": .init(messages: seconds(1), events: seconds(2)),
                "app.long": .init(messages: nil, events: nil),
            ])
        #expect(try await kept.pass(policy, at: at(3 * day)).messages == 1)
        #expect(try await store.events(after: 0, limit: 9).map(\.event.id) == ["e1", "e2"])
        #expect(try await kept.pass(policy, at: at(9 * day)).messages == 1)
        #expect(try await store.events(after: 0, limit: 9).map(\.event.id) == ["e1"])
        for (id, isKept) in [(1, false), (2, true), (3, false), (4, true)] {
            #expect((try await store.message(Int64(id))?.bytes != nil) == isKept, "\(id)")
        }
        await store.close()
    }

    /// Oldest first, raw messages before events, never what is still to be delivered.
    @Test func theSizeIsBounded() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("store.db")
        var options = SQLiteStore.Options()
        options.compresses = false
        let kept = try KeptStore(path, options: options)
        let store = kept.store
        for index in 0..<200 {
            _ = try await store.commit(
                entry("\(index) " + String(repeating: "x", count: 50_000), events: ["e\(index)"], to: index < 3 ? ["s"] : []))
        }
        var report = try await kept.pass(.test(size: 5 << 20), at: at(2000))
        #expect(report.messages > 80 && report.messages < 180 && report.events == 0 && !report.isOverSize)
        #expect(try await store.message(1)?.bytes == nil)
        #expect(try await store.message(200)?.bytes != nil)
        let summary = try StoreSummary.read(path)
        #expect(summary.usedOctets + summary.rawOctets <= 5 << 20)
        // So little that nothing but what must stay would fit.
        report = try await kept.pass(.test(size: 1 << 10), at: at(2000))
        #expect(report.events == 197 && report.isOverSize)
        #expect(try await store.events(after: 0, limit: 999).map(\.event.id) == ["e0", "e1", "e2"])
        await store.close()
        #expect(try StoreCheck.run(path).faults == [])
    }

    /// Commits go on meanwhile, and none of them waits long.
    @Test func commitsHardlyWait() async throws {
        let folder = try TemporaryFolder()
        let kept = try KeptStore(folder.path("store.db"))
        let store = kept.store
        try await withThrowingTaskGroup(of: Void.self) { group in
            for task in 0..<8 {
                group.addTask {
                    for index in 0..<250 {
                        let id = "\(task)-\(index)"
                        _ = try await store.commit(
                            entry(id + String(repeating: "x", count: 3000), events: [id], at: at(0), messageID: id))
                    }
                }
            }
            try await group.waitForAll()
        }
        let reports = Tally<RetentionReport>()
        try store.keep(
            .test(messages: 1, events: 1, duplicates: 1), now: { at(9 * day) }, report: { reports.add($0) })
        let clock = ContinuousClock()
        var times: [Duration] = []
        while reports.all.isEmpty, times.count < 20_000 {
            let id = "new\(times.count)"
            times.append(
                try await clock.measure { _ = try await store.commit(entry(id, events: [id], at: at(9 * day))) })
        }
        let report = try #require(reports.all.first)
        #expect(report.messages == 2000 && report.events == 2000 && report.forgotten == 2000)
        times.sort()
        // Generous, because tests share their machine; a pass in one piece takes far longer than any of these.
        #expect(times[times.count / 2] < .milliseconds(50), "median \(times[times.count / 2])")
        #expect(try await store.counts().events == times.count)
        await store.close()
    }

    /// Some hundred pages each, from both places where octets are.
    @Test(arguments: [true, false])
    func largeMessagesGo(_ isPacked: Bool) async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("store.db")
        var options = SQLiteStore.Options()
        options.compresses = isPacked
        let kept = try KeptStore(path, options: options)
        let content = (0..<700_000).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 13) }
        for index in 0..<4 {
            var given = entry("m\(index)", at: at(Int64(index) * day))
            given.message.bytes = content
            _ = try await kept.store.commit(given)
        }
        if isPacked {
            #expect(try await eventually { try StoreSummary.read(path).rawOctets < 2_800_000 })
        }
        #expect(try await kept.pass(.test(messages: 2), at: at(4 * day)).messages == 2)
        for id in 1...4 { #expect((try await kept.store.message(Int64(id))?.bytes == nil) == (id < 3)) }
        await kept.store.close()
        #expect(try StoreCheck.run(path, isDeep: true).faults == [])
    }

    /// Another clock than that of the messages: what seems to come from the future is not held against what follows.
    @Test func aWrongClockBlocksNothing() async throws {
        let folder = try TemporaryFolder()
        let kept = try KeptStore(folder.path("store.db"))
        for index in 0..<20 {
            let time = index < 10 ? at(Int64.max / 2_000_000) : at(0)
            _ = try await kept.store.commit(entry("m\(index)", at: time))
        }
        #expect(try await kept.pass(.test(messages: 1), at: at(9 * day)).messages == 10)
        await kept.store.close()
    }
}
