// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Where large messages wait: the file without a name, and the gate before memory.

import Foundation
import HookModel
import Synchronization
import Testing

@testable import HookIntake

@Suite struct MessageSpoolTests {
    @Test func givesBackWhatWasAppended() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("mailhookd-spool-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let spool = MessageSpool(folder: folder.path)
        let pieces = [Array("first ".utf8), [], Array(repeating: UInt8(7), count: 300_000), Array("end".utf8)]
        for piece in pieces { spool.append(piece) }
        #expect(spool.failure == nil)
        #expect(spool.count == 300_009)
        #expect(spool.load(appending: Array("rest".utf8)) == pieces.flatMap { $0 } + Array("rest".utf8))
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
    }

    @Test func aFolderThatIsNotThere() {
        let spool = MessageSpool(folder: "/nowhere/at/all")
        spool.append([1, 2, 3])
        #expect(spool.failure == .storeFailed)
        #expect(spool.load(appending: [4]) == nil)
    }

    /// The device that is always full.
    @Test func aFullDisk() throws {
        let spool = MessageSpool(descriptor: open("/dev/full", O_RDWR | O_CLOEXEC))
        #expect(spool.failure == nil)
        spool.append([1])
        #expect(spool.failure == .storeFull)
        #expect(spool.count == 0)
        #expect(spool.load(appending: []) == nil)
    }
}

@Suite struct LoadGateTests {
    /// While one that fills its gate is parsed, and more of its kind wait.
    @Test func giantsDoNotHoldUpTheOthers() {
        let gates = LoadGates()
        let log = Log()
        for octets in [25 << 20, 25 << 20, 1 << 20, 4 << 20] {
            gates.gate(for: octets).enter(octets) { log.note("\(octets >> 20)") }
        }
        #expect(log.all == ["25", "1"])
        gates.gate(for: 1 << 20).leave(1 << 20)
        #expect(log.all == ["25", "1", "4"])
        gates.gate(for: 25 << 20).leave(25 << 20)
        #expect(log.all == ["25", "1", "4", "25"])
    }

    /// Who entered, in order.
    private final class Log: Sendable {
        let names = Mutex<[String]>([])
        func note(_ name: String) { names.withLock { $0.append(name) } }
        var all: [String] { names.withLock { $0 } }
    }

    @Test func entersWhileThereIsRoom() {
        let gate = LoadGate(capacity: 10)
        let log = Log()
        gate.enter(6) { log.note("a") }
        gate.enter(4) { log.note("b") }
        gate.enter(1) { log.note("c") }
        gate.enter(9) { log.note("d") }
        gate.enter(1) { log.note("e") }
        #expect(log.all == ["a", "b"])
        gate.leave(4)
        // Nobody overtakes: the ninth octet of d is not free yet.
        #expect(log.all == ["a", "b", "c"])
        gate.leave(6)
        #expect(log.all == ["a", "b", "c", "d"])
        gate.leave(1)
        #expect(log.all == ["a", "b", "c", "d", "e"])
    }

    @Test func aLargerOneThanTheGateEntersAlone() {
        let gate = LoadGate(capacity: 10)
        let log = Log()
        gate.enter(1) { log.note("small") }
        gate.enter(500) { log.note("large") }
        #expect(log.all == ["small"])
        gate.leave(1)
        gate.enter(1) { log.note("next") }
        #expect(log.all == ["small", "large"])
        gate.leave(500)
        #expect(log.all == ["small", "large", "next"])
    }
}
