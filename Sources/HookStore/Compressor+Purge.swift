// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Empties the journal and the log of a store that is in use, so that what was erased stands nowhere any more. On the
// compressor's thread, which is the only one that makes segments spare: none escapes on its way.

import Glibc
import HookModel
import Synchronization

/// Who waits for it. Safe to share.
final class PurgeRequests: Sendable {
    typealias Completion = @Sendable (Result<Void, StoreError>) -> Void

    /// nil after the end.
    private let waiting = Mutex<[Completion]?>([])

    func add(_ completion: @escaping Completion) {
        let isTaken = waiting.withLock { waiting in
            waiting?.append(completion)
            return waiting != nil
        }
        if !isTaken { completion(.failure(.closed)) }
    }

    var isAsked: Bool { waiting.withLock { $0?.isEmpty == false } }

    /// Does it once for all who wait, if anybody does.
    func serve(_ body: () throws(StoreError) -> Void) {
        let asked = waiting.withLock { waiting -> [Completion] in
            defer { if waiting != nil { waiting = [] } }
            return waiting ?? []
        }
        guard !asked.isEmpty else { return }
        let result: Result<Void, StoreError>
        do throws(StoreError) { result = .success(try body()) } catch { result = .failure(error) }
        asked.forEach { $0(result) }
    }

    func close() {
        let asked = waiting.withLock { waiting in
            defer { waiting = nil }
            return waiting ?? []
        }
        asked.forEach { $0(.failure(.closed)) }
    }
}

extension Compressor {
    /// How often it is tried to empty the log, with a pause of so many microseconds in between: some 30 s.
    private static let logTries = 150
    private static let logPause: UInt32 = 100_000

    /// Messages that came before are compressed first, however busy the store is; they are in the way.
    ///
    /// - Throws: also where one of them cannot be read. Its segment is left, and everything else is done.
    func purge(_ statements: Statements) throws(StoreError) {
        // What is taken from among these holds old octets behind its new ones.
        while let spare = segments.takeSpare() { try destroy(spare.number) }
        let before = Set(segments.inUse.map(\.number))
        let current = try ask { journal.renew($0) }
        try writer.waitUntilApplied()
        let old = before.subtracting([current])
        statements.beginAnew()
        var failures = 0
        var cause: StoreError?
        while cause == nil {
            let settled = try ask { writer.add(.settle(unreadable: statements.passed, $0)) }
            statements.held = segments.inUse.count { settled.held.contains($0.number) }
            for segment in segments.removeFromUse(before: settled) { try destroy(segment.number) }
            let left = segments.inUse.map(\.number).filter { old.contains($0) }
            if left.isEmpty { break }
            // They hold mail that cannot be read: to destroy that is for somebody to decide.
            if settled.held.isSuperset(of: left) { cause = unreadable.cause(in: left) }
            var isMore = cause == nil
            while isMore {
                let batch = try statements.nextBatch()
                guard !batch.isEmpty else {
                    failures += 1
                    guard failures < 100 else { throw .failed("octets in \(segments.folder) cannot be read") }
                    usleep(Self.logPause)
                    break
                }
                try ask { writer.add(.pack(batch, $0)) }
                isMore = !statements.isPastSegment
            }
        }
        try emptyLog()
        if let cause { throw cause }
    }

    private func emptyLog() throws(StoreError) {
        var tries = 0
        while true {
            do throws(StoreError) {
                return try ask { writer.add(.emptyLog($0)) }
            } catch {
                tries += 1
                guard case .busy = error, tries < Self.logTries else { throw error }
                usleep(Self.logPause)
            }
        }
    }

    private func destroy(_ segment: Int64) throws(StoreError) {
        try JournalEmbedding.destroy(segments.path(segment), segments.files)
    }

    /// Waits for another thread's answer; each gives one, also at its end.
    private func ask<Value: Sendable>(
        _ order: (@escaping @Sendable (Result<Value, StoreError>) -> Void) -> Void
    ) throws(StoreError) -> Value {
        let answers = StoreQueue<Result<Value, StoreError>>()
        order { _ = answers.add($0) }
        guard let answer = answers.takeAll()?.first else { throw .closed }
        return try answer.get()
    }
}
