// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Starts a program and learns how it ended. Foundation's Process is not used: when it starts a program it copies a
// name out of readdir(3)'s buffer with a fixed length, reads past the buffer's end and now and then ends the tests.

import Foundation
import Synchronization

/// A program that runs, or has run. Only this one is ever signalled: its number stays its own until its end is known.
final class SpawnedProcess: Sendable {
    let identifier: pid_t
    /// What waitpid(2) told.
    private let end = Mutex<Int32?>(nil)

    /// Looks the program up in PATH. Its standard input, output and error are `descriptors`, nothing else is handed down.
    ///
    /// - Parameter environment: `NAME=value`
    init(_ arguments: [String], environment: [String], descriptors: [Int32]) throws(Child.Failure) {
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        for (number, descriptor) in descriptors.enumerated() {
            posix_spawn_file_actions_adddup2(&actions, descriptor, Int32(number))
        }
        _ = Self.addCloseFrom?(&actions, Int32(descriptors.count))
        // Threads that run tests may have signals blocked, and a program would inherit that.
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigaddset(&signals, SIGPIPE)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setpgroup(&attributes, 0)
        let flags = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF
        posix_spawnattr_setflags(&attributes, Int16(flags))
        var (argv, envp) = (arguments.map { strdup($0) } + [nil], environment.map { strdup($0) } + [nil])
        defer { for text in argv + envp { free(text) } }
        var started: pid_t = 0
        let code = posix_spawnp(&started, arguments[0], &actions, &attributes, &argv, &envp)
        guard code == 0 else {
            throw Child.Failure(description: "\(arguments[0]): \(String(cString: strerror(code)))")
        }
        identifier = started
        Thread.detachNewThread { self.awaitEnd() }
    }

    private func awaitEnd() {
        var information = siginfo_t()
        // Leaves the number taken, so that nobody else can have it while `signal` looks.
        while waitid(P_PID, id_t(identifier), &information, WEXITED | WNOWAIT) != 0, errno == EINTR {}
        end.withLock { end in
            var status: Int32 = 0
            waitpid(identifier, &status, 0)
            end = status
        }
    }

    /// The exit status, or the number of the signal that ended it; nil while it runs.
    var status: Int32? {
        end.withLock { end in end.map { $0 & 0x7F == 0 ? $0 >> 8 & 0xFF : $0 & 0x7F } }
    }

    /// Does nothing if it has ended.
    func signal(_ number: Int32) {
        end.withLock { end in if end == nil { kill(identifier, number) } }
    }

    /// posix_spawn_file_actions_addclosefrom_np(3), which the headers only show to GNU sources.
    private static let addCloseFrom = dlsym(nil, "posix_spawn_file_actions_addclosefrom_np").map {
        unsafeBitCast($0, to: (@convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, Int32) -> Int32).self)
    }
}
