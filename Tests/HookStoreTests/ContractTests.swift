// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What every store promises, written once and run against each of them.

import HookModel
import HookStore
import Testing

@Suite struct ContractTests {
    @Test(arguments: StoreKind.allCases)
    func receiptsCountWhatIsNew(_ kind: StoreKind) async throws {
        let folder = try TemporaryFolder()
        let store = try kind.make(in: folder)
        let cases: [(MessageEntry, CommitReceipt)] = [
            (entry("one", events: ["e1", "e2"], to: ["s"]), CommitReceipt(isDuplicate: false, newEvents: 2)),
            // The same message again, as after a lost reply.
            (entry("one", events: ["e1", "e2"], to: ["s"]), CommitReceipt(isDuplicate: true, newEvents: 0)),
            // Another message whose hook makes an event that exists.
            (
                entry("two", events: ["e2", "e3"], to: ["s"]),
                CommitReceipt(isDuplicate: false, newEvents: 1, hasForeignEvents: true)
            ),
            (entry("none"), CommitReceipt(isDuplicate: false, newEvents: 0)),
            // The same content by way of a hook that was added later.
            (entry("none", events: ["e4"], to: ["s", "t"]), CommitReceipt(isDuplicate: true, newEvents: 1)),
            // Once more: a repetition made its event, and not the first.
            (entry("none", events: ["e4"], to: ["s", "t"]), CommitReceipt(isDuplicate: true, newEvents: 0)),
            // Twice in one verdict.
            (entry("three", events: ["e5", "e5"], to: ["s"]), CommitReceipt(isDuplicate: false, newEvents: 1)),
            (entry("", events: ["e6"]), CommitReceipt(isDuplicate: false, newEvents: 1)),
            // One whose event is another message's, and the same again: that it is known does not mean that it made it.
            (entry("four", events: ["e6"]), CommitReceipt(isDuplicate: false, newEvents: 0, hasForeignEvents: true)),
            (entry("four", events: ["e6"]), CommitReceipt(isDuplicate: true, newEvents: 0, hasForeignEvents: true)),
            // One that made an event does not own another's.
            (entry("one", events: ["e1", "e6"]), CommitReceipt(isDuplicate: true, newEvents: 0, hasForeignEvents: true)),
        ]
        for (index, (entry, receipt)) in cases.enumerated() {
            #expect(try await store.commit(entry) == receipt, "case \(index)")
        }
        let counts = try await store.counts()
        #expect(counts.messages == 11)
        #expect(counts.duplicates == 5)
        #expect(counts.events == 6)
        #expect(counts.deliveriesWaiting == 6)
        await store.close()
    }

    @Test(arguments: StoreKind.allCases)
    func entriesOfOneGroupShareAnEventID(_ kind: StoreKind) async throws {
        let folder = try TemporaryFolder()
        let store = try kind.make(in: folder)
        let receipts = Tally<CommitReceipt>()
        // Given together, so that they meet in one transaction.
        for index in 0..<50 {
            store.commit(entry("m\(index)", events: ["same"], to: ["s"])) {
                if let receipt = try? $0.get() { receipts.add(receipt) }
            }
        }
        #expect(try await eventually { receipts.all.count == 50 })
        #expect(receipts.all.map(\.newEvents).reduce(0, +) == 1)
        #expect(try await store.claimDue(subscription: "s", now: at(2000), lease: .seconds(9), limit: 99).count == 1)
        await store.close()
    }

    /// The same while the first is not in the database yet: one that made its event, and one whose event was there.
    @Test(arguments: StoreKind.allCases)
    func whoMadeEventsIsKnownWithinAGroup(_ kind: StoreKind) async throws {
        let folder = try TemporaryFolder()
        let store = try kind.make(in: folder)
        let receipts = Tally<(Int, CommitReceipt)>()
        for (index, content) in ["made", "made", "late", "late"].enumerated() {
            store.commit(entry(content, events: ["same"], to: ["s"])) {
                if let receipt = try? $0.get() { receipts.add((index, receipt)) }
            }
        }
        #expect(try await eventually { receipts.all.count == 4 })
        #expect(
            receipts.all.sorted { $0.0 < $1.0 }.map(\.1) == [
                CommitReceipt(isDuplicate: false, newEvents: 1),
                CommitReceipt(isDuplicate: true, newEvents: 0),
                CommitReceipt(isDuplicate: false, newEvents: 0, hasForeignEvents: true),
                CommitReceipt(isDuplicate: true, newEvents: 0, hasForeignEvents: true),
            ])
        await store.close()
    }

    @Test(arguments: StoreKind.allCases)
    func eventsComeInOrder(_ kind: StoreKind) async throws {
        let folder = try TemporaryFolder()
        let store = try kind.make(in: folder)
        #expect(try await store.events(after: 0, limit: 10) == [])
        for index in 0..<10 { _ = try await store.commit(entry("m\(index)", events: ["a\(index)", "b\(index)"])) }
        let all = try await store.events(after: 0, limit: 100)
        #expect(all.map(\.event.id) == (0..<10).flatMap { ["a\($0)", "b\($0)"] })
        #expect(zip(all, all.dropFirst()).allSatisfy { $0.sequence < $1.sequence })
        // In pieces, as a listener reads them.
        var pieces: [StoredEvent] = []
        while case let next = try await store.events(after: pieces.last?.sequence ?? 0, limit: 3), !next.isEmpty {
            #expect(next.count <= 3)
            pieces += next
        }
        #expect(pieces == all)
        #expect(try await store.events(after: 0, limit: 0) == [])
        #expect(try await store.events(after: 0, limit: -1) == [])
        #expect(try await store.events(after: .max, limit: 5) == [])
        await store.close()
    }

    /// Threads that do the work themselves, beside others that leave it to the store.
    @Test(arguments: StoreKind.allCases)
    func messagesCommittedHereAreLikeOthers(_ kind: StoreKind) async throws {
        let folder = try TemporaryFolder()
        let store = try kind.make(in: folder)
        let all = await withTaskGroup(of: [(String, CommitReceipt?)].self) { group in
            for sender in 0..<4 {
                group.addTask {
                    var answers: [(String, CommitReceipt?)] = []
                    for index in 0..<50 {
                        // Each message comes from two senders.
                        let name = "m\(sender / 2)-\(index)"
                        let message = entry(name, events: ["e" + name], to: ["s"])
                        let result = await withCheckedContinuation { continuation in
                            if sender % 2 == 0 {
                                store.commitHere(message) { continuation.resume(returning: $0) }
                            } else {
                                store.commit(message) { continuation.resume(returning: $0) }
                            }
                        }
                        answers.append((name, try? result.get()))
                    }
                    return answers
                }
            }
            var all: [String: [CommitReceipt]] = [:]
            for await answers in group {
                for case (let name, let receipt?) in answers { all[name, default: []].append(receipt) }
            }
            return all
        }
        #expect(all.count == 100)
        for (name, pair) in all {
            #expect(pair.count == 2 && pair.map(\.newEvents).sorted() == [0, 1], "\(name)")
            #expect(pair.filter(\.isDuplicate).count == 1, "\(name)")
        }
        let events = try await store.events(after: 0, limit: 1000)
        #expect(Set(events.map(\.event.id)) == Set(all.keys.map { "e" + $0 }) && events.count == 100)
        #expect(zip(events, events.dropFirst()).allSatisfy { $0.sequence < $1.sequence })
        let claimed = try await store.claimDue(subscription: "s", now: at(2000), lease: .seconds(60), limit: 1000)
        #expect(claimed.count == 100)
        await store.close()
        let late = await withCheckedContinuation { continuation in
            store.commitHere(entry("late")) { continuation.resume(returning: $0) }
        }
        #expect(throws: StoreError.closed) { try late.get() }
    }

    @Test(arguments: StoreKind.allCases)
    func dueDeliveriesAreClaimedOldestFirst(_ kind: StoreKind) async throws {
        let folder = try TemporaryFolder()
        let store = try kind.make(in: folder)
        for (index, time) in [30, 10, 20, 50].enumerated() {
            let entry = entry("m\(index)", events: ["e\(time)"], to: ["s", "other"], at: at(Int64(time)))
            _ = try await store.commit(entry)
        }
        let first = try await store.claimDue(subscription: "s", now: at(40), lease: .seconds(60), limit: 2)
        #expect(first.map(\.event.id) == ["e10", "e20"])
        #expect(first.map(\.attempt) == [1, 1])
        #expect(first.map(\.createdAt) == [at(10), at(20)])
        #expect(first.map(\.subscription) == ["s", "s"])
        #expect(first.first?.event.json == Array(#"{"id":"e10"}"#.utf8))
        #expect(first.first?.event.type == "app.event")
        let second = try await store.claimDue(subscription: "s", now: at(40), lease: .seconds(60), limit: 10)
        #expect(second.map(\.event.id) == ["e30"])
        for (subscription, limit) in [("s", 10), ("unknown", 10), ("other", 0), ("other", -1)] {
            let none = try await store.claimDue(
                subscription: subscription, now: at(40), lease: .seconds(60), limit: limit)
            #expect(none == [])
        }
        await store.close()
    }

    @Test(arguments: StoreKind.allCases)
    func leasesRunOut(_ kind: StoreKind) async throws {
        let folder = try TemporaryFolder()
        let store = try kind.make(in: folder)
        _ = try await store.commit(entry("m", events: ["e"], to: ["s"], at: at(10)))
        let first = try await store.claimDue(subscription: "s", now: at(10), lease: .seconds(5), limit: 9)
        #expect(first.map(\.attempt) == [1])
        #expect(try await store.claimDue(subscription: "s", now: at(14), lease: .seconds(5), limit: 9) == [])
        let second = try await store.claimDue(subscription: "s", now: at(15), lease: .seconds(5), limit: 9)
        #expect(second.map(\.attempt) == [2])
        #expect(second.map(\.id) == first.map(\.id))
        #expect(second.map(\.createdAt) == [at(10)])
        await store.close()
    }

    @Test(arguments: StoreKind.allCases)
    func resultsAreFinal(_ kind: StoreKind) async throws {
        let folder = try TemporaryFolder()
        let store = try kind.make(in: folder)
        _ = try await store.commit(entry("m", events: ["a", "b", "c"], to: ["s"], at: at(10)))
        let claimed = try await store.claimDue(subscription: "s", now: at(10), lease: .seconds(5), limit: 9)
        let ids = claimed.map(\.id)
        try #require(ids.count == 3)
        try await store.finish(
            [
                DeliveryResult(id: ids[0], state: .delivered, reason: ""),
                DeliveryResult(id: ids[1], state: .retry(at: at(100)), reason: "http_503"),
                DeliveryResult(id: ids[2], state: .dead, reason: "http_410"),
                DeliveryResult(id: 987_654, state: .dead, reason: "unknown"),
                DeliveryResult(id: -1, state: .dead, reason: "unknown"),
            ], now: at(11))
        #expect(try await store.nextDue(subscription: "s") == at(100))
        #expect(try await store.claimDue(subscription: "s", now: at(99), lease: .seconds(5), limit: 9) == [])
        // A late result changes nothing that is over.
        try await store.finish(
            [ids[0], ids[2]].map { DeliveryResult(id: $0, state: .retry(at: at(1)), reason: "late") }, now: at(12))
        let again = try await store.claimDue(subscription: "s", now: at(100), lease: .seconds(5), limit: 9)
        #expect(again.map(\.event.id) == ["b"])
        #expect(again.map(\.attempt) == [2])
        let counts = try await store.counts()
        #expect(counts.deliveriesDelivered == 1)
        #expect(counts.deliveriesDead == 1)
        #expect(counts.deliveriesLeased == 1)
        try await store.finish([], now: at(101))
        await store.close()
    }

    @Test(arguments: StoreKind.allCases)
    func nextDueIsTheEarliest(_ kind: StoreKind) async throws {
        let folder = try TemporaryFolder()
        let store = try kind.make(in: folder)
        #expect(try await store.nextDue(subscription: "s") == nil)
        _ = try await store.commit(entry("m1", events: ["e1"], to: ["s"], at: at(20)))
        _ = try await store.commit(entry("m2", events: ["e2"], to: ["s", "t"], at: at(10)))
        #expect(try await store.nextDue(subscription: "s") == at(10))
        #expect(try await store.nextDue(subscription: "unknown") == nil)
        let claimed = try await store.claimDue(subscription: "s", now: at(10), lease: .seconds(50), limit: 9)
        #expect(try await store.nextDue(subscription: "s") == at(20))
        try await store.finish(claimed.map { DeliveryResult(id: $0.id, state: .delivered, reason: "") }, now: at(11))
        // What is being tried counts with the end of its lease.
        _ = try await store.claimDue(subscription: "s", now: at(20), lease: .seconds(50), limit: 9)
        #expect(try await store.nextDue(subscription: "s") == at(70))
        #expect(try await store.nextDue(subscription: "t") == at(10))
        await store.close()
    }

    @Test(arguments: StoreKind.allCases)
    func newDeliveriesAreSignalled(_ kind: StoreKind) async throws {
        let folder = try TemporaryFolder()
        let store = try kind.make(in: folder)
        let signals = Tally<Set<String>>()
        store.onNewDeliveries { signals.add($0) }
        _ = try await store.commit(entry("m1", events: ["e1"], to: ["s", "t"]))
        #expect(try await eventually { signals.all == [["s", "t"]] })
        _ = try await store.commit(entry("m1", events: ["e1"], to: ["s", "t"]))
        _ = try await store.commit(entry("m2", events: ["e2"], to: []))
        _ = try await store.commit(entry("m3", events: ["e3"], to: ["u"]))
        #expect(try await eventually { signals.all.count == 2 })
        #expect(signals.all.last == ["u"])
        await store.close()
    }

    @Test(arguments: StoreKind.allCases)
    func everythingCanBeLookedUp(_ kind: StoreKind) async throws {
        let folder = try TemporaryFolder()
        let store = try kind.make(in: folder)
        let given = entry("content\u{0}\r\n", events: ["e1"], to: ["s"], at: at(77), messageID: "x@y")
        _ = try await store.commit(given)
        _ = try await store.commit(given)
        let event = try #require(try await store.event(id: "e1"))
        #expect(event.event == given.verdict.hooks[0].events[0])
        let message = try #require(try await store.message(ofEvent: "e1"))
        #expect(message.envelope == given.message.envelope)
        #expect(message.bytes == given.message.bytes)
        #expect(message.size == given.message.bytes.count)
        #expect(message.receivedAt == at(77))
        #expect(message.contentDigest == given.verdict.contentDigest)
        #expect(message.messageID == "x@y")
        #expect(message.duplicateOf == nil)
        #expect(message.answer == .accepted)
        #expect(
            message.verdicts == [
                StoredVerdict(
                    eventName: "app.event", recipient: "b@example.com", outcome: .accepted, answer: .accepted, events: 1
                )
            ])
        let both = try await store.messages(messageID: "x@y", limit: 9)
        #expect(both.map(\.duplicateOf) == [nil, message.id])
        #expect(both.map(\.bytes) == [given.message.bytes, given.message.bytes])
        #expect(try await store.messages(messageID: "x@y", limit: 1).map(\.id) == [message.id])
        #expect(try await store.message(message.id) == message)
        #expect(try await store.event(id: "e2") == nil)
        #expect(try await store.message(99) == nil)
        #expect(try await store.message(0) == nil)
        #expect(try await store.message(ofEvent: "e2") == nil)
        #expect(try await store.messages(messageID: "", limit: 9) == [])
        await store.close()
    }

    @Test(arguments: StoreKind.allCases)
    func envelopesSurvive(_ kind: StoreKind) async throws {
        let folder = try TemporaryFolder()
        let store = try kind.make(in: folder)
        let envelopes = [
            Envelope(source: .pipe, mailFrom: nil, recipients: []),
            Envelope(source: .lmtp, mailFrom: "", recipients: [""], peer: "", helo: ""),
            Envelope(source: .maildir, mailFrom: "ü\u{0}@x", recipients: ["[", "\"", "\\", "\u{7F}\u{10FFFF}"]),
        ]
        for (index, envelope) in envelopes.enumerated() {
            var given = entry("m\(index)")
            given.message.envelope = envelope
            given.verdict.hooks = []
            _ = try await store.commit(given)
            let message = try #require(try await store.message(Int64(index + 1)))
            #expect(message.envelope == envelope)
            #expect(message.verdicts == [])
            #expect(message.answer == .recipientUnknown)
        }
        await store.close()
    }

    /// Every completion is called once, whether its commit came before or after the end.
    @Test(arguments: StoreKind.allCases)
    func closingAnswersEverybody(_ kind: StoreKind) async throws {
        let folder = try TemporaryFolder()
        let store = try kind.make(in: folder)
        let answers = Tally<(Int, Result<CommitReceipt, StoreError>)>()
        let count = 400
        for index in 0..<count {
            store.commit(entry("m\(index)", events: ["e\(index)"], to: ["s"])) { answers.add((index, $0)) }
            if index == count / 2 { Task { await store.close() } }
        }
        await store.close()
        #expect(try await eventually { answers.all.count >= count })
        #expect(Set(answers.all.map(\.0)).count == count)
        #expect(answers.all.count == count)
        for (index, answer) in answers.all {
            switch answer {
            case .success: break
            case .failure(let error): #expect(error == .closed, "entry \(index)")
            }
        }
        await #expect(throws: StoreError.closed) { try await store.commit(entry("late")) }
        await #expect(throws: StoreError.closed) {
            try await store.claimDue(subscription: "s", now: at(1), lease: .seconds(1), limit: 1)
        }
        await #expect(throws: StoreError.closed) { try await store.finish([], now: at(1)) }
        await #expect(throws: StoreError.closed) { try await store.nextDue(subscription: "s") }
        await #expect(throws: StoreError.closed) { try await store.events(after: 0, limit: 1) }
        await #expect(throws: StoreError.closed) { try await store.event(id: "e1") }
        // A second call returns as well.
        await store.close()
    }

    @Test(arguments: StoreKind.allCases)
    func manyCommitAndClaimAtOnce(_ kind: StoreKind) async throws {
        let folder = try TemporaryFolder()
        let store = try kind.make(in: folder)
        let tasks = 8
        let each = 40
        try await withThrowingTaskGroup(of: Int.self) { group in
            for task in 0..<tasks {
                group.addTask {
                    var new = 0
                    for index in 0..<each {
                        // Half of the events are made by two tasks each.
                        let id = index % 2 == 0 ? "e\(task)-\(index)" : "e\(task / 2)-\(index)"
                        new += try await store.commit(entry("m\(task)-\(index)", events: [id], to: ["s"])).newEvents
                    }
                    return new
                }
            }
            let claimed = Tally<Int64>()
            try await withThrowingTaskGroup(of: Void.self) { claimers in
                for _ in 0..<4 {
                    claimers.addTask {
                        for _ in 0..<20 {
                            let some = try await store.claimDue(
                                subscription: "s", now: at(2000), lease: .seconds(600), limit: 7)
                            some.forEach { claimed.add($0.id) }
                            try await store.finish(
                                some.map { DeliveryResult(id: $0.id, state: .delivered, reason: "") }, now: at(2000))
                        }
                    }
                }
                try await claimers.waitForAll()
            }
            #expect(Set(claimed.all).count == claimed.all.count)
            var new = 0
            for try await count in group { new += count }
            #expect(new == tasks * each / 2 + tasks / 2 * each / 2)
            let events = try await store.events(after: 0, limit: 10_000)
            #expect(events.count == new)
            #expect(Set(events.map(\.event.id)).count == new)
            let rest = try await store.claimDue(subscription: "s", now: at(2000), lease: .seconds(600), limit: 10_000)
            #expect(rest.count + claimed.all.count == new)
        }
        await store.close()
    }
}
