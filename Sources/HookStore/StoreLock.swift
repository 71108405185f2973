// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The lock (flock(2)) that says that a process owns the store. It goes with the process, however
// it ends; the file stays, because removing it would race with the next owner.

internal import Glibc
internal import HookModel

final class StoreLock: Sendable {
    private let descriptors: [Int32]

    /// Locks `path + ".lock"`, and the journal's folder where there is one: somebody may have removed that file beside
    /// an owner, and two of them would write over each other's records.
    ///
    /// - Throws: `busy` if another owner is there.
    init(ownerOf path: String) throws(StoreError) {
        // Closed in programs that are started from here, or a child that lives on would hold the store.
        let file = try Self.lock(StorePlace.openOrMake(path + ".lock", mode: 0o600), path + ".lock", of: path)
        let folder = StorePlace.journal(of: path)
        let opened = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard opened >= 0 || errno != ENOENT else {
            descriptors = [file]
            return
        }
        do throws(StoreError) {
            descriptors = [file, try Self.lock(opened, folder, of: path)]
        } catch {
            Self.release(file)
            throw error
        }
    }

    /// - Parameter opened: the open file `name`; negative if that failed, with `errno` set.
    private static func lock(_ opened: Int32, _ name: String, of path: String) throws(StoreError) -> Int32 {
        guard opened >= 0 else { throw StoreError(opening: name, errno: errno) }
        guard flock(opened, LOCK_EX | LOCK_NB) == 0 else {
            let cause = errno
            Glibc.close(opened)
            throw cause == EWOULDBLOCK
                ? .busy("another mailhookd uses \(path); stop it first") : .failed("\(name): \(String(cString: strerror(cause)))")
        }
        return opened
    }

    private static func release(_ descriptor: Int32) {
        // A child that was just forked and has not become another program yet has the file open too: closing it here
        // would leave the lock with the child for that moment.
        flock(descriptor, LOCK_UN)
        Glibc.close(descriptor)
    }

    deinit { descriptors.forEach(Self.release) }
}
