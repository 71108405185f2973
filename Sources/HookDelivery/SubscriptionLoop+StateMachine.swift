// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What one subscription does next: claim, deliver, store results, or wait. No I/O, no clock: events come in
// as calls of methods, `next` answers with one action at a time until it says wait or stop.

internal import HookModel

extension SubscriptionLoop {
    struct StateMachine {
        /// running -> draining -> cancelled
        private enum Phase: Equatable {
            case running
            /// Nothing new is begun. At `until` the calls under way are cancelled.
            case draining(until: Timestamp)
            case cancelled
        }

        private let settings: Settings
        private var phase = Phase.running

        /// Whether a claim may bring something.
        private var mayBeDue = true
        /// No delivery is due before this, other than those that were signalled; nil if the store has to be asked.
        private var nextDue: Timestamp?
        /// The earliest retry that was stored while the store looked for the next due one, and may have missed it.
        private var dueMeanwhile: Timestamp?
        /// New deliveries were signalled after the claim under way was begun.
        private var isClaimStale = false
        /// The last claim brought all there was.
        private var isCaughtUp = false
        /// Deliveries on their way from the tap.
        private var tapped = 0
        private var isClaiming = false
        private var isFinishing = false
        private var isLookingUp = false

        /// Ids of what was claimed or handed until its result is stored. A clock that leaps ends leases, so the store is told
        /// which ones it must not hand out again.
        private(set) var held: Set<Int64> = []
        /// Of those, which were held when the store told of new deliveries: among them may be one that was begun anew, which
        /// no claim finds before its attempt has ended.
        private var heldAtSignal: Set<Int64> = []
        /// The store told again, and others may be held by now.
        private var isSignalledSince = false
        /// Claimed and not yet tried, oldest last, so that taking one is cheap.
        private var waiting: [LeasedDelivery] = []
        private var calls = 0
        private var deliveriesUnderWay = 0
        private var octetsHeld = 0
        private var results: [DeliveryResult] = []

        /// How long calls took lately: grows at once, shrinks slowly. nil before anything was delivered.
        private var pace: Duration?
        /// Octets of the largest event lately; shrinks slowly.
        private var largestEvent = 0
        /// The receiver asked for silence.
        private var pausedUntil: Timestamp?
        private(set) var breaker: CircuitBreaker
        private var gate: RateGate
        /// Nothing is begun until somebody says so.
        private(set) var isSuspended = false
        private var disableReason: String?
        private var isDisabling = false
        private var mustExpire = false
        private var isExpiring = false
        private var mustHasten = false
        private var hastensUntried = false
        private var isHastening = false
        /// What the sink's queue holds is not to be begun any more.
        private var mustRecall = false
        private var storeFailures = 0
        private var storeRetryAt: Timestamp?

        init(_ settings: Settings) {
            self.settings = settings
            breaker = CircuitBreaker(settings.breaker)
            gate = RateGate(settings.rate)
        }
    }
}

// MARK: What happened

extension SubscriptionLoop.StateMachine {
    /// The store has new deliveries.
    mutating func newDeliveries() {
        lookAgain()
        if heldAtSignal.isEmpty { heldAtSignal = held } else { isSignalledSince = true }
    }

    private mutating func lookAgain() {
        mayBeDue = true
        isClaimStale = true
    }

    /// Somebody paused, disabled or resumed the subscription. Resuming forgets what was held against the endpoint.
    mutating func suspend(_ isSuspended: Bool) {
        self.isSuspended = isSuspended
        disableReason = nil
        if isSuspended, settings.hasQueue, calls > 0 { mustRecall = true }
        guard !isSuspended else { return }
        breaker.reset()
        pausedUntil = nil
        newDeliveries()
    }

    mutating func disabled() {
        isDisabling = false
        disableReason = nil
        storeWorked()
    }

    mutating func disableFailed(now: Timestamp) {
        isDisabling = false
        storeFailed(now: now)
    }

    /// Failing is no loss: the next probe that fails comes back to it.
    mutating func expired() { isExpiring = false }

    /// Failing is no loss here either: what is due next is asked again and again.
    mutating func hastened() { isHastening = false }

    /// The clock may have been ahead when deliveries in the store were put off.
    mutating func clockMayHaveBeenAhead() { mustHasten = true }

    /// The clock was set. Times that are held here move along. Leases stay as they are in the store, which hands out nothing
    /// that is held, whether its lease has ended or not.
    mutating func clockWasSet(by step: Duration) {
        breaker.clockWasSet(by: step)
        gate.clockWasSet(by: step)
        pausedUntil = pausedUntil?.advanced(by: step)
        storeRetryAt = storeRetryAt?.advanced(by: step)
        if case .draining(let until) = phase { phase = .draining(until: until.advanced(by: step)) }
        for index in results.indices { results[index].state.clockWasSet(by: step) }
        nextDue = nil
        guard step < .zero else { return }
        (mustHasten, hastensUntried) = (true, true)
    }

    /// Nothing is put off for longer.
    private var longestWait: Duration {
        lease + max(settings.schedule.maximumDelay, settings.limits.longestPause, (settings.breaker?.longestPause ?? .zero) * 2)
    }

    /// A claim of `limit` was answered. `claimedAt` is the `now` it was made with.
    mutating func claimed(_ deliveries: [ClaimedDelivery], limit: Int, claimedAt: Timestamp) {
        isClaiming = false
        storeWorked()
        isCaughtUp = deliveries.count < limit
        if isCaughtUp, !isClaimStale { mayBeDue = false }
        let leaseEnds = claimedAt.advanced(by: lease)
        hold(deliveries.map { LeasedDelivery($0, leaseEnds: leaseEnds) })
    }

    /// The tap took them as they were made.
    mutating func handed(_ deliveries: [LeasedDelivery]) {
        if !deliveries.isEmpty { hold(deliveries) }
    }

    private mutating func hold(_ deliveries: [LeasedDelivery]) {
        // What the tap takes while a claim is under way, and the clock leaps, may come by both.
        let deliveries = deliveries.filter { held.insert($0.delivery.id).inserted }
        waiting.insert(contentsOf: deliveries.reversed(), at: 0)
        largestEvent = largestEvent / 8 * 7
        for leased in deliveries {
            octetsHeld += leased.delivery.event.json.count
            largestEvent = max(largestEvent, leased.delivery.event.json.count)
        }
    }

    /// The store was asked when the next delivery is due.
    mutating func foundNextDue(_ due: Timestamp?, now: Timestamp) {
        isLookingUp = false
        storeWorked()
        let latest = now.advanced(by: settings.limits.longestSleep)
        if let due, due > now.advanced(by: longestWait) { clockMayHaveBeenAhead() }
        nextDue = min(due ?? latest, dueMeanwhile ?? latest, latest)
        dueMeanwhile = nil
    }

    /// A call of the sink has ended. Returns what will be stored, in the order of `batch`.
    mutating func tried(
        _ batch: [ClaimedDelivery], _ verdicts: [DeliveryVerdict], details: [String] = [], took: Duration, now: Timestamp,
        using generator: inout some RandomNumberGenerator
    ) -> ArraySlice<DeliveryResult> {
        calls -= 1
        let first = results.count
        for (index, delivery) in batch.enumerated() {
            // A sink that answers for fewer than it was given has not delivered the rest.
            let verdict = index < verdicts.count ? verdicts[index] : .retry(reason: "no_verdict")
            note(delivery, verdict, detail: index < details.count ? details[index] : "", took, now, &generator)
        }
        return results[first...]
    }

    private mutating func note(
        _ delivery: ClaimedDelivery, _ verdict: DeliveryVerdict, detail: String, _ took: Duration, _ now: Timestamp,
        _ generator: inout some RandomNumberGenerator
    ) {
        deliveriesUnderWay -= 1
        octetsHeld -= delivery.event.json.count
        learn(from: verdict, took: took, now: now, using: &generator)
        var result = result(of: delivery, verdict, now: now, using: &generator)
        result.detail = detail
        results.append(result)
    }

    /// What the sink's queue reports. Returns those that were tried and what will be stored, in one order.
    mutating func reported(
        _ reports: [SinkReport], now: Timestamp, using generator: inout some RandomNumberGenerator
    ) -> (tried: [ClaimedDelivery], results: ArraySlice<DeliveryResult>) {
        let first = results.count
        var tried: [ClaimedDelivery] = []
        tried.reserveCapacity(reports.count)
        var returned: [LeasedDelivery] = []
        for report in reports {
            calls -= 1
            switch report {
            case .tried(let leased, let answer, let took):
                tried.append(leased.delivery)
                note(leased.delivery, answer.verdict, detail: answer.detail, took, now, &generator)
            case .returned(let leased):
                returned.append(leased)
                deliveriesUnderWay -= 1
                // If it was the one that was to find out, another one has to.
                breaker.ended(.untried, now: now, using: &generator)
            }
        }
        waiting += returned.reversed()
        return (tried, results[first...])
    }

    /// Results are stored.
    mutating func finished(_ stored: [DeliveryResult]) {
        isFinishing = false
        storeWorked()
        if settings.isOrdered { lookAgain() }
        for result in stored {
            held.remove(result.id)
            if heldAtSignal.remove(result.id) != nil || isSignalledSince { lookAgain() }
            guard let due = result.state.due else { continue }
            if let known = nextDue { nextDue = min(known, due) }
            if isLookingUp { dueMeanwhile = min(dueMeanwhile ?? due, due) }
        }
        guard heldAtSignal.isEmpty, isSignalledSince else { return }
        (heldAtSignal, isSignalledSince) = (held, false)
    }

    mutating func claimFailed(now: Timestamp) {
        isClaiming = false
        storeFailed(now: now)
    }

    mutating func lookUpFailed(now: Timestamp) {
        isLookingUp = false
        dueMeanwhile = nil
        storeFailed(now: now)
    }

    mutating func finishFailed(_ unstored: [DeliveryResult], now: Timestamp) {
        isFinishing = false
        storeFailed(now: now)
        // At the end nobody waits for a store that does not work: leases run out, and the deliveries come again.
        if phase != .cancelled { results.insert(contentsOf: unstored, at: 0) }
    }

    /// Begins to stop. A second call changes nothing.
    mutating func shutDown(now: Timestamp) {
        guard phase == .running else { return }
        phase = .draining(until: now.advanced(by: settings.limits.shutdownGrace))
        if settings.hasQueue, calls > 0 { mustRecall = true }
    }

    private mutating func storeWorked() {
        storeFailures = 0
        storeRetryAt = nil
    }

    private mutating func storeFailed(now: Timestamp) {
        let wait = settings.limits.storeBackoff * (1 << min(storeFailures, 20))
        storeFailures += 1
        storeRetryAt = now.advanced(by: min(wait, settings.limits.storeBackoffMaximum))
    }

    private mutating func learn(
        from verdict: DeliveryVerdict, took: Duration, now: Timestamp, using generator: inout some RandomNumberGenerator
    ) {
        breaker.ended(verdict, now: now, using: &generator)
        if let downSince = breaker.downSince, breaker.openUntil != nil,
            now.duration(since: downSince) >= settings.schedule.length
        {
            mustExpire = true
        }
        switch verdict {
        case .delivered:
            pace = max(took, (pace ?? .zero) * 7 / 8)
        case .retry(_, let after):
            // Claiming ahead is for receivers that take what they get.
            pace = max(settings.timeout, took)
            guard let after, after > .zero else { return }
            let until = now.advanced(by: min(after, settings.limits.longestPause))
            pausedUntil = max(pausedUntil ?? until, until)
        case .gone(let reason):
            isSuspended = true
            disableReason = reason
        case .dead, .interrupted, .untried:
            return
        }
    }

    private mutating func result(
        of delivery: ClaimedDelivery, _ verdict: DeliveryVerdict, now: Timestamp,
        using generator: inout some RandomNumberGenerator
    ) -> DeliveryResult {
        switch verdict {
        case .delivered:
            return DeliveryResult(id: delivery.id, state: .delivered, reason: "")
        case .dead(let reason), .gone(let reason):
            return DeliveryResult(id: delivery.id, state: .dead, reason: reason)
        case .untried:
            return DeliveryResult(id: delivery.id, state: .untried(at: now), reason: "not_tried")
        case .interrupted:
            return DeliveryResult(id: delivery.id, state: .retry(at: now), reason: "interrupted")
        case .retry(let reason, let after):
            let next = settings.schedule.next(
                afterAttempt: delivery.attempt, retryAfter: after, now: now, using: &generator)
            switch next {
            case .retry(let due): return DeliveryResult(id: delivery.id, state: .retry(at: due), reason: reason)
            case .exhausted:
                if settings.isDisabledWhenExhausted {
                    isSuspended = true
                    disableReason = "exhausted"
                }
                return DeliveryResult(id: delivery.id, state: .dead, reason: reason)
            }
        }
    }
}

// MARK: What to do

extension SubscriptionLoop.StateMachine {
    /// A claim lasts until what was claimed ahead has been tried, too.
    private var lease: Duration {
        settings.timeout + settings.limits.lookAhead * 2 + settings.limits.leaseMargin
    }

    /// The next thing to do at `now`. Asked again and again until the answer is `wait` or `stop`.
    mutating func next(now: Timestamp) -> Action {
        if let due = nextDue, due <= now {
            mayBeDue = true
            nextDue = nil
        }
        if let until = pausedUntil, until <= now { pausedUntil = nil }
        if let until = storeRetryAt, until <= now { storeRetryAt = nil }
        breaker.tick(now: now)
        if mustRecall {
            mustRecall = false
            return .recall
        }
        giveBack(now: now)
        if !results.isEmpty, !isFinishing, storeRetryAt == nil || phase == .cancelled {
            isFinishing = true
            defer { results = [] }
            return .finish(results)
        }
        if let disableReason, !isDisabling, storeRetryAt == nil, phase != .cancelled {
            isDisabling = true
            return .disable(reason: disableReason)
        }
        switch phase {
        case .running: return nextWhileRunning(now: now)
        case .draining(let until):
            if isIdle { return .stop }
            guard until <= now else { return .wait(until: min(until, storeRetryAt ?? until)) }
            phase = .cancelled
            return .cancelCalls
        case .cancelled: return isIdle ? .stop : .wait(until: nil)
        }
    }

    private var isIdle: Bool {
        calls == 0 && tapped == 0 && results.isEmpty && !isFinishing && !isClaiming && !isLookingUp && !isDisabling && !isExpiring
            && !isHastening
    }

    /// Puts deliveries back that were claimed and can no longer be tried within their lease, or not at all.
    private mutating func giveBack(now: Timestamp) {
        guard let oldest = waiting.last else { return }
        let begins = max(pausedUntil ?? now, breaker.openUntil ?? now, now)
        if phase == .running, !isSuspended, breaker.openUntil == nil, begins.advanced(by: settings.timeout) <= oldest.leaseEnds { return }
        for claimed in waiting.reversed() {
            octetsHeld -= claimed.delivery.event.json.count
            results.append(DeliveryResult(id: claimed.delivery.id, state: .untried(at: begins), reason: "not_tried"))
        }
        waiting = []
    }

    private mutating func nextWhileRunning(now: Timestamp) -> Action {
        if mustExpire, !isExpiring, storeRetryAt == nil {
            (mustExpire, isExpiring) = (false, true)
            return .expire(before: now.advanced(by: .zero - settings.schedule.length))
        }
        if mustHasten, !isHastening, storeRetryAt == nil {
            defer { (mustHasten, isHastening, hastensUntried) = (false, true, false) }
            return .hasten(dueAfter: now.advanced(by: longestWait), untried: hastensUntried)
        }
        if settings.hasQueue, mayBegin, !waiting.isEmpty, let action = enqueue(now: now) { return action }
        if !settings.hasQueue, mayBegin, calls < settings.concurrency, !waiting.isEmpty, gate.opens(now: now) == nil {
            let room = min(settings.maxBatch, breaker.allowance ?? settings.maxBatch, gate.room(in: .zero) ?? settings.maxBatch)
            let batch = waiting.suffix(room).reversed().map(\.delivery)
            waiting.removeLast(batch.count)
            calls += 1
            breaker.began()
            gate.began(batch.count, now: now)
            deliveriesUnderWay += batch.count
            return .deliver(batch)
        }
        if storeRetryAt == nil {
            if mayBeDue, !isClaiming, mayBegin, let limit = claimLimit {
                isClaiming = true
                isClaimStale = false
                return .claim(limit: limit, lease: lease)
            }
            if !mayBeDue, nextDue == nil, !isLookingUp, !isClaiming, !isSuspended {
                isLookingUp = true
                return .lookUpNextDue
            }
        }
        return .wait(until: wakeTime(now: now))
    }

    /// All that waits, if nothing speaks against that the queue begins them one after the other as it can.
    private mutating func enqueue(now: Timestamp) -> Action? {
        var room = waiting.count
        if let allowance = breaker.allowance { room = min(room, allowance) }
        if let open = gate.room(in: .zero) {
            guard gate.opens(now: now) == nil, calls < settings.concurrency else { return nil }
            room = min(room, open)
        }
        let batch = Array(waiting.suffix(room).reversed())
        waiting.removeLast(batch.count)
        calls += batch.count
        breaker.began()
        gate.began(batch.count, now: now)
        deliveriesUnderWay += batch.count
        return .enqueue(batch)
    }

    /// Whether a delivery may begin as far as the receiver is concerned.
    private var mayBegin: Bool { pausedUntil == nil && !isSuspended && breaker.allowance != 0 }

    /// What may be taken from the tap. Nothing while older deliveries wait in the store, or while something speaks
    /// against beginning one.
    var tapRoom: SubscriptionTap.Room {
        guard phase == .running, mayBegin, isCaughtUp, !settings.isOrdered, settings.rate == nil, breaker.allowance == nil,
            storeRetryAt == nil
        else { return .none }
        return SubscriptionTap.Room(
            deliveries: target - waiting.count - deliveriesUnderWay, octets: settings.limits.windowOctets - octetsHeld,
            lease: lease)
    }

    /// How many are on their way from the tap.
    ///
    /// - Returns: whether that was the last thing to wait for.
    mutating func tapped(_ count: Int) -> Bool {
        defer { tapped = count }
        return phase != .running && tapped > 0 && count == 0
    }

    /// How many deliveries to hold at a time.
    private var target: Int {
        let base = settings.concurrency * settings.maxBatch
        var target = base
        if let pace {
            let rounds = pace > .zero ? settings.limits.lookAhead / pace : Double(settings.limits.window)
            target += Int(min(Double(base) * rounds, Double(settings.limits.window)))
        }
        return min(target, max(1, settings.limits.window))
    }

    /// How many to claim, or nil while there is enough at hand.
    private var claimLimit: Int? {
        var target = target
        if let room = gate.room(in: settings.limits.lookAhead) { target = min(target, room) }
        let held = waiting.count + deliveriesUnderWay + tapped
        // What is under way from before tells nothing about whether the one may be claimed.
        if let allowance = breaker.allowance { return waiting.isEmpty ? allowance : nil }
        // Half a window at a time while there is work at hand: many small claims cost more than a few big ones.
        guard waiting.isEmpty ? held < target : held <= target / 2 else { return nil }
        let octetsLeft = max(0, settings.limits.windowOctets - octetsHeld)
        let fitting = largestEvent > 0 ? octetsLeft / largestEvent : target
        if fitting == 0 && held > 0 { return nil }
        return min(target - held, max(1, fitting))
    }

    private func wakeTime(now: Timestamp) -> Timestamp? {
        if let storeRetryAt { return storeRetryAt }
        if isSuspended { return nil }
        if mayBeDue || !waiting.isEmpty {
            if let until = [pausedUntil, breaker.openUntil].compactMap({ $0 }).max() { return until }
            if !waiting.isEmpty, calls < settings.concurrency, let opens = gate.opens(now: now) { return opens }
        }
        return mayBeDue ? nil : nextDue
    }
}

extension DeliveryResult.State {
    /// When the delivery comes again; nil when it does not.
    fileprivate var due: Timestamp? {
        switch self {
        case .retry(let due), .untried(let due): due
        case .delivered, .dead, .givenUp: nil
        }
    }

    fileprivate mutating func clockWasSet(by step: Duration) {
        switch self {
        case .retry(let due): self = .retry(at: due.advanced(by: step))
        case .untried(let due): self = .untried(at: due.advanced(by: step))
        case .delivered, .dead, .givenUp: break
        }
    }
}
