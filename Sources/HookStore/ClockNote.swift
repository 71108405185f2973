// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What retention believed and doubts of the clock, kept beside the database for the next start: times, as those of files'
// last changes. It is no loss if they are lost, and they can be written where the disk is full.

internal import Glibc
internal import HookModel

struct ClockNote: Sendable {
    /// Of an empty file that was changed last at the time that was believed last.
    let path: String
    /// Of a file without content that was changed last at the time that is doubted, and is as many octets long as seconds
    /// have passed since the doubt began. There is none while nothing is doubted.
    let doubtPath: String
    private let database: String

    /// - Parameter database: the database it belongs to.
    init(of database: String) {
        self.database = database
        path = database + ".clock"
        doubtPath = database + ".clock-doubted"
    }

    func read() -> Timestamp? { status(path).flatMap(Self.time) }

    func write(_ time: Timestamp) { write(time, length: 0, to: path) }

    /// Whether there is something of that name, whatever it is.
    var hasDoubt: Bool {
        var status = stat()
        return lstat(doubtPath, &status) == 0
    }

    /// nil where it cannot be read.
    func readDoubt() -> ClockTrust.Doubt? {
        guard let status = status(doubtPath), let time = Self.time(status) else { return nil }
        return ClockTrust.Doubt(time: time, passed: .seconds(status.st_size))
    }

    /// - Parameter doubt: nil if there is none any more.
    func write(_ doubt: ClockTrust.Doubt?) {
        guard let doubt else {
            remove(doubtPath)
            return
        }
        write(doubt.time, length: Int(doubt.passed / .seconds(1)), to: doubtPath)
    }

    /// Of a file that is the store's as the database is; nil for whatever else has that name.
    private func status(_ path: String) -> stat? {
        var (status, ours) = (stat(), stat())
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG, stat(database, &ours) == 0,
            status.st_uid == ours.st_uid
        else { return nil }
        return status
    }

    private static func time(_ status: stat) -> Timestamp? {
        let (seconds, isAbsurd) = status.st_mtim.tv_sec.multipliedReportingOverflow(by: 1_000_000)
        // Nobody's clock; and sums with it would overflow.
        guard !isAbsurd, abs(seconds) < Int.max / 4 else { return nil }
        return Timestamp(microseconds: Int64(seconds + status.st_mtim.tv_nsec / 1000))
    }

    /// The length before the time, which the change of it sets.
    private func write(_ time: Timestamp, length: Int, to path: String) {
        // A link leads to a file that is none of ours.
        if status(path) == nil { remove(path) }
        let descriptor = StorePlace.openOrMake(path, mode: 0o600)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        guard ftruncate(descriptor, length) == 0 else { return }
        let seconds = time.seconds
        let moment = timespec(
            tv_sec: Int(seconds), tv_nsec: Int(time.microseconds - seconds * 1_000_000) * 1000)
        withUnsafeTemporaryAllocation(of: timespec.self, capacity: 2) { times in
            times.initialize(repeating: moment)
            futimens(descriptor, times.baseAddress)
        }
    }
}
