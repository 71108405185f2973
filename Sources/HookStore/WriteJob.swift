// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What the writer is asked to do, each with whom to tell. Messages and results of deliveries are not
// among it: they go to the journal first.

internal import HookModel

/// One piece of work inside a group's transaction. `complete` is called exactly once.
enum WriteJob: Sendable {
    /// Chooses deliveries. What is chosen counts once its record is in the journal, see `SQLiteStore.claimDue`.
    case claim(Claim, @Sendable (Result<[ClaimedDelivery], StoreError>) -> Void)
    case pack([PackedMessage], @Sendable (Result<Void, StoreError>) -> Void)
    /// Makes everything so far durable in the database itself. Octets of messages up to `unreadable` that are still in the
    /// journal cannot be read.
    case settle(unreadable: Int64, @Sendable (Result<Settled, StoreError>) -> Void)
    /// Leaves nothing in the write-ahead log. Not part of any transaction; `busy` while somebody reads from it.
    case emptyLog(@Sendable (Result<Void, StoreError>) -> Void)
    /// Bring what is in the journal to the database: at once, or soon.
    case apply(atOnce: Bool)
    case deliveries(DeliveryOperation, @Sendable (Result<DeliveryOperation.Answer, StoreError>) -> Void)
    /// Nothing but an answer, outside of any transaction.
    case probe(@Sendable () -> Void)
    case erase(Erasure, @Sendable (Result<Erased, StoreError>) -> Void)

    struct Claim: Sendable {
        var subscription: String
        var now: Timestamp
        var lease: Duration
        var limit: Int
        /// Ids that are not to be chosen.
        var excluded: Set<Int64>
    }

    /// The octets of a stored message in the form they are to be kept.
    struct PackedMessage: Sendable {
        var id: Int64
        var isCompressed: Bool
        var octets: [UInt8]
    }

    /// What a power cut can't take back from the database any more.
    struct Settled: Sendable {
        /// The first segment that holds octets of a message, but for those that cannot be read; nil if none does.
        var firstSegment: Int64?
        /// Those with octets that cannot be read.
        var held: Set<Int64> = []
        /// The segment of the last record that is in the database.
        var segment: Int64
    }

    /// What a job led to.
    enum Answer {
        case claimed([ClaimedDelivery])
        case settled(Settled)
        case done
        case deliveries(DeliveryOperation.Answer)
        case erased(Erased)
    }

    /// Whether its transaction has to be durable before the answer.
    var needsSync: Bool {
        switch self {
        case .settle, .erase, .deliveries: true
        case .claim, .pack, .apply, .emptyLog, .probe: false
        }
    }

    func complete(_ answer: Result<Answer, StoreError>) {
        switch (self, answer) {
        case (.claim(_, let completion), .success(.claimed(let deliveries))): completion(.success(deliveries))
        case (.claim(_, let completion), .failure(let error)): completion(.failure(error))
        case (.pack(_, let completion), .success): completion(.success(()))
        case (.pack(_, let completion), .failure(let error)): completion(.failure(error))
        case (.emptyLog(let completion), .success): completion(.success(()))
        case (.emptyLog(let completion), .failure(let error)): completion(.failure(error))
        case (.settle(_, let completion), .success(.settled(let settled))): completion(.success(settled))
        case (.settle(_, let completion), .failure(let error)): completion(.failure(error))
        case (.apply, _): break
        case (.probe(let completion), _): completion()
        case (.deliveries(_, let completion), .success(.deliveries(let answer))): completion(.success(answer))
        case (.deliveries(_, let completion), .failure(let error)): completion(.failure(error))
        case (.erase(_, let completion), .success(.erased(let erased))): completion(.success(erased))
        case (.erase(_, let completion), .failure(let error)): completion(.failure(error))
        // A job is answered by its own kind of answer; the writer has no other.
        case (.claim(_, let completion), .success): completion(.failure(.failed("no deliveries")))
        case (.settle(_, let completion), .success): completion(.failure(.failed("no segment")))
        case (.deliveries(_, let completion), .success): completion(.failure(.failed("no answer")))
        case (.erase(_, let completion), .success): completion(.failure(.failed("nothing erased")))
        }
    }
}
