// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Deliveries that are handed on by the commit that makes them: the same promises as for those that are
// claimed, in each store.

import Foundation
import HookModel
import HookStore
import Synchronization
import Testing

/// Takes as many as it was told.
final class TestTap: DeliveryTap {
    private let state: Mutex<(room: Int, taken: [LeasedDelivery], givenBack: Int)>
    private let leaseEnds: Timestamp

    init(room: Int, leaseEnds: Timestamp) {
        state = Mutex((room, [], 0))
        self.leaseEnds = leaseEnds
    }

    var taken: [LeasedDelivery] { state.withLock { $0.taken } }
    var givenBack: Int { state.withLock { $0.givenBack } }

    func lease(octets: Int) -> Timestamp? {
        state.withLock { state in
            guard state.room > 0 else { return nil }
            state.room -= 1
            return leaseEnds
        }
    }

    func take(_ deliveries: [LeasedDelivery]) { state.withLock { $0.taken += deliveries } }
    func giveBack(_ count: Int, octets: Int) { state.withLock { $0.givenBack += count } }
}

@Suite struct TapTests {
    @Test(arguments: StoreKind.allCases)
    func aTapGetsWhatIsNewAndTheRestIsClaimed(_ kind: StoreKind) async throws {
        let folder = try TemporaryFolder()
        let store = try kind.make(in: folder)
        let signals = Tally<Set<String>>()
        store.onNewDeliveries { signals.add($0) }
        let tap = TestTap(room: 2, leaseEnds: at(3000))
        store.setTap(tap, of: "s")
        _ = try await store.commit(entry("one", events: ["e1", "e2"], to: ["s", "t"]))
        _ = try await store.commit(entry("one", events: ["e1", "e2"], to: ["s", "t"]))
        _ = try await store.commit(entry("two", events: ["e3"], to: ["s"]))
        #expect(try await eventually { tap.taken.count == 2 })
        #expect(tap.taken.map(\.delivery.event.id) == ["e1", "e2"])
        #expect(tap.taken.allSatisfy { $0.delivery.attempt == 1 && $0.delivery.subscription == "s" && $0.leaseEnds == at(3000) })
        #expect(tap.taken.allSatisfy { $0.delivery.createdAt == at(1000) && $0.delivery.event.json == Array("{\"id\":\"\($0.delivery.event.id)\"}".utf8) })
        // Its numbers are those under which the store knows them.
        for leased in tap.taken {
            let stored = try #require(try await store.delivery(leased.delivery.id))
            #expect(stored.eventID == leased.delivery.event.id && stored.subscription == "s")
            #expect(stored.state == .leased && stored.attempts == 1 && stored.due == at(3000))
        }
        #expect(try await store.claimDue(subscription: "s", now: at(2000), lease: .seconds(9), limit: 9).map(\.event.id) == ["e3"])
        #expect(try await store.claimDue(subscription: "t", now: at(2000), lease: .seconds(9), limit: 9).count == 2)
        #expect(try await eventually { signals.all.reduce(into: Set()) { $0.formUnion($1) } == ["s", "t"] })
        // Once the lease is over it is anybody's.
        try await store.finish([DeliveryResult(id: tap.taken[0].delivery.id, state: .delivered, reason: "")], now: at(2001))
        let again = try await store.claimDue(subscription: "s", now: at(3001), lease: .seconds(9), limit: 9)
        #expect(again.map(\.event.id).sorted() == ["e2", "e3"] && again.allSatisfy { $0.attempt == 2 })
        store.setTap(nil, of: "s")
        _ = try await store.commit(entry("three", events: ["e4"], to: ["s"]))
        #expect(try await store.claimDue(subscription: "s", now: at(3001), lease: .seconds(9), limit: 9).map(\.event.id) == ["e4"])
        #expect(tap.taken.count == 2 && tap.givenBack == 0)
        await store.close()
    }

    /// What is told of a delivery right after it was taken, before and after its row is written.
    @Test(arguments: StoreKind.allCases, [DeliveryResult.State.delivered, .dead, .retry(at: at(2500)), .untried(at: at(2100))])
    func resultsOfTappedDeliveriesCount(_ kind: StoreKind, _ state: DeliveryResult.State) async throws {
        let folder = try TemporaryFolder()
        let store = try kind.make(in: folder)
        let tap = TestTap(room: 99, leaseEnds: at(3000))
        store.setTap(tap, of: "s")
        for index in 0..<20 {
            _ = try await store.commit(entry("m\(index)", events: ["e\(index)"], to: ["s"]))
            guard index % 2 == 0 else { continue }
            #expect(try await eventually { tap.taken.count == index + 1 })
            try await store.finish(
                [DeliveryResult(id: tap.taken[index].delivery.id, state: state, reason: state == .delivered ? "" : "why", detail: "said")],
                now: at(2000))
        }
        for (index, leased) in tap.taken.enumerated() {
            let stored = try #require(try await store.delivery(leased.delivery.id))
            #expect(stored.eventID == "e\(index)")
            guard index % 2 == 0 else {
                #expect(stored.state == .leased && stored.attempts == 1)
                continue
            }
            let attempts = try await store.attempts(ofDelivery: stored.id)
            switch state {
            case .delivered: #expect(stored.state == .delivered && stored.attempts == 1 && attempts == [])
            case .dead, .givenUp: #expect(stored.state == .dead && stored.reason == "why" && attempts.map(\.detail) == ["said"])
            case .retry: #expect(stored.state == .waiting && stored.due == at(2500) && attempts.map(\.number) == [1])
            case .untried: #expect(stored.state == .waiting && stored.attempts == 0 && stored.due == at(2100))
            }
        }
        await store.close()
    }

    /// After a kill nobody is left who was handed them: due at once, and the attempt counts.
    @Test func leasesOfATapEndWithTheProcess() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("store.db")
        var store = try SQLiteStore.open(path, as: .owner)
        let tap = TestTap(room: 2, leaseEnds: at(9000))
        store.setTap(tap, of: "s")
        for id in ["e1", "e2", "e3"] { _ = try await store.commit(entry(id, events: [id], to: ["s"])) }
        await store.close()
        store = try SQLiteStore.open(path, as: .owner)
        let claimed = try await store.claimDue(subscription: "s", now: at(2000), lease: .seconds(9), limit: 9)
        #expect(claimed.map(\.event.id) == ["e1", "e2", "e3"] && claimed.map(\.attempt) == [2, 2, 1])
        // Numbers go on.
        store.setTap(tap, of: "s")
        _ = try await store.add([AddedEvent(event: Event(id: "own", type: "t", json: Array("{}".utf8)), subscriptions: ["s"])], now: at(2000))
        _ = try await store.commit(entry("e5", events: ["e5"], to: ["s"]))
        let all = try await store.deliveries(matching: DeliveryFilter(), after: 0, limit: 99)
        #expect(all.map(\.eventID) == ["e1", "e2", "e3", "own", "e5"])
        await store.close()
    }

    /// Claims that come together never hand out the same delivery, although they count only once they are in the journal.
    @Test(arguments: StoreKind.allCases)
    func claimsAtTheSameTimeShareNothing(_ kind: StoreKind) async throws {
        let folder = try TemporaryFolder()
        let store = try kind.make(in: folder)
        for index in 0..<60 { _ = try await store.commit(entry("m\(index)", events: ["e\(index)"], to: ["s"])) }
        let claimed = try await withThrowingTaskGroup(of: [ClaimedDelivery].self) { group in
            for _ in 0..<20 {
                group.addTask { try await store.claimDue(subscription: "s", now: at(2000), lease: .seconds(9), limit: 5) }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        #expect(claimed.count == 60 && Set(claimed.map(\.id)).count == 60)
        #expect(claimed.allSatisfy { $0.attempt == 1 })
        #expect(try await store.counts().deliveriesLeased == 60)
        await store.close()
    }
}
