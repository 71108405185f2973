// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A thread of one's own, for what the kernel keeps by thread.

import Foundation
import Synchronization

/// Does what it is told to and waits for more, as long as the process lives.
public final class WorkerThread: Sendable {
    private let jobs = Mutex<[@Sendable () -> Void]>([])
    private let signal = DispatchSemaphore(value: 0)

    public init() {
        Thread.detachNewThread { [self] in
            while true {
                signal.wait()
                let job = jobs.withLock { $0.removeFirst() }
                job()
            }
        }
    }

    public func run<Value: Sendable>(_ body: @escaping @Sendable () -> Value) -> Value {
        let result = Mutex<Value?>(nil)
        let done = DispatchSemaphore(value: 0)
        jobs.withLock {
            $0.append {
                let value = body()
                result.withLock { $0 = value }
                done.signal()
            }
        }
        signal.signal()
        done.wait()
        return result.withLock { $0! }
    }

    /// Those it may use, as the kernel writes it: `0-1`, or `1`.
    public var processors: String { run { Self.processors("/proc/thread-self/status") } }

    /// Those that the process's first thread may use.
    public static var all: String { processors("/proc/self/status") }

    private static func processors(_ file: String) -> String {
        let status = try? String(contentsOfFile: file, encoding: .utf8)
        let line = status?.split(separator: "\n").first { $0.hasPrefix("Cpus_allowed_list:") }
        return line.map { String($0.dropFirst("Cpus_allowed_list:".count)).trimmingCharacters(in: .whitespaces) } ?? ""
    }
}
