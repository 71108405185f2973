// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// How many connections the process has that bring something: of mail, of the web, and of `mailhookd receive`. One alone is
// served best where its client runs, many need all processors (decision 0012).

import Synchronization

/// Connections that are served, and who wants to know whether they are many.
///
/// One for the process, as its event loops are.
public final class OpenConnections: Sendable {
    public static let all = OpenConnections()

    /// So many are many, until no more than `few` are left: between the two nothing changes, so that a connection that
    /// comes and goes changes nothing either.
    static let many = 4
    static let few = 1

    private struct State {
        var count = 0
        var closed = 0
        var areMany = false
        var tell: (@Sendable (Bool) -> Void)?
    }

    private let state = Mutex(State())

    public init() {}

    /// How many there were that are over.
    public var countOfClosed: Int { state.withLock { $0.closed } }

    public func opened() { change(by: 1) }
    public func closed() { change(by: -1) }

    private func change(by difference: Int) {
        state.withLock { state in
            state.count += difference
            if difference < 0 { state.closed += 1 }
            let areMany = state.count > (state.areMany ? Self.few : Self.many - 1)
            guard areMany != state.areMany else { return }
            state.areMany = areMany
            state.tell?(areMany)
        }
    }

    /// Calls `tell` now and with every change, one call after the other, on the thread that opens or closes a connection;
    /// nil ends it. There is one who is told: the last that asked.
    /// All others wait meanwhile, so `tell` has to be short, and may not open, close or ask.
    public func whenMany(_ tell: (@Sendable (Bool) -> Void)?) {
        state.withLock { state in
            state.tell = tell
            tell?(state.areMany)
        }
    }
}
