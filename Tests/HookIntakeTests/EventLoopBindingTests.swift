// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Where event loops are bound to processors, and what becomes of the threads that they start.

import HookModel
import NIOCore
import NIOPosix
import TestSupport
import Testing

@testable import HookIntake

@Suite struct EventLoopBindingTests {
    struct Case: Sendable {
        var mode: EventLoopBinding.Mode
        var loops: Int
        var processors: Int
        var isWanted: Bool
    }

    @Test(arguments: [
        Case(mode: .auto, loops: 1, processors: 1, isWanted: false),
        Case(mode: .auto, loops: 2, processors: 2, isWanted: true),
        Case(mode: .auto, loops: 4, processors: 4, isWanted: true),
        Case(mode: .auto, loops: 5, processors: 5, isWanted: false),
        Case(mode: .always, loops: 5, processors: 5, isWanted: true),
        Case(mode: .always, loops: 1, processors: 1, isWanted: false),
        Case(mode: .never, loops: 2, processors: 2, isWanted: false),
        // A quota of two on a machine with many, and a system that does not tell.
        Case(mode: .always, loops: 2, processors: 64, isWanted: false),
        Case(mode: .auto, loops: 2, processors: 4, isWanted: false),
        Case(mode: .always, loops: 2, processors: 0, isWanted: false),
    ])
    func onlyWhereEachLoopHasAProcessor(_ given: Case) {
        #expect(
            EventLoopBinding(mode: given.mode).isWanted(loops: given.loops, processors: given.processors) == given.isWanted)
    }
}

/// One after the other: threads that one test has bound, another one frees.
@Suite(.serialized, .enabled(if: ThreadPlacement.processors().count > 1, "needs two processors"))
struct ThreadPlacementTests {
    @Test(.enabled(if: ThreadPlacement.processors().count == System.coreCount, "a quota of processor time"))
    func whatALoopStartsIsFreed() async throws {
        let binding = Task { await EventLoopBinding(mode: .always).run() }
        defer { ThreadPlacement.freeAll(but: []) }
        let loop = MultiThreadedEventLoopGroup.singleton.any()
        func heir() async throws -> WorkerThread { try await loop.submit { WorkerThread() }.get() }
        var bound = try await heir()
        for _ in 0..<500 where bound.processors == WorkerThread.all {
            try await Task.sleep(for: .milliseconds(10))
            bound = try await heir()
        }
        #expect(bound.processors != WorkerThread.all)
        for _ in 0..<500 where bound.processors != WorkerThread.all { try await Task.sleep(for: .milliseconds(10)) }
        #expect(bound.processors == WorkerThread.all)
        // The loop itself stays where it is.
        #expect(try await heir().processors != WorkerThread.all)
        binding.cancel()
        await binding.value
    }

    @Test func threadsInheritWhatTheirMakerMayUseUntilTheyAreFreed() throws {
        let last = try #require(ThreadPlacement.processors().last)
        let all = WorkerThread.all
        let bound = WorkerThread()
        let number = try #require(bound.run { ThreadPlacement.current() })
        #expect(ThreadPlacement.bind(number, to: last))
        #expect(bound.processors == "\(last)" && all != "\(last)" && !all.isEmpty)
        let heir = bound.run { WorkerThread() }
        let other = bound.run { WorkerThread() }
        // Or there would be nothing to free.
        #expect(heir.processors == "\(last)" && other.processors == "\(last)")
        heir.run { ThreadPlacement.free() }
        #expect(heir.processors == all && other.processors == "\(last)")
        ThreadPlacement.freeAll(but: [number])
        #expect(other.processors == all)
        #expect(bound.processors == "\(last)")
        ThreadPlacement.freeAll(but: [])
        #expect(bound.processors == all)
    }

    @Test(arguments: [-1, 1023, 1024, .max]) func aProcessorThatIsNotThere(number: Int) {
        let worker = WorkerThread()
        let before = worker.processors
        #expect(!worker.run { ThreadPlacement.bind(0, to: number) })
        #expect(worker.processors == before)
    }
}
