// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Keeps each event loop on a processor of its own. Left to itself, the kernel wakes a loop on the processor of whoever
// woke it, and on a machine with few processors sees no reason to move it: all loops and the client then wait for one
// processor while another one is idle (figures in docs/performance.md).

import HookModel
import NIOCore
import NIOPosix
public import ServiceLifecycle

public struct EventLoopBinding: Service {
    public enum Mode: String, Sendable, Hashable, CaseIterable {
        /// Where there are two to four processors. On more the kernel finds an idle one.
        case auto
        case always
        case never
    }

    private static let fewProcessors = 2...4
    /// How often threads that a loop has started are freed: they inherit its one processor.
    private static let interval = Duration.seconds(1)

    private let mode: Mode

    public init(mode: Mode) { self.mode = mode }

    public func run() async {
        await cancelWhenGracefulShutdown {
            let bound = await bind()
            while !bound.isEmpty, (try? await Task.sleep(for: Self.interval)) != nil {
                ThreadPlacement.freeAll(but: bound)
            }
            // A service that returns would end the others.
            if bound.isEmpty { try? await gracefulShutdown() }
        }
    }

    /// - Returns: the threads that are bound.
    private func bind() async -> Set<Int32> {
        let loops = Array(MultiThreadedEventLoopGroup.singleton.makeIterator())
        let processors = ThreadPlacement.processors()
        guard isWanted(loops: loops.count, processors: processors.count) else { return [] }
        var bound: Set<Int32> = []
        for (loop, processor) in zip(loops, processors) {
            // Refused, for example by a filter of system calls: as before.
            let thread = try? await loop.submit { ThreadPlacement.bind(to: processor) }.get()
            if let thread = thread ?? nil { bound.insert(thread) }
        }
        return bound
    }

    /// With fewer loops than processors, as under a quota of CPU time, every such process would choose the same first ones.
    func isWanted(loops: Int, processors: Int) -> Bool {
        guard loops == processors, loops > 1 else { return false }
        return switch mode {
        case .auto: Self.fewProcessors.contains(processors)
        case .always: true
        case .never: false
        }
    }
}
