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
    private let store: any EventStore
    private let logger: Logger

    /// `makeSink` builds the sink of a subscription; the default makes the ones of this module.
    ///
    /// - Parameters:
    ///   - userAgent: what webhooks call themselves, such as `mailhookd/1.0`.
    public init(
        store: any EventStore, subscriptions: [Subscription], userAgent: String,
        clock: any DeliveryClock = SystemDeliveryClock(), limits: DeliveryLimits = DeliveryLimits(), logger: Logger,
        makeSink: ((Subscription) -> any Sink)? = nil
    ) {
        self.store = store
        self.logger = logger
        loops = subscriptions.map { subscription in
            SubscriptionLoop(
                name: subscription.name,
                sink: makeSink?(subscription)
                    ?? Self.standardSink(for: subscription, userAgent: userAgent, logger: logger),
                schedule: subscription.schedule, store: store, clock: clock, limits: limits, logger: logger)
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
        }
    }

    /// Returns after graceful shutdown, when attempts under way have ended (or were ended) and are stored.
    public func run() async {
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
}
