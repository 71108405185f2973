// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Keeps the connections to one endpoint busy: deliveries wait on the event loop and each is begun as
// soon as a connection is free, without a turn of anybody else. What went well goes on by itself;
// after anything else the rest is handed back, for somebody else to decide.

internal import HookModel
internal import NIOCore
internal import NIOPosix

/// Deliveries on their way over a bounded number of connections, all of them on one event loop.
final class EndpointQueue: SinkQueue {
    /// What is done for each attempt, on the event loop.
    struct Work: Sendable {
        var concurrency: Int
        var timeout: Duration
        var request: @Sendable (Event, Timestamp) -> ByteBuffer
        var answer: @Sendable (Result<EndpointAnswer, EndpointFailure>, Timestamp) -> SinkAnswer
        /// Called by `add`, on its caller's thread.
        var prepare: @Sendable (Timestamp) -> Void
    }

    /// Used on the event loop only.
    private final class State {
        var waiting = CircularBuffer<LeasedDelivery>()
        var ready: [EndpointConnection] = []
        /// Attempts under way, those that still connect included.
        var underWay = 0
        var busy: [ObjectIdentifier: any Channel] = [:]
        var connecting: [Int: Task<Void, Never>] = [:]
        var lastConnecting = 0
        var isCancelled = false
        var isShutDown = false
        var reports: [SinkReport] = []
        var report: (@Sendable ([SinkReport]) -> Void)?
        var now: @Sendable () -> Timestamp = { Timestamp(microseconds: 0) }
        var ends: [EventLoopPromise<Void>] = []
    }

    private let client: EndpointClient
    private let work: Work
    private let eventLoop: any EventLoop
    private let state: NIOLoopBoundBox<State>

    init(_ client: EndpointClient, _ work: Work) {
        self.client = client
        self.work = work
        eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        state = .makeBoxSendingValue(State(), eventLoop: eventLoop)
    }

    // MARK: - SinkQueue

    func start(now: @escaping @Sendable () -> Timestamp, _ report: @escaping @Sendable ([SinkReport]) -> Void) {
        eventLoop.execute {
            self.state.value.now = now
            self.state.value.report = report
        }
    }

    func add(_ deliveries: [LeasedDelivery], now: Timestamp) {
        work.prepare(now)
        eventLoop.execute {
            self.state.value.waiting.append(contentsOf: deliveries)
            self.proceed()
        }
    }

    func recall() {
        eventLoop.execute { self.handBack() }
    }

    func cancel() {
        eventLoop.execute {
            let state = self.state.value
            state.isCancelled = true
            self.handBack()
            for task in state.connecting.values { task.cancel() }
            for channel in state.busy.values { channel.close(promise: nil) }
        }
    }

    func end() async {
        let promise = eventLoop.makePromise(of: Void.self)
        eventLoop.execute {
            self.state.value.ends.append(promise)
            self.endIfIdle()
        }
        try? await promise.futureResult.get()
    }

    /// Ends connections that carry nothing. Nothing is under way, and nothing follows.
    func shutdown() {
        eventLoop.execute {
            let state = self.state.value
            state.isShutDown = true
            for connection in state.ready { connection.channel.close(promise: nil) }
            state.ready = []
            state.report = nil
        }
    }

    // MARK: - On the event loop

    private func proceed() {
        let state = state.value
        while state.underWay < work.concurrency, let next = state.waiting.popFirst() {
            guard !state.isCancelled, state.now() <= next.latestBegin(work.timeout) else {
                note(.returned(next))
                continue
            }
            state.underWay += 1
            begin(next)
        }
    }

    private func begin(_ delivery: LeasedDelivery) {
        let attempt = Attempt(delivery: delivery, begun: .now(), end: .now() + .nanoseconds(work.timeout.wholeNanoseconds))
        while let connection = state.value.ready.popLast() {
            if connection.channel.isActive { return send(attempt, on: connection) }
        }
        connect(for: attempt)
    }

    private struct Attempt: Sendable {
        var delivery: LeasedDelivery
        var begun: NIODeadline
        var end: NIODeadline
        var isRepeated = false
    }

    private func send(_ attempt: Attempt, on connection: EndpointConnection) {
        let request = work.request(attempt.delivery.delivery.event, state.value.now())
        let id = ObjectIdentifier(connection.channel)
        state.value.busy[id] = connection.channel
        connection.exchange.value.begin(request, until: attempt.end) { result in
            self.state.value.busy[id] = nil
            if case .failure(let failure) = result, failure.isStale, !attempt.isRepeated, !self.state.value.isCancelled {
                var attempt = attempt
                attempt.isRepeated = true
                return self.connect(for: attempt)
            }
            self.conclude(attempt, result)
        }
    }

    private func connect(for attempt: Attempt) {
        let state = state.value
        state.lastConnecting += 1
        let number = state.lastConnecting
        state.connecting[number] = Task { [client, eventLoop] in
            let result: Result<EndpointConnection, EndpointFailure>
            do throws(EndpointFailure) {
                result = .success(
                    try await client.connect(on: eventLoop, until: attempt.end) { [weak self] in self?.keep($0) })
            } catch {
                result = .failure(error)
            }
            eventLoop.execute {
                self.state.value.connecting[number] = nil
                switch result {
                case .success(let connection): self.send(attempt, on: connection)
                case .failure(let failure): self.conclude(attempt, .failure(failure))
                }
            }
        }
    }

    private func keep(_ connection: EndpointConnection) {
        guard !state.value.isShutDown else { return connection.channel.close(promise: nil) }
        state.value.ready.append(connection)
    }

    private func conclude(_ attempt: Attempt, _ result: Result<EndpointAnswer, EndpointFailure>) {
        let state = state.value
        state.underWay -= 1
        var answer = work.answer(result, state.now())
        if state.isCancelled, answer.verdict != .delivered { answer = SinkAnswer(.interrupted) }
        let took = NIODeadline.now() - attempt.begun
        note(.tried(attempt.delivery, answer, took: .nanoseconds(took.nanoseconds)))
        // Whether the others are to be begun all the same is for the subscription's loop to say.
        if answer.verdict == .delivered { proceed() } else { handBack() }
    }

    private func handBack() {
        while let next = state.value.waiting.popFirst() { note(.returned(next)) }
    }

    /// Reports of one turn of the event loop go out together.
    private func note(_ report: SinkReport) {
        let state = state.value
        state.reports.append(report)
        guard state.reports.count == 1 else { return }
        eventLoop.execute {
            let state = self.state.value
            let reports = state.reports
            state.reports = []
            state.report?(reports)
            self.endIfIdle()
        }
    }

    private func endIfIdle() {
        let state = state.value
        guard state.underWay == 0, state.waiting.isEmpty, state.reports.isEmpty else { return }
        for promise in state.ends { promise.succeed(()) }
        state.ends = []
    }
}
