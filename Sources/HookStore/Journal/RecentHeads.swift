// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Heads of records that lie behind a large message, for the thread that brings them to the database: it would have to ask
// the disk for each of them alone, which takes a disk that turns longer than the sync that all of them shared.

internal import Synchronization

/// Safe to share. Nothing depends on what is in here: what is missing is read from the file, and what is there is checked
/// as if it were.
final class RecentHeads: Sendable {
    /// Octets that are kept; the oldest go first.
    private static let limit = 256 << 10

    private struct State {
        var heads: [(sequence: Int64, octets: [UInt8])] = []
        var octets = 0

        mutating func removeFirst() { octets -= heads.removeFirst().octets.count }
    }

    private let state = Mutex(State())

    /// - Parameter sequence: higher than all before.
    func add(_ head: UnsafeRawBufferPointer, sequence: Int64) {
        guard head.count <= Self.limit else { return }
        let octets = Array(head)
        state.withLock { state in
            state.heads.append((sequence, octets))
            state.octets += octets.count
            while state.octets > Self.limit { state.removeFirst() }
        }
    }

    /// The head of a record, which is not kept any longer, and neither are those before it.
    func take(_ sequence: Int64) -> [UInt8]? {
        state.withLock { state in
            while let first = state.heads.first, first.sequence < sequence { state.removeFirst() }
            guard let first = state.heads.first, first.sequence == sequence else { return nil }
            state.removeFirst()
            return first.octets
        }
    }

    /// Records behind `sequence` were not written in the end.
    func forget(after sequence: Int64) {
        state.withLock { state in
            while let last = state.heads.last, last.sequence > sequence {
                state.octets -= last.octets.count
                state.heads.removeLast()
            }
        }
    }
}
