// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A sink before another one: events are brought into the shape their subscriber asked for. So sinks need not know that
// there is a choice, and subscribers to what was sent pay nothing for it.

internal import HookModel

/// Hands shaped events to `sink`, which does everything else.
struct ShapedSink: Sink {
    let sink: any Sink
    let payload: EventPayload

    var maxBatch: Int { sink.maxBatch }
    var concurrency: Int { sink.concurrency }
    var timeout: Duration { sink.timeout }

    func deliver(_ batch: [ClaimedDelivery], now: Timestamp) async -> [DeliveryVerdict] {
        await sink.deliver(shaped(batch), now: now)
    }

    func answers(_ batch: [ClaimedDelivery], now: Timestamp) async -> [SinkAnswer] {
        await sink.answers(shaped(batch), now: now)
    }

    func shutdown() async { await sink.shutdown() }

    private func shaped(_ batch: [ClaimedDelivery]) -> [ClaimedDelivery] {
        batch.map { delivery in
            var delivery = delivery
            delivery.event = payload.shaped(delivery.event)
            return delivery
        }
    }
}
