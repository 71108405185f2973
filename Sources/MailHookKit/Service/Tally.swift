// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What came in since the daemon started, in numbers, for the service manager's status line.

import Synchronization

final class Tally: Sendable {
    enum Kind: Sendable {
        case accepted
        case refused
        /// The store could not take it; its sender tries again.
        case failed
    }

    private let accepted = Atomic(0)
    private let refused = Atomic(0)
    private let failed = Atomic(0)
    private let events = Atomic(0)

    func count(_ kind: Kind, events newEvents: Int = 0) {
        switch kind {
        case .accepted: accepted.add(1, ordering: .relaxed)
        case .refused: refused.add(1, ordering: .relaxed)
        case .failed: failed.add(1, ordering: .relaxed)
        }
        if newEvents > 0 { events.add(newEvents, ordering: .relaxed) }
    }

    /// On one line.
    var text: String {
        let count = { (counter: borrowing Atomic<Int>) in counter.load(ordering: .relaxed) }
        let failures = count(failed)
        return "\(count(accepted)) messages accepted, \(count(refused)) refused, \(count(events)) events"
            + (failures > 0 ? ", \(failures) not stored" : "")
    }
}
