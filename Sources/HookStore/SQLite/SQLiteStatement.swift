// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A prepared statement: bind, step, read columns. Values are always bound, never written
// into the text of a statement.

internal import CSQLite
internal import HookModel

final class SQLiteStatement {
    private let handle: OpaquePointer
    // Keeps the connection open for as long as the statement is there.
    private let connection: SQLiteConnection
    /// The first result code of a `bind` that failed since the last reset; `step` throws it.
    private var bindStatus = SQLITE_OK

    /// SQLite copies the value before `bind` returns (the macro SQLITE_TRANSIENT).
    private static var copied: sqlite3_destructor_type {
        unsafeBitCast(OpaquePointer(bitPattern: -1), to: sqlite3_destructor_type.self)
    }

    init(_ handle: OpaquePointer, of connection: SQLiteConnection) {
        self.handle = handle
        self.connection = connection
    }

    deinit { sqlite3_finalize(handle) }

    // MARK: - Parameters, numbered from 1

    func bind(_ index: Int32, _ value: Int64) { note(sqlite3_bind_int64(handle, index, value)) }
    func bind(_ index: Int32, _ value: Int) { bind(index, Int64(value)) }
    func bind(_ index: Int32, _ value: Int64?) {
        if let value { bind(index, value) } else { bindNull(index) }
    }

    func bind(_ index: Int32, _ value: String) {
        var value = value
        note(value.withUTF8 { text in
            text.withMemoryRebound(to: CChar.self) {
                sqlite3_bind_text64(
                    handle, index, $0.baseAddress, UInt64($0.count), Self.copied, UInt8(SQLITE_UTF8))
            }
        })
    }

    func bind(_ index: Int32, _ value: String?) {
        if let value { bind(index, value) } else { bindNull(index) }
    }

    func bind(_ index: Int32, _ value: [UInt8]) {
        value.withUnsafeBytes { bind(index, borrowing: $0, Self.copied) }
    }

    /// Binds octets that are not copied. They must stay until the statement is reset.
    func bind(_ index: Int32, borrowing value: UnsafeRawBufferPointer) { bind(index, borrowing: value, nil) }

    private func bind(_ index: Int32, borrowing value: UnsafeRawBufferPointer, _ destructor: sqlite3_destructor_type?) {
        // An empty buffer may have no address, which SQLite would take for NULL.
        guard let address = value.baseAddress, !value.isEmpty else {
            return note(sqlite3_bind_zeroblob(handle, index, 0))
        }
        note(sqlite3_bind_blob64(handle, index, address, UInt64(value.count), destructor))
    }

    /// Binds UTF-8 that is not copied, or NULL. It must stay until the statement is reset.
    func bind(_ index: Int32, borrowingText value: UnsafeRawBufferPointer?) {
        guard let value else { return bindNull(index) }
        let text = value.bindMemory(to: CChar.self)
        guard let start = text.baseAddress else { return bind(index, "") }
        note(sqlite3_bind_text64(handle, index, start, UInt64(text.count), nil, UInt8(SQLITE_UTF8)))
    }

    func bindNull(_ index: Int32) { note(sqlite3_bind_null(handle, index)) }

    private func note(_ status: Int32) {
        if bindStatus == SQLITE_OK { bindStatus = status }
    }

    // MARK: - Running

    /// True if there is a row to read; after the last row the statement is ready for the next run.
    func step() throws(StoreError) -> Bool {
        guard bindStatus == SQLITE_OK else { throw fail(bindStatus) }
        let status = sqlite3_step(handle)
        switch status {
        case SQLITE_ROW: return true
        case SQLITE_DONE:
            sqlite3_reset(handle)
            return false
        default: throw fail(status)
        }
    }

    /// Runs a statement that returns no rows, or whose rows are of no interest.
    func run() throws(StoreError) {
        if try step() { reset() }
    }

    /// Ends a run before its last row. Bound values stay.
    func reset() {
        sqlite3_reset(handle)
        bindStatus = SQLITE_OK
    }

    private func fail(_ status: Int32) -> StoreError {
        let error = connection.failure(status)
        reset()
        return error
    }

    // MARK: - Columns, numbered from 0; valid until the next step

    func isNull(_ column: Int32) -> Bool { sqlite3_column_type(handle, column) == SQLITE_NULL }
    func integer(_ column: Int32) -> Int64 { sqlite3_column_int64(handle, column) }

    func text(_ column: Int32) -> String {
        guard let start = sqlite3_column_text(handle, column) else { return "" }
        let octets = UnsafeBufferPointer(start: start, count: Int(sqlite3_column_bytes(handle, column)))
        return String(decoding: octets, as: UTF8.self)
    }

    func textOrNil(_ column: Int32) -> String? { isNull(column) ? nil : text(column) }

    func octets(_ column: Int32) -> [UInt8] {
        guard let start = sqlite3_column_blob(handle, column) else { return [] }
        return [UInt8](UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(handle, column))))
    }
}

extension SQLiteStatement {
    /// Binds `octets` without a copy and runs the statement, which returns no rows.
    func run(borrowing octets: [UInt8], as index: Int32) throws(StoreError) {
        let result = octets.withUnsafeBytes { buffer -> Result<Void, StoreError> in
            bind(index, borrowing: buffer)
            defer { bindNull(index) }
            do throws(StoreError) { return .success(try run()) } catch { return .failure(error) }
        }
        try result.get()
    }
}
