// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The last time retention believed, kept as the time of an empty file's last change beside the database, so that the next
// start knows about when it is. It is no loss if it is lost.

internal import Glibc
internal import HookModel

struct ClockNote: Sendable {
    let path: String

    /// - Parameter database: the database it belongs to.
    init(of database: String) { path = database + ".clock" }

    func read() -> Timestamp? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        let (seconds, isAbsurd) = status.st_mtim.tv_sec.multipliedReportingOverflow(by: 1_000_000)
        // Nobody's clock; and sums with it would overflow.
        guard !isAbsurd, abs(seconds) < Int.max / 4 else { return nil }
        return Timestamp(microseconds: Int64(seconds + status.st_mtim.tv_nsec / 1000))
    }

    func write(_ time: Timestamp) {
        let descriptor = StorePlace.openOrMake(path, mode: 0o600)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        let seconds = time.seconds
        let moment = timespec(
            tv_sec: Int(seconds), tv_nsec: Int(time.microseconds - seconds * 1_000_000) * 1000)
        withUnsafeTemporaryAllocation(of: timespec.self, capacity: 2) { times in
            times.initialize(repeating: moment)
            futimens(descriptor, times.baseAddress)
        }
    }
}
