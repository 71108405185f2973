// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Appends events to a file, one JSON value a line (NDJSON). A batch is one write and one fdatasync.
// Whoever puts the file at the path aside, this sink where it is told to or another program: the next line goes into
// the file that is there then.

public import HookModel
internal import Logging
internal import Synchronization

/// The `file` sink. Delivered means that the line would survive a power cut.
public final class FileSink: Sink {
    public let maxBatch = 256
    /// One writer, so that lines never mix.
    public let concurrency = 1
    public let timeout = Duration.seconds(30)

    private let file: Mutex<AppendFile>
    private let threads = BlockingThreads(count: 1)
    private let rotation: FileRotation

    public init(_ configuration: FileConfiguration) {
        file = Mutex(AppendFile(path: configuration.path))
        rotation = FileRotation(configuration)
    }

    public func deliver(_ batch: [ClaimedDelivery], now: Timestamp) async -> [DeliveryVerdict] {
        let error = await threads.run { [self] in
            let lines = Self.lines(of: batch)
            return file.withLock { file -> AppendFile.Failure? in
                // The new name is on disk when the new file's is: both with one sync of the folder.
                if rotation.isWanted, rotation.rotate(adding: lines.count, now: now) { file.close() }
                do throws(AppendFile.Failure) {
                    try file.append(lines)
                    return nil
                } catch { return error }
            }
        }
        let verdict: DeliveryVerdict =
            switch error {
            case .some(nil): .delivered
            case .some(.some(let failure)): .retry(reason: failure.reason)
            case nil: .retry(reason: "no_thread")
            }
        return Array(repeating: verdict, count: batch.count)
    }

    public func shutdown() async {
        _ = await threads.run { [self] in file.withLock { $0.close() } }
        threads.stop()
    }

    /// A line feed inside a JSON text can only be white space between tokens; as a space it keeps the line whole.
    static func lines(of batch: [ClaimedDelivery]) -> [UInt8] {
        var lines: [UInt8] = []
        lines.reserveCapacity(batch.reduce(0) { $0 + $1.event.json.count + 1 })
        for delivery in batch {
            let start = lines.count
            lines.append(contentsOf: delivery.event.json)
            for index in start..<lines.count where lines[index] == 0x0A || lines[index] == 0x0D { lines[index] = 0x20 }
            lines.append(0x0A)
        }
        return lines
    }
}
