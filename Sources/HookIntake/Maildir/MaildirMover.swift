// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Takes files whose messages are stored out of `new/` while the watcher reads the next ones: a
// rename costs half as much as reading a mail and deciding about it.

import NIOPosix

/// A file whose message was handed over: to be moved or removed, and afterwards what came of it.
struct MaildirMove: Sendable {
    var box: Int
    var name: EntryName
    /// The file that was read; another may have come under its name.
    var identity: FileIdentity
    /// Where it was read; another Maildir may have come in its place.
    var folder: MaildirFolder
    var afterwards: Maildir.Afterwards
    var result = MaildirFolder.Leaving.done

    mutating func perform() {
        result =
            switch afterwards {
            case .move: folder.move(name, identity)
            case .delete: folder.delete(name, identity)
            }
    }
}

/// The mover's thread, which begins with the first backlog. Used by the watcher's thread only.
final class MaildirMover {
    private var thread: NIOThreadPool?

    /// - Parameter completion: called on the mover's thread; not at all once the mover has ended.
    func perform(_ moves: [MaildirMove], completion: @escaping @Sendable ([MaildirMove]) -> Void) {
        let thread = started()
        thread.submit { state in
            guard case .active = state else { return }
            var moves = moves
            for index in moves.indices { moves[index].perform() }
            completion(moves)
        }
    }

    private func started() -> NIOThreadPool {
        if let thread { return thread }
        let thread = NIOThreadPool(numberOfThreads: 1)
        thread.start()
        self.thread = thread
        return thread
    }

    /// Does not wait: a file system that hangs would hold up the end of the daemon.
    func end() { thread?.shutdownGracefully { _ in } }
}
