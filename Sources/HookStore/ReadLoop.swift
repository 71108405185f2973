// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The reading thread: requests in their order, on a read-only connection that is opened as soon as
// there is a file to open.

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
        let connection = try StoreFile.openForReading(path)
        // The owner creates the file first and its tables a moment later.
        guard try StoreFile.isCurrent(connection) else { return }
        reader = try StoreReader(connection)
    }
}
