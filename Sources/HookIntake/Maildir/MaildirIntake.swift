// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The Maildir watcher as a service: starts its thread, and on shutdown waits until what was
// handed over has its answer and its file is moved.

import Glibc
public import HookModel
public import Logging
import NIOPosix
public import ServiceLifecycle
import Synchronization

/// Watches Maildirs. Which ones can change while it runs: one watcher then ends with what it has in flight, and
/// another begins by looking at all that is there, so nothing is missed between the two.
public final class MaildirIntake: Service {
    /// Another set of Maildirs, ready to be watched.
    public struct Change: Sendable {
        fileprivate var configuration: MaildirIntakeConfiguration
        /// nil where there is nothing to watch.
        fileprivate var watcher: MaildirWatcher?
    }

    private struct State {
        var configuration: MaildirIntakeConfiguration
        /// The one whose turn it is.
        var watcher: MaildirWatcher?
        /// Changed since `run` looked.
        var isNew = true
        var isStopping = false
    }

    private let state: Mutex<State>
    private let guide: any MaildirGuide
    private let receiver: any MessageReceiver
    private let logger: Logger
    private let now: @Sendable () -> Timestamp
    /// Something for `run` to look at.
    private let news: AsyncStream<Void>
    private let tell: AsyncStream<Void>.Continuation

    /// - Throws: where the system has no descriptors for watching.
    public init(
        configuration: MaildirIntakeConfiguration, guide: any MaildirGuide, receiver: any MessageReceiver,
        logger: Logger, now: @escaping @Sendable () -> Timestamp
    ) throws(MaildirIntakeError) {
        self.guide = guide
        self.receiver = receiver
        self.logger = logger
        self.now = now
        (news, tell) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        let watcher = try Self.watcher(configuration, guide, receiver, logger, now)
        state = Mutex(State(configuration: configuration, watcher: watcher))
    }

    public func run() async {
        // A thread of its own: reading files blocks.
        let thread = NIOThreadPool(numberOfThreads: 1)
        thread.start()
        await withTaskCancellationOrGracefulShutdownHandler {
            while true {
                let (next, isOver) = state.withLock { state in
                    defer { state.isNew = false }
                    return (state.isNew ? state.watcher : nil, state.isStopping)
                }
                if isOver { break }
                if let next {
                    // The pool is only shut down below.
                    try? await thread.runIfActive { next.run() }
                } else {
                    for await _ in news { break }
                    if Task.isCancelled { break }
                }
            }
        } onCancelOrGracefulShutdown: { [self] in
            state.withLock { state in
                state.isStopping = true
                return state.watcher
            }?.stop()
            tell.yield()
        }
        try? await thread.shutdownGracefully()
    }

    /// Makes ready for another configuration; nil where it is the one there is.
    ///
    /// - Throws: where the system has no descriptors for watching.
    public func prepare(_ configuration: MaildirIntakeConfiguration) throws(MaildirIntakeError) -> Change? {
        guard configuration != state.withLock({ $0.configuration }) else { return nil }
        return Change(
            configuration: configuration, watcher: try Self.watcher(configuration, guide, receiver, logger, now))
    }

    /// What is in flight ends under the old configuration; then the new one holds.
    public func apply(_ change: Change) {
        let old = state.withLock { state in
            defer {
                state.configuration = change.configuration
                state.watcher = change.watcher
                state.isNew = true
            }
            return state.watcher
        }
        old?.stop()
        tell.yield()
    }

    private static func watcher(
        _ configuration: MaildirIntakeConfiguration, _ guide: any MaildirGuide, _ receiver: any MessageReceiver,
        _ logger: Logger, _ now: @escaping @Sendable () -> Timestamp
    ) throws(MaildirIntakeError) -> MaildirWatcher? {
        guard !configuration.maildirs.isEmpty else { return nil }
        let watcher = MaildirWatcher(
            configuration: configuration, guide: guide, receiver: receiver, logger: logger, now: now)
        guard let watcher else { throw MaildirIntakeError(reason: String(cString: strerror(errno))) }
        return watcher
    }
}

/// Maildirs can't be watched on this system.
public struct MaildirIntakeError: Error, Sendable, CustomStringConvertible {
    public var reason: String

    public var description: String { "cannot watch Maildirs: \(reason) (see fs.inotify.max_user_instances)" }
}
