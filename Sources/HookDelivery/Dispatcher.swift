// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Runs one loop a subscription. Loops share nothing but the store, so that none waits for another's receiver.

public import HookModel
public import Logging
public import ServiceLifecycle

/// Delivers what the store holds until it is told to stop.
///
/// Deliveries of subscriptions that are not configured (any more) stay in the store untouched.
public struct Dispatcher: Service {
    private let loops: [SubscriptionLoop]
    private let store: any DeliveryStore
    private let clock: any DeliveryClock
    private let logger: Logger
    /// What the loops are doing.
    public let monitor = DeliveryMonitor()

    /// `makeSink` builds the sink of a subscription; the default makes the ones of this module.
    ///
    /// - Parameters:
    ///   - userAgent: what webhooks call themselves, such as `mailhookd/1.0`.
    ///   - reporter: tells of deliveries that are given up; nil tells nobody.
    public init(
        store: any DeliveryStore, subscriptions: [Subscription], userAgent: String,
        clock: any DeliveryClock = SystemDeliveryClock(), limits: DeliveryLimits = DeliveryLimits(),
        reporter: FailureReporter? = nil, logger: Logger, makeSink: ((Subscription) -> any Sink)? = nil
    ) {
        self.store = store
        self.clock = clock
        self.logger = logger
        let (reporter, monitor) = (reporter ?? FailureReporter(SubscriptionTable([]), instance: ""), monitor)
        loops = subscriptions.map { subscription in
            SubscriptionLoop(
                subscription: subscription,
                sink: makeSink?(subscription)
                    ?? Self.standardSink(for: subscription, userAgent: userAgent, logger: logger),
                store: store, clock: clock, limits: limits, reporter: reporter, monitor: monitor, logger: logger)
        }
    }

    /// The sink of this module that a subscription's configuration asks for.
    public static func standardSink(for subscription: Subscription, userAgent: String, logger: Logger) -> any Sink {
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
            return FileSink(FileConfiguration(path: "/dev/stdout"))
        }
    }

    /// The configured subscriptions, in their order.
    public var subscriptions: [Subscription] { loops.map(\.subscription) }

    /// Puts a status into force that was stored before.
    public func apply(_ status: SubscriptionStatus, to name: String) {
        for loop in loops where loop.name == name { loop.mailbox.post(.status(status)) }
    }

    /// Returns after graceful shutdown, when attempts under way have ended (or were ended) and are stored.
    public func run() async {
        guard await applyStoredStatus() else { return }
        let mailboxes = Dictionary(loops.map { ($0.name, $0.mailbox) }) { first, _ in first }
        store.onNewDeliveries { names in
            for name in names { mailboxes[name]?.signal() }
        }
        await withGracefulShutdownHandler {
            await withDiscardingTaskGroup { group in
                for loop in loops { group.addTask { await loop.run() } }
                if loops.isEmpty { try? await gracefulShutdown() }
            }
        } onGracefulShutdown: {
            for loop in loops { loop.mailbox.post(.shutDown) }
        }
        logger.debug("dispatcher has stopped")
    }

    /// Before anything is sent: a receiver that wanted no more gets no more after a restart either. False when it was
    /// time to stop before the store could be read.
    private func applyStoredStatus() async -> Bool {
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
                try? await clock.sleep(until: clock.now().advanced(by: .seconds(1)))
            }
        }
        return false
    }
}
