// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// One connection to an SQLite database through the C interface: open, settings, prepared
// statements, transactions, and SQLite's result codes as `StoreError`. Knows no table.

internal import CSQLite
internal import Glibc
internal import HookModel
internal import Synchronization

/// Whether a sync of the database or its log ever failed. The kernel may have dropped what it could not write and call the
/// pages clean: a later sync that succeeds proves nothing about them.
final class SyncHistory: Sendable {
    /// SQLITE_IOERR_FSYNC, a macro that Swift does not see.
    static let failedSync: Int32 = SQLITE_IOERR | 4 << 8

    private struct State {
        var hasFailure = false
        var handler: (@Sendable () -> Void)?
    }

    private let state = Mutex(State())

    var hasFailure: Bool { state.withLock { $0.hasFailure } }

    /// - Parameter status: a result code of SQLite.
    func note(_ status: Int32) {
        guard status == Self.failedSync else { return }
        let handler = state.withLock { state -> (@Sendable () -> Void)? in
            defer { state.hasFailure = true }
            return state.hasFailure ? nil : state.handler
        }
        handler?()
    }

    /// - Parameter handler: called once, on the thread that the failure comes to; at once if there was one before.
    func onFailure(_ handler: @escaping @Sendable () -> Void) {
        let isKnown = state.withLock { state in
            state.handler = handler
            return state.hasFailure
        }
        if isKnown { handler() }
    }
}

/// Used by one thread at a time; SQLite's own locking (`SQLITE_OPEN_NOMUTEX`) is off.
final class SQLiteConnection {
    enum Access {
        case readWrite
        case readOnly
        /// For a database nobody can be writing to: neither locks nor shared memory are used.
        case immutable
    }

    let handle: OpaquePointer
    /// In error texts.
    let path: String
    let syncs = SyncHistory()

    /// Once for the process. Refused where somebody has opened a database before: then all is as usual.
    private static let isConfigured = mailhookd_sqlite_take_pages_one_by_one() == SQLITE_OK

    /// Milliseconds for which a lock of another connection is waited for.
    static let patience: Int32 = 5000

    /// - Parameter busyTimeout: how long a lock of another connection is waited for, in milliseconds.
    init(_ path: String, _ access: Access, busyTimeout: Int32 = patience) throws(StoreError) {
        _ = Self.isConfigured
        var flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI | SQLITE_OPEN_EXRESCODE
        flags |= access == .readWrite ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY
        var opened: OpaquePointer?
        let status = sqlite3_open_v2(Self.uri(path, immutable: access == .immutable), &opened, flags, nil)
        guard let opened else { throw .failed("\(path): no memory for a database connection") }
        guard status == SQLITE_OK else {
            let error = StoreError(sqlite: status, connection: opened, path: path)
            sqlite3_close_v2(opened)
            throw error
        }
        handle = opened
        self.path = path
        sqlite3_busy_timeout(handle, busyTimeout)
    }

    deinit { sqlite3_close_v2(handle) }

    /// Runs statements that return nothing. The text is never made from data.
    func execute(_ sql: StaticString) throws(StoreError) {
        let status = sql.withUTF8Buffer { text in
            // Static strings end with a NUL octet behind their count.
            text.withMemoryRebound(to: CChar.self) { sqlite3_exec(handle, $0.baseAddress, nil, nil, nil) }
        }
        guard status == SQLITE_OK else { throw failure(status) }
    }

    /// A statement that is kept and run many times.
    func prepare(_ sql: StaticString) throws(StoreError) -> SQLiteStatement {
        var statement: OpaquePointer?
        let status = sql.withUTF8Buffer { text in
            text.withMemoryRebound(to: CChar.self) {
                sqlite3_prepare_v3(
                    handle, $0.baseAddress, Int32($0.count), UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil)
            }
        }
        guard status == SQLITE_OK, let statement else { throw failure(status) }
        return SQLiteStatement(statement, of: self)
    }

    /// The first column of the first row; 0 if there is none.
    func integer(_ sql: StaticString) throws(StoreError) -> Int64 {
        let statement = try prepare(sql)
        return try statement.step() ? statement.integer(0) : 0
    }

    func text(_ sql: StaticString) throws(StoreError) -> String {
        let statement = try prepare(sql)
        return try statement.step() ? statement.text(0) : ""
    }

    var lastInsertRowID: Int64 { sqlite3_last_insert_rowid(handle) }
    /// Rows that the last INSERT, UPDATE or DELETE changed.
    var changes: Int { Int(sqlite3_changes(handle)) }
    /// False outside of a transaction, also after SQLite rolled one back by itself (disk full).
    var isInTransaction: Bool { sqlite3_get_autocommit(handle) == 0 }

    /// Runs `body` in a transaction that has the write lock from its beginning on.
    func transaction<Value>(_ body: () throws(StoreError) -> Value) throws(StoreError) -> Value {
        try execute("BEGIN IMMEDIATE")
        do throws(StoreError) {
            let value = try body()
            try execute("COMMIT")
            return value
        } catch {
            if isInTransaction { try? execute("ROLLBACK") }
            throw error
        }
    }

    func failure(_ status: Int32) -> StoreError {
        syncs.note(status)
        return StoreError(sqlite: status, connection: handle, path: path)
    }

    /// SQLite's URI form, because that is where `immutable` can be said. Everything but unreserved characters and
    /// slashes is escaped.
    private static func uri(_ path: String, immutable: Bool) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var uri = Array("file:".utf8)
        // Two slashes at the beginning would begin an authority.
        if path.hasPrefix("//") { uri += Array("//".utf8) }
        for byte in path.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "/"), UInt8(ascii: "."), UInt8(ascii: "-"),
                UInt8(ascii: "_"):
                uri.append(byte)
            default: uri += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        if immutable { uri += Array("?immutable=1".utf8) }
        return String(decoding: uri, as: UTF8.self)
    }
}

extension StoreError {
    /// What a result code means for whoever asked the store.
    init(sqlite status: Int32, connection: OpaquePointer?, path: String) {
        let text = connection.map { String(cString: sqlite3_errmsg($0)) } ?? String(cString: sqlite3_errstr(status))
        let systemError = connection.map { Self.systemError(status, $0) } ?? 0
        let isInputOutput = [SQLITE_FULL, SQLITE_IOERR, SQLITE_CANTOPEN, SQLITE_READONLY].contains(status & 0xFF)
        // Only then is the number kept by SQLite about this failure.
        let cause = isInputOutput && systemError != 0 ? " (\(String(cString: strerror(systemError))))" : ""
        let detail = "\(path): \(text)\(cause)"
        switch status & 0xFF {
        case SQLITE_FULL: self = .full(detail)
        case SQLITE_IOERR where systemError == ENOSPC || systemError == EDQUOT: self = .full(detail)
        case SQLITE_BUSY, SQLITE_LOCKED: self = .busy(detail)
        case SQLITE_CORRUPT, SQLITE_NOTADB: self = .corrupt(detail)
        case SQLITE_READONLY, SQLITE_PERM: self = .notWritable(detail)
        case SQLITE_IOERR where Self.isDenial(systemError), SQLITE_CANTOPEN where Self.isDenial(systemError):
            self = .notWritable(detail)
        default: self = .failed(detail)
        }
    }

    /// What opening or creating a file of the store failed with (errno(3)).
    init(opening path: String, errno cause: Int32) {
        let text = "\(path): \(String(cString: strerror(cause)))"
        switch cause {
        case ENOSPC, EDQUOT: self = .full(text)
        case _ where Self.isDenial(cause): self = .notWritable(text)
        default: self = .failed(text)
        }
    }

    /// SQLite keeps the number for most failures, but not for those inside of COMMIT: then the log's file knows it.
    private static func systemError(_ status: Int32, _ connection: OpaquePointer) -> Int32 {
        let kept = sqlite3_system_errno(connection)
        guard kept == 0, status & 0xFF == SQLITE_IOERR else { return kept }
        var log: UnsafeMutablePointer<sqlite3_file>?
        guard sqlite3_file_control(connection, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) == SQLITE_OK,
            let log, let control = log.pointee.pMethods?.pointee.xFileControl
        else { return 0 }
        var last: Int32 = 0
        return control(log, SQLITE_FCNTL_LAST_ERRNO, &last) == SQLITE_OK ? last : 0
    }

    private static func isDenial(_ cause: Int32) -> Bool { cause == EACCES || cause == EPERM || cause == EROFS }
}
