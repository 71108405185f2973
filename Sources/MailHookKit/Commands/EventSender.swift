// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Gives stored events to the daemon, or to the store where none runs, several in a request: each costs a sync, and with
// one event in each a store of a hundred thousand events would take that many.

import HookModel

struct EventSender {
    /// In a request that holds more than one event: what the daemon has in memory for it, and writes in one transaction.
    private static let octetLimit = 1 << 20
    private static let deliveryLimit = 500

    private let client: ControlClient
    private var waiting: [AddedEvent] = []
    /// Of what waits, about.
    private var waitingOctets = 0
    private var waitingDeliveries = 0
    /// How many deliveries were made or begun anew.
    private(set) var deliveries = 0

    init(_ client: ControlClient) { self.client = client }

    /// May keep the event until the request is full or `flush` is called.
    mutating func send(_ event: AddedEvent) async throws(SetupError) {
        let octets = Self.octets(event)
        // One that is over a limit alone goes alone.
        if waitingOctets + octets > Self.octetLimit || waitingDeliveries + event.subscriptions.count > Self.deliveryLimit {
            try await flush()
        }
        waiting.append(event)
        waitingOctets += octets
        waitingDeliveries += event.subscriptions.count
    }

    /// Whether it waits to be sent, and is not in the store yet.
    func holds(_ id: String) -> Bool { waiting.contains { $0.event.id == id } }

    /// Sends what waits. To be called once behind the last event.
    mutating func flush() async throws(SetupError) {
        guard !waiting.isEmpty else { return }
        deliveries += try await client.send(.add(waiting)).count
        waiting = []
        (waitingOctets, waitingDeliveries) = (0, 0)
    }

    /// About what `event` takes in a request.
    private static func octets(_ event: AddedEvent) -> Int {
        event.subscriptions.reduce(event.event.json.count + event.event.id.utf8.count + event.event.type.utf8.count + 128) {
            $0 + $1.utf8.count + 3
        }
    }
}
