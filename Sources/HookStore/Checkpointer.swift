// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Copies the write-ahead log back into the database file, beside the commits and not in their way.
//
// A thread of its own does most of the work while the writer goes on. That alone would never let
// the log begin again from its start, because new frames keep coming; so past a second mark the
// writer does the small rest itself, between two groups.

internal import CSQLite
internal import HookModel
internal import Synchronization

/// Safe to share: `frames` is touched by the writer thread only (SQLite calls the hook on the thread that commits).
final class Checkpointer: @unchecked Sendable {
    /// Milliseconds.
    private static let shortPatience: Int32 = 100

    /// nil after the end.
    private var writerConnection: SQLiteConnection?
    private let path: String
    private let syncs: SyncHistory
    private let queue = StoreQueue<Void>()
    private let isUnderWay = Atomic<Bool>(false)
    /// Frames in the log after the last commit.
    private let frames = UnsafeMutablePointer<Int>.allocate(capacity: 1)
    private var framesAtLastTry = 0
    private let backgroundFrames: Int
    private let writerFrames: Int

    /// - Parameter logOctets: about how large the log may get.
    init(writer connection: SQLiteConnection, logOctets: Int) throws(StoreError) {
        writerConnection = connection
        path = connection.path
        syncs = connection.syncs
        let pageSize = max(512, Int(try connection.integer("PRAGMA page_size")))
        writerFrames = max(64, logOctets / pageSize)
        backgroundFrames = writerFrames / 2
        frames.initialize(to: 0)
        // The hook takes the place of SQLite's own automatic checkpoint, which would run inside of COMMIT.
        sqlite3_wal_hook(connection.handle, { context, _, _, pages in
            context?.assumingMemoryBound(to: Int.self).pointee = Int(pages)
            return SQLITE_OK
        }, frames)
    }

    deinit { frames.deallocate() }

    /// The background thread's whole life.
    func run() {
        // Without a connection of its own the writer does it all.
        guard let connection = try? SQLiteConnection(path, .readWrite),
            (try? connection.execute("PRAGMA synchronous = FULL")) != nil
        else { return }
        while queue.takeAll() != nil {
            checkpoint(connection, SQLITE_CHECKPOINT_PASSIVE)
            isUnderWay.store(false, ordering: .releasing)
        }
    }

    /// Called by the writer between two groups.
    func committed() {
        let count = frames.pointee
        // The log began again.
        if count < framesAtLastTry { framesAtLastTry = 0 }
        guard count >= backgroundFrames else { return }
        if count >= writerFrames, count >= framesAtLastTry + backgroundFrames / 4 {
            framesAtLastTry = count
            // Without effect while the background thread is at it or a reader needs old pages: next time.
            if let writerConnection { checkpoint(writerConnection, SQLITE_CHECKPOINT_PASSIVE) }
        } else if !isUnderWay.exchange(true, ordering: .acquiring) {
            if !queue.add(()) { isUnderWay.store(false, ordering: .releasing) }
        }
    }

    /// Called by the writer when the disk is full: the log begins again from its start, if nobody reads from it. False
    /// if another checkpoint or a reader was in the way.
    func makeRoom() -> Bool {
        guard let writerConnection else { return false }
        return checkpoint(writerConnection, SQLITE_CHECKPOINT_TRUNCATE)
    }

    /// The same for whoever wants nothing to be left in the log. Mail does not wait long for those who read from it.
    func emptyLog() -> Bool {
        guard let writerConnection else { return false }
        sqlite3_busy_timeout(writerConnection.handle, Self.shortPatience)
        defer { sqlite3_busy_timeout(writerConnection.handle, SQLiteConnection.patience) }
        return checkpoint(writerConnection, SQLITE_CHECKPOINT_TRUNCATE)
    }

    /// Called by the writer at its end: everything goes into the database file and the log is emptied.
    func close() {
        queue.close()
        if let writerConnection { checkpoint(writerConnection, SQLITE_CHECKPOINT_TRUNCATE) }
        writerConnection = nil
    }

    /// Failing is no loss: the log holds everything, and the next try comes. After a sync that failed, the journal does.
    @discardableResult
    private func checkpoint(_ connection: SQLiteConnection, _ mode: Int32) -> Bool {
        let status = sqlite3_wal_checkpoint_v2(connection.handle, nil, mode, nil, nil)
        syncs.note(status)
        return status == SQLITE_OK
    }
}
