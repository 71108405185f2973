// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A disk that refuses: no room, an error of the medium, a sync that fails. What was refused is not
// there, what was acknowledged is, and the store goes on where it can know what is on the disk.

import Foundation
import Glibc
import HookModel
import HookStore
import Synchronization
import Testing

/// The real files, but for what a test lets fail.
final class FailingFiles: StoreFiles {
    enum Operation { case write, writeBehindHeader, allocate, synchronize, open, remove, synchronizeFolder }

    private let real = SystemFiles()
    private let failure = Mutex<(operation: Operation, status: Int32, partly: Bool)?>(nil)

    /// `partly` of a write: half of the octets come to the disk before it fails.
    func fail(_ operation: Operation, _ status: Int32, partly: Bool = false) {
        failure.withLock { $0 = (operation, status, partly) }
    }

    func heal() { failure.withLock { $0 = nil } }

    private func failing(_ operation: Operation) -> (status: Int32, partly: Bool)? {
        failure.withLock { $0?.operation == operation ? ($0!.status, $0!.partly) : nil }
    }

    func open(_ path: String, creating: Bool, isDirect: Bool) -> Int32 {
        if creating, let failing = failing(.open) { return -failing.status }
        return real.open(path, creating: creating, isDirect: isDirect)
    }

    func close(_ descriptor: Int32) { real.close(descriptor) }

    func write(_ descriptor: Int32, _ octets: UnsafeRawBufferPointer, at offset: Int) -> Int32 {
        guard let failing = failing(.write) ?? (offset > 0 ? failing(.writeBehindHeader) : nil) else { return real.write(descriptor, octets, at: offset) }
        if failing.partly {
            let half = UnsafeRawBufferPointer(rebasing: octets[..<(octets.count / 2)])
            _ = real.write(descriptor, half, at: offset)
        }
        return failing.status
    }

    func allocate(_ descriptor: Int32, size: Int) -> Int32 {
        failing(.allocate)?.status ?? real.allocate(descriptor, size: size)
    }

    func synchronize(_ descriptor: Int32) -> Int32 {
        failing(.synchronize)?.status ?? real.synchronize(descriptor)
    }

    func rename(_ from: String, to: String) -> Int32 { real.rename(from, to: to) }
    func remove(_ path: String) -> Int32 { failing(.remove)?.status ?? real.remove(path) }
    func makeFolder(_ path: String) -> Int32 { real.makeFolder(path) }
    func synchronizeFolder(_ path: String) -> Int32 {
        // Of segments; the database's is another matter.
        (path.hasSuffix(".journal") ? failing(.synchronizeFolder)?.status : nil) ?? real.synchronizeFolder(path)
    }
}

@Suite struct FailingDiskTests {
    /// Commits mails and names their events.
    private static func fill(_ store: SQLiteStore, _ count: Int) async throws -> [String] {
        var stored: [String] = []
        for index in 0..<count {
            stored.append("b\(index)")
            _ = try await store.commit(entry("b\(index)", events: ["b\(index)"], to: ["s"]))
        }
        return stored
    }

    fileprivate struct Failure: Sendable, CustomTestStringConvertible {
        var operation: FailingFiles.Operation
        var status: Int32
        var partly = false
        var isFull: Bool
        var testDescription: String { "\(operation) \(status) \(partly)" }
    }

    /// Where in the life of a segment it happens: before there is one, within it, and when it has to grow.
    private static let failures = [
        Failure(operation: .write, status: ENOSPC, isFull: true),
        Failure(operation: .write, status: ENOSPC, partly: true, isFull: true),
        Failure(operation: .write, status: EDQUOT, partly: true, isFull: true),
        Failure(operation: .write, status: EIO, partly: true, isFull: false),
    ]

    @Test(arguments: failures, [0, 1, 30])
    fileprivate func whatFailedIsAsIfItHadNeverBeenTried(_ failure: Failure, _ before: Int) async throws {
        let folder = try TemporaryFolder()
        let files = FailingFiles()
        let path = folder.path("store.db")
        var store = try SQLiteStore.open(path, as: .owner, options: .shortSegments, files: files)
        var stored = try await Self.fill(store, before)
        for round in 0..<3 {
            files.fail(failure.operation, failure.status, partly: failure.partly)
            let answers = Tally<Result<CommitReceipt, StoreError>>()
            for index in 0..<8 {
                let id = "f\(round)-\(index)"
                store.commit(entry(id + String(repeating: "x", count: index * 9000), events: [id], to: ["s"])) {
                    answers.add($0)
                }
            }
            #expect(try await eventually { answers.all.count == 8 })
            for answer in answers.all {
                switch answer {
                case .failure(.full): #expect(failure.isFull)
                case .failure(.failed(let text)): #expect(!failure.isFull && text.contains(folder.path("store.db.journal/")))
                default: Issue.record("\(answer)")
                }
            }
            files.heal()
            // Half of them come again, and are new.
            for index in 0..<4 {
                let id = "f\(round)-\(index)"
                let given = entry(id + String(repeating: "x", count: index * 9000), events: [id], to: ["s"])
                #expect(try await store.commit(given) == CommitReceipt(isDuplicate: false, newEvents: 1))
                stored.append(id)
            }
            let events = try await store.events(after: 0, limit: 999)
            #expect(events.map(\.event.id) == stored)
            #expect(events.map(\.sequence) == Array(1...Int64(stored.count)))
        }
        await store.close()
        store = try SQLiteStore.open(path, as: .owner, options: .shortSegments)
        #expect(try await store.events(after: 0, limit: 999).map(\.event.id) == stored)
        #expect(try await store.message(ofEvent: "f2-3")?.bytes?.count == 27_000 + 4)
        await store.close()
    }

    /// No room for a longer segment or a new one: nothing was written, and it goes on with room.
    @Test(arguments: [FailingFiles.Operation.allocate, .open])
    fileprivate func aJournalThatCannotGrowIsFull(_ operation: FailingFiles.Operation) async throws {
        let folder = try TemporaryFolder()
        let files = FailingFiles()
        let store = try SQLiteStore.open(folder.path("store.db"), as: .owner, options: .shortSegments, files: files)
        var stored = 0
        for round in 0..<2 {
            files.fail(operation, ENOSPC)
            var failure: StoreError?
            for index in 0..<40 where failure == nil {
                do throws(StoreError) {
                    let id = "\(round)-\(index)"
                    _ = try await store.commit(entry(id + String(repeating: "y", count: 30_000), events: [id]))
                    stored += 1
                } catch { failure = error }
            }
            guard case .full? = failure else {
                Issue.record("\(String(describing: failure))")
                continue
            }
            #expect(failure?.outcome == .storeFull)
            files.heal()
            _ = try await store.commit(entry("after \(round)", events: ["after \(round)"]))
            stored += 1
        }
        #expect(try await store.events(after: 0, limit: 999).count == stored)
        await store.close()
    }

    /// After a sync that failed nobody knows what is in the file, and a second one proves nothing: the group is refused,
    /// and what comes next goes to another file.
    @Test(arguments: [0, 5])
    fileprivate func afterAFailedSyncAnotherFileIsUsed(_ before: Int) async throws {
        let folder = try TemporaryFolder()
        let files = FailingFiles()
        let path = folder.path("store.db")
        let store = try SQLiteStore.open(path, as: .owner, options: .shortSegments, files: files)
        var stored = try await Self.fill(store, before)
        for round in 0..<3 {
            // The folder comes with the first segment.
            let known = Set((try? FileManager.default.contentsOfDirectory(atPath: JournalFolder.of(path))) ?? [])
            files.fail(.synchronize, EIO)
            let answers = Tally<Result<CommitReceipt, StoreError>>()
            for index in 0..<6 { store.commit(entry("n\(round)-\(index)", events: ["n\(round)-\(index)"])) { answers.add($0) } }
            #expect(try await eventually { answers.all.count == 6 })
            files.heal()
            for answer in answers.all {
                guard case .failure(let error) = answer else {
                    Issue.record("acknowledged after a failed sync")
                    continue
                }
                #expect(error.outcome == .storeFailed)
            }
            #expect(try await store.events(after: 0, limit: 99).map(\.event.id) == stored)
            let receipt = try await store.commit(entry("n\(round)-2", events: ["n\(round)-2"], to: ["s"]))
            #expect(receipt == CommitReceipt(isDuplicate: false, newEvents: 1))
            stored.append("n\(round)-2")
            // Of those that failed, at most one is left, which holds what was synced before.
            let now = Set(try FileManager.default.contentsOfDirectory(atPath: JournalFolder.of(path)))
            #expect(now.subtracting(known).count == 1, "\(known) \(now)")
        }
        #expect(try await store.claimDue(subscription: "s", now: at(2000), lease: .seconds(1), limit: 99).count == stored.count)
        await store.close()
        let again = try SQLiteStore.open(path, as: .owner, options: .shortSegments)
        #expect(try await again.events(after: 0, limit: 99).map(\.event.id) == stored)
        #expect(try await again.message(ofEvent: "n2-2")?.bytes == Array("n2-2".utf8))
        await again.close()
    }

    /// A file whose sync failed before anything in it counted has to be gone, also after a power cut, before another one
    /// begins with the same record: else the next owner would find two. Until it is, nothing is taken.
    @Test(arguments: [FailingFiles.Operation.remove, .synchronizeFolder], [0, 5])
    fileprivate func aFileThatIsGivenUpHasToBeGone(_ operation: FailingFiles.Operation, _ before: Int) async throws {
        let folder = try TemporaryFolder()
        let files = FailingFiles()
        let path = folder.path("store.db")
        let store = try SQLiteStore.open(path, as: .owner, options: .shortSegments, files: files)
        var stored = try await Self.fill(store, before)
        func expectRefusal(_ comment: String) async {
            let error = await #expect(throws: StoreError.self, "\(comment)") {
                try await store.commit(entry("refused \(comment)", events: ["refused \(comment)"]))
            }
            guard case .failed? = error else {
                Issue.record("\(comment): \(String(describing: error))")
                return
            }
        }
        if operation == .synchronizeFolder, before == 0 {
            files.fail(operation, EIO)
            for time in 0..<3 { await expectRefusal("begin \(time)") }
            #expect(try FileManager.default.contentsOfDirectory(atPath: JournalFolder.of(path)) == [])
        }
        for round in 0..<3 {
            files.fail(.synchronize, EIO)
            // The second one is the first of its file.
            for time in 0..<2 { await expectRefusal("sync \(round) \(time)") }
            files.fail(operation, EIO)
            for time in 0..<3 { await expectRefusal("\(operation) \(round) \(time)") }
            files.heal()
            _ = try await store.commit(entry("n\(round)", events: ["n\(round)"], to: ["s"]))
            stored.append("n\(round)")
            let segments = try FileManager.default.contentsOfDirectory(atPath: JournalFolder.of(path))
            #expect(segments.count == (before > 0 ? 1 : 0) + round + 1, "\(segments)")
        }
        #expect(try await store.events(after: 0, limit: 99).map(\.event.id) == stored)
        await store.close()
        let again = try SQLiteStore.open(path, as: .owner, options: .shortSegments)
        #expect(try await again.events(after: 0, limit: 99).map(\.event.id) == stored)
        await again.close()
        #expect(try StoreCheck.run(path, isDeep: true).faults == [])
    }
}
