// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Deliveries that were handed out to be tried, as a record of the journal; and which of them the table
// does not show yet.

internal import HookModel
internal import Synchronization

extension RecordWriter {
    /// The fields of a record of claims, in the order in which `JournaledClaims` reads them.
    func add(_ ids: [Int64], _ claim: WriteJob.Claim) {
        add(claim.now.microseconds)
        add(claim.now.advanced(by: claim.lease).microseconds)
        add(UInt32(truncatingIfNeeded: ids.count))
        for id in ids { add(id) }
    }
}

/// Valid as long as the octets it was made of.
struct JournaledClaims {
    let now: Int64
    let leaseEnds: Int64
    let count: Int
    private var fields: RecordFields

    /// nil if fields are missing.
    init?(_ head: UnsafeRawBufferPointer) {
        var fields = RecordFields(head)
        now = fields.number(Int64.self)
        leaseEnds = fields.number(Int64.self)
        count = Int(fields.number(UInt32.self))
        self.fields = fields
        guard fields.isWhole else { return nil }
    }

    /// The next of `count`; nil if fields are missing.
    mutating func next() -> Int64? {
        let id = fields.number(Int64.self)
        return fields.isWhole ? id : nil
    }
}

/// Deliveries that were chosen by a claim whose record is not in the table yet: nobody else is to be handed them.
final class ClaimsUnderWay: Sendable {
    /// Whether they were begun anew since they were chosen.
    private let ids = Mutex<[Int64: Bool]>([:])

    var count: Int { ids.withLock { $0.count } }

    func contains(_ id: Int64) -> Bool { ids.withLock { $0[id] != nil } }
    func add(_ new: [Int64]) { ids.withLock { ids in new.forEach { ids[$0] = false } } }
    func remove(_ old: [Int64]) { ids.withLock { ids in old.forEach { ids[$0] = nil } } }

    /// It is begun anew: the claim has what it was before.
    func renew(_ id: Int64) { ids.withLock { if $0[id] != nil { $0[id] = true } } }
    func isRenewed(_ id: Int64) -> Bool { ids.withLock { $0[id] ?? false } }
}
