// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The one path of posts: process, store, and only then answer. Logs say what became of a post,
// never what is in it or who sent it.

import HookDelivery
import HookExtraction
import HookModel
import Logging

struct PostIntake: PostReceiver {
    private let current: CurrentSnapshot
    private let store: any EventStore
    private let room: StoreRoom
    private let tally: Tally
    private let challenge: PostChallenge
    private let rejections: RejectionReporter?
    private let logger: Logger

    init(
        current: CurrentSnapshot, store: any EventStore, room: StoreRoom, verifier: any ChallengeVerifier,
        rejections: RejectionReporter? = nil, tally: Tally, logger: Logger
    ) {
        self.rejections = rejections
        self.current = current
        challenge = PostChallenge(verifier: verifier, logger: logger)
        self.store = store
        self.room = room
        self.tally = tally
        self.logger = logger
    }

    func receive(_ post: ReceivedPost, completion: @escaping @Sendable (PostReception) -> Void) {
        if let refusal = room.refusal { return completion(PostReception(answer: refusal)) }
        let snapshot = current.value
        let verdict = snapshot.posts.process(post)
        guard verdict.answer.isPositive, let event = verdict.hooks.first?.events.first else {
            return refuse(post, verdict, verdict.answer, completion)
        }
        guard post.hook.hook.type == .form, let challenge = post.hook.hook.policy.challenge else {
            return store(post, verdict, event, snapshot, completion)
        }
        // Asked last: who sends what is refused anyway costs nobody a question.
        Task {
            if let refusal = await self.challenge.refusal(challenge, post, snapshot.posts) {
                refuse(post, verdict, refusal, completion)
            } else {
                store(post, verdict, event, snapshot, completion)
            }
        }
    }

    private func refuse(
        _ post: ReceivedPost, _ verdict: Verdict, _ outcome: Outcome,
        _ completion: @escaping @Sendable (PostReception) -> Void
    ) {
        tally.count(.refused)
        logger.info(
            "post refused",
            metadata: ["message": "\(Self.name(verdict))", "request": "\(post.requestID)", "outcome": "\(outcome.rawValue)"])
        completion(PostReception(answer: outcome))
    }

    private func store(
        _ post: ReceivedPost, _ verdict: Verdict, _ event: Event, _ snapshot: DaemonSnapshot,
        _ completion: @escaping @Sendable (PostReception) -> Void
    ) {
        let (logger, tally, rejections) = (logger, tally, rejections)
        let entry = MessageEntry(
            message: post.message, verdict: verdict,
            deliveries: [event.id: snapshot.subscriptions.names(for: event)])
        let (requestID, receivedAt) = (post.requestID, post.message.receivedAt)
        store.commit(entry) { result in
            switch result {
            case .success(let receipt):
                let answer = Self.answer(receipt)
                tally.count(.accepted, events: receipt.newEvents)
                logger.info(
                    "post accepted",
                    metadata: [
                        "message": "\(Self.name(verdict))", "request": "\(requestID)", "outcome": "\(answer.rawValue)",
                        "events": "\(receipt.newEvents)",
                    ])
                completion(PostReception(answer: answer, eventID: event.id))
                if receipt.newEvents > 0, verdict.hooks.contains(where: { !$0.failures.isEmpty }) {
                    rejections?.triggersFailed(Self.name(verdict), verdict.hooks, at: receivedAt)
                }
            case .failure(let error):
                tally.count(.failed)
                logger.error(
                    "post not stored",
                    metadata: ["message": "\(Self.name(verdict))", "request": "\(requestID)", "error": "\(error)"])
                completion(PostReception(answer: error.outcome))
            }
        }
    }

    /// Of the message, in logs: made only where somebody reads it.
    private static func name(_ verdict: Verdict) -> String { MessageIdentity.id(contentDigest: verdict.contentDigest) }

    /// No new event means that its identity was there before: the same post again, or a key that was used for something
    /// else. That post is kept, but makes no event; nor does it when it comes again, as long as the other's event is known.
    private static func answer(_ receipt: CommitReceipt) -> Outcome {
        if receipt.newEvents > 0 { return .accepted }
        return receipt.hasForeignEvents ? .idempotencyKeyReused : .duplicate
    }
}
