// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What the writer is asked to do, each with whom to tell.

internal import HookModel

/// One piece of work inside a group's transaction. `complete` is called exactly once.
enum WriteJob: Sendable {
    case commit(MessageEntry, @Sendable (Result<CommitReceipt, StoreError>) -> Void)
    case claim(Claim, @Sendable (Result<[ClaimedDelivery], StoreError>) -> Void)
    case finish([DeliveryResult], now: Timestamp, @Sendable (Result<Void, StoreError>) -> Void)
    case pack([PackedMessage], @Sendable (Result<Void, StoreError>) -> Void)
    case deliveries(DeliveryOperation, @Sendable (Result<DeliveryOperation.Answer, StoreError>) -> Void)
    /// Not admitted to the queue; only the answer is the writer's.
    case refused(StoreError, @Sendable (Result<CommitReceipt, StoreError>) -> Void)
    case erase(Erasure, @Sendable (Result<Erased, StoreError>) -> Void)

    struct Claim: Sendable {
        var subscription: String
        var now: Timestamp
        var lease: Duration
        var limit: Int
    }

    /// The octets of a stored message in the form they are to be kept.
    struct PackedMessage: Sendable {
        var id: Int64
        var isCompressed: Bool
        var octets: [UInt8]
    }

    /// What a job led to.
    enum Answer {
        case receipt(CommitReceipt)
        case claimed([ClaimedDelivery])
        case done
        case deliveries(DeliveryOperation.Answer)
        case erased(Erased)
    }

    /// About how much memory and room in the journal the job takes.
    var octets: Int {
        switch self {
        case .commit(let entry, _):
            entry.verdict.hooks.reduce(entry.message.bytes.count) { sum, hook in
                hook.events.reduce(sum) { $0 + $1.json.count }
            }
        case .pack(let messages, _): messages.reduce(0) { $0 + $1.octets.count }
        case .deliveries(let operation, _): operation.octets
        case .claim, .finish, .refused, .erase: 0
        }
    }

    func complete(_ answer: Result<Answer, StoreError>) {
        switch (self, answer) {
        case (.commit(_, let completion), .success(.receipt(let receipt))): completion(.success(receipt))
        case (.commit(_, let completion), .failure(let error)): completion(.failure(error))
        case (.claim(_, let completion), .success(.claimed(let deliveries))): completion(.success(deliveries))
        case (.claim(_, let completion), .failure(let error)): completion(.failure(error))
        case (.finish(_, _, let completion), .success): completion(.success(()))
        case (.finish(_, _, let completion), .failure(let error)): completion(.failure(error))
        case (.pack(_, let completion), .success): completion(.success(()))
        case (.pack(_, let completion), .failure(let error)): completion(.failure(error))
        case (.deliveries(_, let completion), .success(.deliveries(let answer))): completion(.success(answer))
        case (.deliveries(_, let completion), .failure(let error)): completion(.failure(error))
        case (.refused(let error, let completion), _): completion(.failure(error))
        case (.erase(_, let completion), .success(.erased(let erased))): completion(.success(erased))
        case (.erase(_, let completion), .failure(let error)): completion(.failure(error))
        // A job is answered by its own kind of answer; the writer has no other.
        case (.commit(_, let completion), .success): completion(.failure(.failed("no receipt")))
        case (.claim(_, let completion), .success): completion(.failure(.failed("no deliveries")))
        case (.deliveries(_, let completion), .success): completion(.failure(.failed("no answer")))
        case (.erase(_, let completion), .success): completion(.failure(.failed("nothing erased")))
        }
    }
}
