// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Starts a program for each event and gives it the event on standard input.
// Its standard output goes nowhere; the end of its standard error is logged at debug.

internal import Glibc
public import HookModel
public import Logging
internal import Synchronization

/// The `exec` sink. Exit status 0 is delivered, 75 is tried again, the final ones of sysexits.h are not.
public final class ExecSink: Sink {
    public let maxBatch = 1
    public let concurrency: Int
    public let timeout: Duration

    private let configuration: ExecConfiguration
    private let threads: BlockingThreads
    private let logger: Logger
    private let path: String

    /// `concurrency` programs run at a time; each occupies a thread that mostly sleeps.
    public init(_ configuration: ExecConfiguration, concurrency: Int = 4, logger: Logger) {
        self.configuration = configuration
        self.concurrency = max(1, concurrency)
        self.logger = logger
        timeout = configuration.timeout + ChildProcess.killGrace + .seconds(1)
        threads = BlockingThreads(count: self.concurrency)
        path = getenv("PATH").map { String(cString: $0) } ?? "/usr/local/bin:/usr/bin:/bin"
    }

    public func deliver(_ batch: [ClaimedDelivery], now: Timestamp) async -> [DeliveryVerdict] {
        var verdicts: [DeliveryVerdict] = []
        for delivery in batch { verdicts.append(await deliver(delivery)) }
        return verdicts
    }

    public func shutdown() async { threads.stop() }

    private func deliver(_ delivery: ClaimedDelivery) async -> DeliveryVerdict {
        let process = ChildProcess(
            arguments: configuration.arguments, environment: environment(for: delivery),
            workingDirectory: configuration.workingDirectory,
            input: delivery.event.json + [0x0A], timeout: configuration.timeout)
        let interruption = Interruption()
        let result = await withTaskCancellationHandler {
            await threads.run { process.run(interruption: interruption) }
        } onCancel: {
            interruption.request()
        }
        guard let result else { return .retry(reason: "no_thread") }
        if !result.standardError.isEmpty {
            logger.debug(
                "program wrote to standard error",
                metadata: [
                    "delivery": "\(delivery.id)", "event": "\(delivery.event.id)",
                    "stderr": "\(String(decoding: result.standardError, as: UTF8.self))",
                ])
        }
        return result.end.verdict
    }

    private func environment(for delivery: ClaimedDelivery) -> [String] {
        var variables = ["PATH": path]
        variables.merge(configuration.environment) { $1 }
        variables["MAILHOOKD_EVENT_ID"] = delivery.event.id
        variables["MAILHOOKD_EVENT_TYPE"] = delivery.event.type
        variables["MAILHOOKD_ATTEMPT"] = String(delivery.attempt)
        return variables.map { "\($0.key)=\($0.value)" }
    }
}

/// Asks a running program to be ended.
final class Interruption: Sendable {
    private let flag = Atomic(false)

    func request() { flag.store(true, ordering: .relaxed) }
    var isRequested: Bool { flag.load(ordering: .relaxed) }
}
