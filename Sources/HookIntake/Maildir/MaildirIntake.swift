// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The Maildir watcher as a service: starts its thread, and on shutdown waits until what was
// handed over has its answer and its file is moved.

import Glibc
public import HookModel
public import Logging
import NIOPosix
public import ServiceLifecycle

public struct MaildirIntake: Service {
    private let configuration: MaildirIntakeConfiguration
    private let guide: any MaildirGuide
    private let receiver: any MessageReceiver
    private let logger: Logger
    private let now: @Sendable () -> Timestamp

    public init(
        configuration: MaildirIntakeConfiguration, guide: any MaildirGuide, receiver: any MessageReceiver,
        logger: Logger, now: @escaping @Sendable () -> Timestamp
    ) {
        self.configuration = configuration
        self.guide = guide
        self.receiver = receiver
        self.logger = logger
        self.now = now
    }

    public func run() async throws {
        guard !configuration.maildirs.isEmpty else {
            try? await gracefulShutdown()
            return
        }
        guard
            let watcher = MaildirWatcher(
                configuration: configuration, guide: guide, receiver: receiver, logger: logger, now: now)
        else { throw MaildirIntakeError(reason: String(cString: strerror(errno))) }
        // A thread of its own: reading files blocks.
        let thread = NIOThreadPool(numberOfThreads: 1)
        thread.start()
        await withGracefulShutdownHandler {
            // The pool is only shut down below.
            try? await thread.runIfActive { watcher.run() }
        } onGracefulShutdown: {
            watcher.stop()
        }
        try? await thread.shutdownGracefully()
    }
}

/// Maildirs can't be watched on this system.
public struct MaildirIntakeError: Error, Sendable, CustomStringConvertible {
    public var reason: String

    public var description: String { "cannot watch Maildirs: \(reason) (see fs.inotify.max_user_instances)" }
}
