// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What one hook does with the candidates of a message: which become events, and if none does,
// why. A pure function of policy and candidates, so that `try` can show each reason.

public import HookModel

/// What a hook says to one candidate.
public enum CandidateDecision: String, Sendable, Hashable, CaseIterable {
    case taken
    /// It is no document.
    case failed
    /// It stands in an attached message.
    case attached
    /// The hook takes no documents from such a place.
    case sourceNotAccepted = "source_not_accepted"
    case typeNotAccepted = "type_not_accepted"
    case schemaInvalid = "schema_invalid"
    case contextUnknown = "context_unknown"
    case jsonldInvalid = "jsonld_invalid"
    case keyMissing = "key_missing"
    case keyWrong = "key_wrong"
}

public struct HookDecision: Sendable, Hashable {
    /// One for each candidate, in their order.
    public private(set) var candidates: [CandidateDecision] = []
    /// The data of events that do not carry the document as it was sent, by the candidate's index: a JSON text.
    public private(set) var shaped: [Int: [UInt8]] = [:]
    /// Why JSON-LD processing failed, by the candidate's index.
    public private(set) var reasons: [Int: String] = [:]
    public private(set) var outcome = Outcome.noStructuredData
    /// What the sender is told.
    public private(set) var answer = Outcome.noStructuredData

    /// The message is refused whatever is in it.
    init(refusing outcome: Outcome) {
        self.outcome = outcome
        answer = outcome
    }

    /// - Parameter keys: the keys that are right now.
    init(_ candidates: [Candidate], policy: HookPolicy, keys: [String], shaper: DocumentShaper = DocumentShaper()) {
        // One document that costs too much is an attack, and there may be a hundred of them: the rest is not looked at.
        var exhausted: CandidateDecision?
        for (index, candidate) in candidates.enumerated() {
            var decision = Self.decide(candidate, policy, keys)
            if decision == .taken, let refusal = exhausted {
                decision = refusal
                reasons[index] = "an earlier document of the message took more work than is allowed"
            } else if decision == .taken, let document = candidate.document {
                switch shaper.shape(document, candidate.kind, policy) {
                case .asSent: break
                case .shaped(let data): shaped[index] = data
                case .refused(let refusal, let reason):
                    decision = refusal
                    reasons[index] = reason
                case .tooMuch(let refusal, let reason):
                    decision = refusal
                    reasons[index] = reason
                    exhausted = refusal
                }
            }
            self.candidates.append(decision)
        }
        outcome = Self.outcome(candidates, self.candidates)
        answer = Self.answer(to: outcome, policy)
    }

    /// Of a hook that takes nothing: no candidate is judged.
    init(refusal: Outcome) {
        outcome = refusal
        answer = refusal
    }

    private static func decide(_ candidate: Candidate, _ policy: HookPolicy, _ keys: [String]) -> CandidateDecision {
        if candidate.isAttached { return .attached }
        if !policy.sources.contains(candidate.source) { return .sourceNotAccepted }
        if candidate.failure != nil { return .failed }
        if let key = candidate.key { return keys.contains { isSame($0, key) } ? .taken : .keyWrong }
        return policy.key == .required ? .keyMissing : .taken
    }

    /// One document that can be taken is enough. Otherwise the reason that helps a sender most: a key that has to be
    /// mended, broken data, a place that is not accepted, and last nothing at all.
    private static func outcome(_ candidates: [Candidate], _ decisions: [CandidateDecision]) -> Outcome {
        if decisions.contains(.taken) { return .accepted }
        if decisions.contains(.keyWrong) { return .keyWrong }
        if decisions.contains(.keyMissing) { return .keyMissing }
        let refusals: [(CandidateDecision, Outcome)] = [
            (.typeNotAccepted, .typeNotAccepted), (.schemaInvalid, .schemaInvalid), (.contextUnknown, .contextUnknown),
            (.jsonldInvalid, .jsonldInvalid),
        ]
        if let refusal = refusals.first(where: { decisions.contains($0.0) }) { return refusal.1 }
        let failures = zip(candidates, decisions).filter { $0.1 == .failed }.compactMap(\.0.failure?.code)
        if !failures.isEmpty { return failures.allSatisfy { $0 == .limit } ? .limitExceeded : .jsonInvalid }
        return decisions.contains(.sourceNotAccepted) ? .sourceNotAccepted : .noStructuredData
    }

    /// A key is an order and always answered. Mail without usable data is kept where the hook's policy says so: the
    /// sender of a shop's confirmation, with us in Bcc, can do nothing about it.
    private static func answer(to outcome: Outcome, _ policy: HookPolicy) -> Outcome {
        switch outcome {
        case .noStructuredData, .jsonInvalid, .sourceNotAccepted, .limitExceeded, .typeNotAccepted, .schemaInvalid,
            .contextUnknown, .jsonldInvalid:
            policy.onNoData == .accept ? .accepted : outcome
        case .accepted, .duplicate, .keyMissing, .keyWrong, .recipientUnknown, .relayDenied, .tooManyRecipients,
            .messageTooLarge, .hookLimitExceeded, .senderNotAccepted, .unreadable, .bareNewline, .tooManyConnections,
            .timedOut, .unauthorized, .forbidden,
            .rateLimited, .mediaTypeUnsupported, .idempotencyKeyReused, .outputInvalid, .hookDisabled, .hookPaused,
            .challengeFailed, .challengeUnavailable, .storeFull, .storeFailed, .shuttingDown, .mailLoop, .clientDenied,
            .earlyTalker, .tlsRequired, .otherHook:
            outcome
        }
    }

    /// Takes as long for a key that is nearly right as for any other.
    private static func isSame(_ key: String, _ given: String) -> Bool {
        let (key, given) = (Array(key.utf8), Array(given.utf8))
        guard key.count == given.count else { return false }
        return zip(key, given).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }
}
