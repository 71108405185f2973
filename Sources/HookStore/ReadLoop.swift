// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The reading thread: requests in their order, on a read-only connection that is opened as soon as
// there is a file to open.

internal import CSQLite
internal import Glibc
internal import HookModel

/// Safe to share: `reader` is used by `openNow` before the thread starts, and by the thread afterwards.
final class ReadLoop: @unchecked Sendable {
    typealias Request = @Sendable (Result<StoreReader?, StoreError>) -> Void

    let path: String
    private let queue = StoreQueue<Request>()
    private var reader: StoreReader?
    /// Makes sure that the database holds what was acknowledged so far; called before requests are answered.
    private let catchUp: @Sendable (StoreReader) throws(StoreError) -> Void

    init(path: String, catchUp: @escaping @Sendable (StoreReader) throws(StoreError) -> Void) {
        self.path = path
        self.catchUp = catchUp
    }

    /// Queues a request; it is given a reader, or nil while there is no database, or why there is none.
    func add(_ request: @escaping Request) {
        if !queue.add(request) { request(.failure(.closed)) }
    }

    func read<Value: Sendable>(
        ifAbsent absent: Value, _ body: @escaping @Sendable (StoreReader) throws(StoreError) -> Value
    ) async throws(StoreError) -> Value {
        let result = await withCheckedContinuation { continuation in
            add { reader in
                let result: Result<Value, StoreError>
                do throws(StoreError) {
                    let reader = try reader.get()
                    result = .success(try reader.map(body) ?? absent)
                } catch {
                    result = .failure(error)
                }
                continuation.resume(returning: result)
            }
        }
        return try result.get()
    }

    func close() { queue.close() }

    func run() {
        while let requests = queue.takeAll() {
            for request in requests {
                do throws(StoreError) {
                    try openNow()
                    if let reader { try catchUp(reader) }
                    request(.success(reader))
                } catch {
                    request(.failure(error))
                }
            }
        }
        reader = nil
    }

    /// Opens the database if it is there and not open yet.
    func openNow() throws(StoreError) {
        guard reader == nil, access(path, F_OK) == 0 else { return }
        let connection = try open()
        // The owner creates the file first and its tables a moment later.
        guard try Schema.version(of: connection) > 0 else { return }
        guard try Schema.version(of: connection) == Schema.known else {
            throw .failed("\(path): an older store; start the daemon once to bring it up to date")
        }
        reader = try StoreReader(connection)
    }

    private func open() throws(StoreError) -> SQLiteConnection {
        let connection = try SQLiteConnection(path, .readOnly)
        do throws(StoreError) {
            _ = try connection.integer("SELECT count(*) FROM sqlite_schema")
            return connection
        } catch {
            // In a folder we may not write to, a database that was closed well has no shared memory, and none can be
            // made. Without a log there is nothing that the file lacks.
            guard isLogEmpty, access(path, R_OK) == 0, case .failed = error else { throw error }
            let immutable = try SQLiteConnection(path, .immutable)
            _ = try immutable.integer("SELECT count(*) FROM sqlite_schema")
            return immutable
        }
    }

    private var isLogEmpty: Bool {
        var status = stat()
        return stat(path + "-wal", &status) != 0 || status.st_size == 0
    }
}
