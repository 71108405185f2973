// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The sessions that are open, so that shutdown can tell each of them and wait for the last.

import NIOCore
import NIOPosix
import Synchronization

final class SessionRegistry: Sendable {
    /// What shutdown asks of a session.
    struct Session: Sendable {
        var channel: any Channel
        /// Called on the channel's event loop: end now if idle, else after the transaction.
        var finish: @Sendable () -> Void
    }

    private struct State {
        var sessions: [ObjectIdentifier: Session] = [:]
        var isDraining = false
    }

    private let state = Mutex(State())

    var isDraining: Bool { state.withLock { $0.isDraining } }

    func add(_ session: Session) {
        let isDraining = state.withLock { state in
            state.sessions[ObjectIdentifier(session.channel)] = session
            return state.isDraining
        }
        if isDraining { session.channel.eventLoop.execute(session.finish) }
    }

    func remove(_ channel: any Channel) {
        state.withLock { _ = $0.sessions.removeValue(forKey: ObjectIdentifier(channel)) }
    }

    /// Asks all sessions to finish; returns when none is left, or closes what is left after `limit`.
    func drain(within limit: Duration) async {
        let sessions = state.withLock { state in
            state.isDraining = true
            return Array(state.sessions.values)
        }
        for session in sessions { session.channel.eventLoop.execute(session.finish) }
        let deadline = ContinuousClock.now + limit
        while !state.withLock({ $0.sessions.isEmpty }), ContinuousClock.now < deadline {
            // Not a sleep of the task: where a failure elsewhere ends the daemon it is cancelled, and would not wait at all.
            try? await MultiThreadedEventLoopGroup.singleton.any().scheduleTask(in: .milliseconds(10)) {}.futureResult.get()
        }
        for session in state.withLock({ Array($0.sessions.values) }) { session.channel.close(promise: nil) }
    }
}
