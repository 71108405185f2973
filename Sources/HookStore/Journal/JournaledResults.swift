// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// How attempts ended, as a record of the journal.

internal import HookModel

extension JournalFormat {
    /// How a result is told. Part of the file format.
    fileprivate enum Ending {
        static let delivered: UInt8 = 1
        static let retry: UInt8 = 2
        static let dead: UInt8 = 3
        static let untried: UInt8 = 4
        static let givenUp: UInt8 = 5
    }
}

extension RecordWriter {
    /// The fields of a record of results, in the order in which `JournaledResults` reads them.
    func add(_ results: [DeliveryResult], now: Timestamp) {
        add(now.microseconds)
        add(UInt32(truncatingIfNeeded: results.count))
        for result in results {
            add(result.id)
            switch result.state {
            case .delivered: add(JournalFormat.Ending.delivered, nil)
            case .retry(let due): add(JournalFormat.Ending.retry, due)
            case .dead: add(JournalFormat.Ending.dead, nil)
            case .untried(let due): add(JournalFormat.Ending.untried, due)
            case .givenUp: add(JournalFormat.Ending.givenUp, nil)
            }
            add(result.reason)
            add(result.detail)
        }
    }

    private func add(_ ending: UInt8, _ due: Timestamp?) {
        add(ending)
        if let due { add(due.microseconds) }
    }
}

/// Valid as long as the octets it was made of.
struct JournaledResults {
    let now: Timestamp
    let count: Int
    private var fields: RecordFields

    /// nil if fields are missing.
    init?(_ head: UnsafeRawBufferPointer) {
        var fields = RecordFields(head)
        now = Timestamp(microseconds: fields.number(Int64.self))
        count = Int(fields.number(UInt32.self))
        self.fields = fields
        guard fields.isWhole else { return nil }
    }

    /// The next of `count`; nil if fields are missing or none that this program knows.
    mutating func next() -> DeliveryResult? {
        let id = fields.number(Int64.self)
        let state: DeliveryResult.State
        switch fields.number(UInt8.self) {
        case JournalFormat.Ending.delivered: state = .delivered
        case JournalFormat.Ending.retry: state = .retry(at: Timestamp(microseconds: fields.number(Int64.self)))
        case JournalFormat.Ending.dead: state = .dead
        case JournalFormat.Ending.givenUp: state = .givenUp
        case JournalFormat.Ending.untried: state = .untried(at: Timestamp(microseconds: fields.number(Int64.self)))
        default: return nil
        }
        let (reason, detail) = (fields.part(), fields.part())
        guard fields.isWhole else { return nil }
        return DeliveryResult(id: id, state: state, reason: Self.text(reason), detail: Self.text(detail))
    }

    private static func text(_ octets: UnsafeRawBufferPointer) -> String {
        octets.isEmpty ? "" : String(decoding: octets, as: UTF8.self)
    }
}
