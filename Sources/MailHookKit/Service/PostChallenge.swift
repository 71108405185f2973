// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Between a post that could be taken and the store: where the hook has a challenge, its answer is
// checked first. Who can't be asked lets nobody in.

import HookExtraction
import HookModel
import Logging

struct PostChallenge: Sendable {
    let verifier: any ChallengeVerifier
    let logger: Logger

    /// Octets of an answer; real ones have some hundred to some thousand.
    private static let answerLimit = 16 << 10

    /// nil where the post may go on, else why not.
    func refusal(_ challenge: HookChallenge, _ post: ReceivedPost, _ processor: PostProcessor) async -> Outcome? {
        guard let answer = processor.field(challenge.field, of: post), !answer.isEmpty,
            answer.utf8.count <= Self.answerLimit
        else { return .challengeFailed }
        switch await verifier.verify(answer, for: challenge) {
        case .passed: return nil
        case .failed: return .challengeFailed
        case .unavailable(let reason):
            logger.warning(
                "challenge not checked",
                metadata: ["request": "\(post.requestID)", "hook": "\(post.hook.hook.eventName)", "reason": "\(reason)"])
            return .challengeUnavailable
        }
    }
}
