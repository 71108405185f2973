// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The database file from the side of those who only look: how it is opened, and whether it is one
// that this program reads.

internal import Glibc
internal import HookModel

enum StoreFile {
    /// Opens a database that is there for reading, beside an owner or without one.
    static func openForReading(_ path: String) throws(StoreError) -> SQLiteConnection {
        let connection = try SQLiteConnection(path, .readOnly)
        do throws(StoreError) {
            _ = try connection.integer("SELECT count(*) FROM sqlite_schema")
            return connection
        } catch {
            // In a folder we may not write to, a database that was closed well has no shared memory, and none can be
            // made. Without a log there is nothing that the file lacks.
            guard isLogEmpty(path), access(path, R_OK) == 0, isAboutSharedMemory(error) else { throw error }
            let immutable = try SQLiteConnection(path, .immutable)
            _ = try immutable.integer("SELECT count(*) FROM sqlite_schema")
            return immutable
        }
    }

    /// Octets up to which a store is read as a whole before it is used: some milliseconds.
    private static let wholeLook = 32 << 20

    /// What can be told about a database in a moment, before anything is written to it: of a small one whether it is
    /// whole, of a large one that it has a header and a schema. `StoreCheck` tells everything.
    static func lookOver(_ connection: SQLiteConnection) throws(StoreError) {
        let tables = try connection.integer("SELECT count(*) FROM sqlite_schema")
        // Ours has a version from its first table on.
        if tables > 0, try Schema.version(of: connection) == 0 {
            throw .corrupt("\(connection.path): a database of something else, not a store of mailhookd")
        }
        guard size(connection.path) ?? 0 <= wholeLook else { return }
        let finding = try connection.text("PRAGMA quick_check(1)")
        guard finding == "ok" else {
            throw .corrupt("\(connection.path): \(finding.replacing("\n", with: " "))")
        }
    }

    /// False where there are no tables yet.
    ///
    /// - Throws: `failed` for an older schema, `fromTheFuture` for a newer one.
    static func isCurrent(_ connection: SQLiteConnection) throws(StoreError) -> Bool {
        let version = try Schema.version(of: connection)
        guard version > 0 else { return false }
        guard version == Schema.known else {
            throw .failed("\(connection.path): an older store; start the daemon once to bring it up to date")
        }
        return true
    }

    /// Octets of a file; nil where there is none.
    static func size(_ path: String) -> Int? {
        var status = stat()
        return stat(path, &status) == 0 ? Int(status.st_size) : nil
    }

    private static func isAboutSharedMemory(_ error: StoreError) -> Bool {
        switch error {
        case .failed, .notWritable: true
        case .full, .fromTheFuture, .busy, .closed, .corrupt: false
        }
    }

    private static func isLogEmpty(_ path: String) -> Bool { size(path + "-wal") ?? 0 == 0 }
}
