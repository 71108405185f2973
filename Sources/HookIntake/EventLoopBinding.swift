// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Keeps each event loop on a processor of its own while there are many connections. Left to itself, the kernel wakes a
// loop on the processor of whoever woke it, and on a machine with few processors sees no reason to move it: all loops and
// their clients then wait for one processor while another one is idle. For one client alone that is just right: it and its
// loop wake each other without waking a processor (decisions 0010 and 0012).

import HookModel
import NIOCore
import NIOPosix
public import ServiceLifecycle
import Synchronization

public struct EventLoopBinding: Service {
    public enum Mode: String, Sendable, Hashable, CaseIterable {
        /// Where there are two to four processors, while there are many connections. On more the kernel finds an idle one.
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
        let loops = await Self.loops()
        guard isWanted(loops: loops.count, processors: ThreadPlacement.processors().count) else {
            // A service that returns would end the others.
            return (try? await gracefulShutdown()) ?? ()
        }
        let areBound = Atomic(false)
        let (changes, change) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        // At once, on the thread that sees it; the rest has time.
        let place: @Sendable (Bool) -> Void = { areMany in
            // Somebody may have given the process fewer meanwhile.
            let processors = areMany ? ThreadPlacement.processors() : []
            // Refused, for example by a filter of system calls: as before.
            let isBound = processors.count == loops.count
                && zip(loops, processors).reduce(false) { ThreadPlacement.bind($1.0, to: $1.1) || $0 }
            if !isBound { ThreadPlacement.free(loops) }
            areBound.store(isBound, ordering: .relaxed)
            change.yield()
        }
        if mode == .always { place(true) } else { OpenConnections.all.whenMany(place) }
        defer { if mode != .always { OpenConnections.all.whenMany(nil) } }
        await cancelWhenGracefulShutdown {
            for await _ in changes {
                // While they are bound, and once after.
                repeat {
                    ThreadPlacement.freeAll(but: Set(loops))
                } while (try? await Task.sleep(for: Self.interval)) != nil && areBound.load(ordering: .relaxed)
            }
        }
    }

    /// The numbers of the loops' threads; none where they are not told.
    private static func loops() async -> [Int32] {
        var numbers: [Int32] = []
        for loop in MultiThreadedEventLoopGroup.singleton.makeIterator() {
            guard let number = (try? await loop.submit { ThreadPlacement.current() }.get()) ?? nil else { return [] }
            numbers.append(number)
        }
        return numbers
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
