// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Runs one loop a subscription. Loops share nothing but the store, so that none waits for another's receiver.

public import HookModel
public import Logging
public import ServiceLifecycle
internal import Synchronization

/// Delivers what the store holds until it is told to stop.
///
/// Deliveries of subscriptions that are not configured (any more) stay in the store untouched. Subscriptions can
/// change while it runs.
public final class Dispatcher: Service {
    private struct Running {
        var subscription: Subscription
        var loop: SubscriptionLoop
        var isStopping = false
    }

    private struct State {
        /// What is to run.
        var wanted: [Subscription]
        var running: [String: Running] = [:]
        var isStopping = false
    }

    private let state: Mutex<State>
    /// Says that `state` is to be looked at.
    private let changes = Mailbox<Never>()
    private let makeLoop: @Sendable (Subscription) -> SubscriptionLoop
    private let store: any DeliveryStore
    private let clock: any DeliveryClock
    private let logger: Logger
    private let held = HeldSubscriptions()
    /// What the loops are doing.
    public let monitor = DeliveryMonitor()

    /// `makeSink` builds the sink of a subscription; the default makes the ones of this module.
    ///
    /// - Parameters:
    ///   - userAgent: what webhooks call themselves, such as `mailhookd/1.0`.
    ///   - reporter: tells of deliveries that are given up, by the configuration that holds then; nil tells nobody.
    public init(
        store: any DeliveryStore, subscriptions: [Subscription], userAgent: String,
        clock: any DeliveryClock = SystemDeliveryClock(), limits: DeliveryLimits = DeliveryLimits(),
        reporter: (@Sendable () -> FailureReporter)? = nil, logger: Logger,
        makeSink: (@Sendable (Subscription) -> any Sink)? = nil
    ) {
        self.store = store
        self.clock = clock
        self.logger = logger
        let reporter = reporter ?? { FailureReporter(SubscriptionTable([]), instance: "") }
        let (monitor, held) = (monitor, held)
        state = Mutex(State(wanted: subscriptions))
        makeLoop = { subscription in
            SubscriptionLoop(
                subscription: subscription,
                sink: makeSink?(subscription)
                    ?? Self.standardSink(for: subscription, userAgent: userAgent, logger: logger),
                store: store, clock: clock, limits: limits, reporter: reporter, monitor: monitor, held: held, logger: logger)
        }
    }

    /// From now on these are the subscriptions. Those that stay as they are are not touched; one that is gone or
    /// changed stops after the attempts it has under way, and a changed one then begins anew.
    public func change(_ subscriptions: [Subscription]) {
        state.withLock { $0.wanted = subscriptions }
        changes.signal()
    }

    /// Calls `answer` once when every loop has taken a turn, so that a watchdog sees whether deliveries go on.
    public func probe(_ answer: @escaping @Sendable () -> Void) {
        let isEmpty = state.withLock { state in
            let loops = state.running.values.filter { !$0.isStopping }.map(\.loop)
            let countdown = Countdown(loops.count, answer)
            // Within the lock: a loop that ends is taken out in it, and answers what was posted before.
            for loop in loops { loop.mailbox.post(.probe { countdown.step() }) }
            return loops.isEmpty
        }
        if isEmpty { answer() }
    }

    /// The sink of this module that a subscription's configuration asks for.
    public static func standardSink(for subscription: Subscription, userAgent: String, logger: Logger) -> any Sink {
        let sink = plainSink(for: subscription, userAgent: userAgent, logger: logger)
        return subscription.payload == .event ? sink : ShapedSink(sink: sink, payload: subscription.payload)
    }

    private static func plainSink(for subscription: Subscription, userAgent: String, logger: Logger) -> any Sink {
        var logger = logger
        logger[metadataKey: "subscription"] = "\(subscription.name)"
        switch subscription.sink {
        case .webhook(let configuration):
            return WebhookSink(
                configuration, concurrency: subscription.concurrency ?? 20, userAgent: userAgent, logger: logger)
        case .exec(let configuration):
            return ExecSink(configuration, concurrency: subscription.concurrency ?? 4, logger: logger)
        case .file(let configuration):
            return FileSink(configuration)
        case .standardOutput:
            return StandardOutputSink()
        }
    }

    /// Puts a status into force that was stored before.
    public func apply(_ status: SubscriptionStatus, to name: String) {
        held[name] = status
        state.withLock { state in state.running[name]?.loop.mailbox.post(.status(status)) }
    }

    /// Returns after graceful shutdown, when attempts under way have ended (or were ended) and are stored.
    public func run() async {
        guard await readStoredStatus() else { return }
        store.onNewDeliveries { [self] names in
            let mailboxes = state.withLock { state in names.compactMap { state.running[$0]?.loop.mailbox } }
            for mailbox in mailboxes { mailbox.signal() }
        }
        await withGracefulShutdownHandler {
            await withDiscardingTaskGroup { group in
                while true {
                    let (begun, isOver) = step()
                    for loop in begun { group.addTask { [self] in await run(loop) } }
                    if isOver || Task.isCancelled { break }
                    await changes.wait()
                    _ = changes.take()
                }
            }
        } onGracefulShutdown: { [self] in
            state.withLock { $0.isStopping = true }
            changes.signal()
        }
        logger.debug("dispatcher has stopped")
    }

    /// Before anything is sent: a receiver that wanted no more gets no more after a restart either. False when it was
    /// time to stop before the store could be read.
    private func readStoredStatus() async -> Bool {
        while !Task.isCancelled && !Task.isShuttingDownGracefully {
            do throws(StoreError) {
                for stored in try await store.subscriptions() where stored.status != .active {
                    apply(stored.status, to: stored.name)
                    logger.notice(
                        "subscription is held back",
                        metadata: ["subscription": "\(stored.name)", "status": "\(stored.status)", "reason": "\(stored.reason)"])
                }
                return true
            } catch {
                logger.error("reading the status of subscriptions failed", metadata: ["error": "\(error)"])
                try? await clock.sleep(until: clock.now().advanced(by: .seconds(1)), offset: clock.offset)
            }
        }
        return false
    }

    private func run(_ loop: SubscriptionLoop) async {
        await loop.run()
        state.withLock { _ = $0.running.removeValue(forKey: loop.name) }
        for case .probe(let answer) in loop.mailbox.take().messages { answer() }
        changes.signal()
    }

    /// Tells loops to stop that are not wanted as they are, and returns new ones for what is wanted and does not run.
    /// A name has one loop at a time: its successor begins when it has ended.
    private func step() -> (begun: [SubscriptionLoop], isOver: Bool) {
        state.withLock { state in
            let wanted = Dictionary(
                (state.isStopping ? [] : state.wanted).map { ($0.name, $0) }) { first, _ in first }
            for (name, running) in state.running where !running.isStopping && wanted[name] != running.subscription {
                state.running[name]?.isStopping = true
                running.loop.mailbox.post(.shutDown)
            }
            var begun: [SubscriptionLoop] = []
            for (name, subscription) in wanted where state.running[name] == nil {
                let loop = makeLoop(subscription)
                if held[name] != .active { loop.mailbox.post(.status(held[name])) }
                state.running[name] = Running(subscription: subscription, loop: loop)
                begun.append(loop)
            }
            return (begun, state.isStopping && state.running.isEmpty)
        }
    }
}

/// Calls back at the last of a number of steps.
private final class Countdown: Sendable {
    private let left: Mutex<Int>
    private let atEnd: @Sendable () -> Void

    init(_ count: Int, _ atEnd: @escaping @Sendable () -> Void) {
        left = Mutex(count)
        self.atEnd = atEnd
    }

    func step() {
        let isLast = left.withLock { left in
            left -= 1
            return left == 0
        }
        if isLast { atEnd() }
    }
}
