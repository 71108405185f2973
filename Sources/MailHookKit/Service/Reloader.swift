// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Takes requests to reload, one after the other: reads everything again, refuses or applies it,
// and says so in the log and to the service manager. When the daemon stops, what has not begun is
// not begun any more.

import HookIntake
import Logging
import ServiceLifecycle
import Synchronization

/// What a reload did.
public struct ReloadReport: Sendable, Hashable {
    /// What is questionable, but no reason to refuse.
    public var warnings: [Diagnostic]
    /// As `serve` prints them: `smtp 127.0.0.1:2525`.
    public var listeners: [String]
}

final class Reloader: Service {
    typealias Answer = Result<ReloadReport, SetupFailure>

    private struct State {
        /// A signal is among the requests that have not begun.
        var isSignalWaiting = false
        var isStopping = false
    }

    private struct Request {
        /// Whoever waits for an answer; nil for a signal.
        var continuation: CheckedContinuation<Answer, Never>?
        /// Whether it is meant that no app definition is left.
        var withoutApps = false
    }

    private let services: DaemonServices
    private let state = Mutex(State())
    private let requests: AsyncStream<Request>
    private let request: AsyncStream<Request>.Continuation

    init(_ services: DaemonServices) {
        self.services = services
        (requests, request) = AsyncStream.makeStream()
        services.reload.connect { [weak self] in await self?.reload(withoutApps: $0) ?? Self.stopping }
    }

    func reload(withoutApps: Bool = false) async -> Answer {
        await withCheckedContinuation { continuation in
            guard case .enqueued = request.yield(Request(continuation: continuation, withoutApps: withoutApps)) else {
                return continuation.resume(returning: Self.stopping)
            }
        }
    }

    /// For SIGHUP. Those that come while one waits are answered by the same reload: it reads what they are about.
    func signal() {
        let isWaiting = state.withLock { state in
            defer { state.isSignalWaiting = true }
            return state.isSignalWaiting
        }
        if !isWaiting { request.yield(Request()) }
    }

    func run() async {
        await withGracefulShutdownHandler {
            // What the first setup asks for is begun first; a signal may have come before.
            for await _ in services.beginning.stream {}
            for await request in requests {
                let answer = begins(request) ? await answer(request) : Self.stopping
                request.continuation?.resume(returning: answer)
            }
        } onGracefulShutdown: { [self] in
            stop()
        }
        // Cancelled: nobody asks any more, and who did gets an answer.
        stop()
        for await request in requests { request.continuation?.resume(returning: Self.stopping) }
    }

    private func stop() {
        state.withLock { $0.isStopping = true }
        services.beginning.continuation.finish()
        request.finish()
    }

    /// Whether a request is to be done.
    private func begins(_ request: Request) -> Bool {
        state.withLock { state in
            if request.continuation == nil { state.isSignalWaiting = false }
            return !state.isStopping
        }
    }

    private static var stopping: Answer {
        .failure(SetupFailure(diagnostics: [Diagnostic(.error, file: "daemon", reason: "is stopping")]))
    }

    private func answer(_ request: Request) async -> Answer {
        let (logger, notifier) = (services.logger, services.notifier)
        logger.info("reloading")
        notifier.reloading()
        let answer = await attempt(request)
        switch answer {
        case .success(let report):
            report.warnings.forEach { log($0) }
            logger.info("reloaded", metadata: ["listeners": "\(report.listeners.joined(separator: ", "))"])
            notifier.ready(status: "Reloaded; \(services.tally.text)")
        case .failure(let failure):
            failure.diagnostics.forEach { log($0) }
            let errors = failure.diagnostics.count { $0.severity == .error }
            logger.error("reload refused; everything stays as it was", metadata: ["errors": "\(errors)"])
            let first = failure.diagnostics.first { $0.severity == .error }.map { ": \($0)" } ?? ""
            notifier.ready(status: "Reload refused, \(errors) errors\(first)")
        }
        return answer
    }

    private func attempt(_ request: Request) async -> Answer {
        let running = services.current.value.setup
        switch Setup.load(running.request) {
        case .failure(let failure): return .failure(failure)
        case .success(let setup):
            let fixed = running.whatCannotChange(to: setup) + (request.withoutApps ? [] : running.lostApps(in: setup))
            guard fixed.isEmpty else { return .failure(SetupFailure(diagnostics: setup.warnings + fixed)) }
            do throws(SetupFailure) {
                await services.apply(try services.prepare(setup))
            } catch {
                return .failure(SetupFailure(diagnostics: setup.warnings + error.diagnostics))
            }
            return .success(ReloadReport(warnings: setup.warnings, listeners: services.lines))
        }
    }

    private func log(_ diagnostic: Diagnostic) {
        var metadata: Logger.Metadata = ["file": "\(diagnostic.file)", "reason": "\(diagnostic.reason)"]
        if let position = diagnostic.position {
            metadata["line"] = "\(position.line)"
            metadata["column"] = "\(position.column)"
        }
        if !diagnostic.place.isEmpty { metadata["place"] = "\(diagnostic.place)" }
        if let hint = diagnostic.hint { metadata["hint"] = "\(hint)" }
        let level: Logger.Level =
            switch diagnostic.severity {
            case .note: .info
            case .warning: .warning
            case .error: .error
            }
        services.logger.log(level: level, "configuration", metadata: metadata)
    }
}

extension Setup {
    /// Definitions are moved away and others put in their place: read in between, every address would be unknown and mail
    /// returned to its senders.
    fileprivate func lostApps(in next: Setup) -> [Diagnostic] {
        guard !definitions.isEmpty, next.definitions.isEmpty else { return [] }
        return next.located([
            Diagnostic(
                .error, file: next.configuration.file ?? "configuration", place: "apps",
                reason: "\(next.configuration.apps) holds no app definition any more, and all mail would be refused",
                hint: "put the definitions back; to go on without any, restart the daemon")
        ])
    }

    /// Settings that hold for the life of the process, where `next` has others.
    func whatCannotChange(to next: Setup) -> [Diagnostic] {
        let (old, new) = (configuration, next.configuration)
        var findings: [Diagnostic] = []
        func refuse(_ place: String, _ value: String) {
            findings.append(
                Diagnostic(
                    .error, file: new.file ?? "configuration", place: place,
                    reason: "cannot change while the daemon runs, with \(value); restart it"))
        }
        if old.data != new.data { refuse("data", old.data) }
        if old.stopTimeout != new.stopTimeout { refuse("stopTimeout", "\(old.stopTimeout)") }
        if old.processorBinding != new.processorBinding { refuse("processorBinding", old.processorBinding.rawValue) }
        return next.located(findings)
    }
}
