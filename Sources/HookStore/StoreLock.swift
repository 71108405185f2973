// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The file whose lock (flock(2)) says that a process owns the store. The lock goes with the
// process, however it ends; the file stays, because removing it would race with the next owner.

internal import Glibc
internal import HookModel

final class StoreLock: Sendable {
    private let descriptor: Int32

    /// Locks `path + ".lock"`.
    ///
    /// - Throws: `busy` if another owner is there.
    init(ownerOf path: String) throws(StoreError) {
        let file = path + ".lock"
        // Closed in programs that are started from here, or a child that lives on would hold the store.
        let descriptor = StorePlace.openOrMake(file, mode: 0o600)
        guard descriptor >= 0 else {
            throw StoreError(opening: file, errno: errno)
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let cause = errno
            Glibc.close(descriptor)
            throw cause == EWOULDBLOCK
                ? .busy("another mailhookd uses \(path)") : .failed("\(file): \(String(cString: strerror(cause)))")
        }
        self.descriptor = descriptor
    }

    deinit {
        // A child that was just forked and has not become another program yet has the file open too: closing it here
        // would leave the lock with the child for that moment.
        flock(descriptor, LOCK_UN)
        Glibc.close(descriptor)
    }
}
