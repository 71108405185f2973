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
    private let logger: Logger

    init(current: CurrentSnapshot, store: any EventStore, room: StoreRoom, tally: Tally, logger: Logger) {
        self.current = current
        self.store = store
        self.room = room
        self.tally = tally
        self.logger = logger
    }

    func receive(_ post: ReceivedPost, completion: @escaping @Sendable (PostReception) -> Void) {
        if let refusal = room.refusal { return completion(PostReception(answer: refusal)) }
        let snapshot = current.value
        let verdict = snapshot.posts.process(post)
        let (logger, tally) = (logger, tally)
        let id = MessageIdentity.id(contentDigest: verdict.contentDigest)
        guard verdict.answer.isPositive, let event = verdict.hooks.first?.events.first else {
            tally.count(.refused)
            logger.info(
                "post refused",
                metadata: [
                    "message": "\(id)", "request": "\(post.requestID)", "outcome": "\(verdict.answer.rawValue)",
                ])
            return completion(PostReception(answer: verdict.answer))
        }
        let entry = MessageEntry(
            message: post.message, verdict: verdict,
            deliveries: [event.id: snapshot.subscriptions.names(matching: event.type)])
        let requestID = post.requestID
        store.commit(entry) { result in
            switch result {
            case .success(let receipt):
                let answer = Self.answer(receipt)
                tally.count(.accepted, events: receipt.newEvents)
                logger.info(
                    "post accepted",
                    metadata: [
                        "message": "\(id)", "request": "\(requestID)", "outcome": "\(answer.rawValue)",
                        "events": "\(receipt.newEvents)",
                    ])
                completion(PostReception(answer: answer, eventID: event.id))
            case .failure(let error):
                tally.count(.failed)
                logger.error(
                    "post not stored",
                    metadata: ["message": "\(id)", "request": "\(requestID)", "error": "\(error)"])
                completion(PostReception(answer: error.outcome))
            }
        }
    }

    /// No new event means that its identity was there before: the same post again, or, where the content was never
    /// seen, a key that was used for something else. That post is kept, but makes no event.
    private static func answer(_ receipt: CommitReceipt) -> Outcome {
        if receipt.newEvents > 0 { return .accepted }
        return receipt.isDuplicate ? .duplicate : .idempotencyKeyReused
    }
}
