// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What the watcher decides to do next, and the names it gives to files.

import HookModel
import Testing

@testable import HookIntake

@Suite struct MaildirQueueTests {
    private func name(_ text: String) -> EntryName { EntryName(Array(text.utf8)) }

    private func names(_ queue: inout MaildirQueue, at moment: MaildirQueue.Moment = 0) -> [String] {
        var found: [String] = []
        while let task = queue.next(moment) {
            found.append(task.name.description)
            queue.handedOver(task.name)
        }
        return found
    }

    @Test func namesHaveTheirTurnOnce() {
        var queue = MaildirQueue()
        #expect(queue.isScanDue(0))
        queue.scanned([name("a"), name("b")], isCut: false)
        #expect(!queue.isScanDue(0))
        queue.add(name("b"), .moved)
        queue.add(name("c"), .moved)
        queue.add(name(".hidden"), .moved)
        #expect(names(&queue) == ["a", "b", "c"])
        // In flight: no event and no scan brings it again.
        queue.add(name("a"), .moved)
        #expect(queue.next(0) == nil)
        #expect(!queue.isUnknown(name("a")))
        queue.answered(name("a"))
        queue.done(name("a"))
        #expect(queue.isUnknown(name("a")))
    }

    @Test func whatIsGivenBackComesFirst() {
        var queue = MaildirQueue()
        queue.scanned([name("a"), name("b")], isCut: false)
        _ = queue.next(0)
        queue.handedOver(name("a"))
        queue.answered(name("a"))
        queue.giveBack(name("a"), isComplete: true)
        #expect(queue.next(0) == .read(name("a"), isComplete: true))
        // What is not known to be whole is not known to be it later.
        queue.giveBack(name("b"), isComplete: false)
        #expect(queue.next(0) == .read(name("b"), isComplete: false))
        #expect(queue.next(0) == .read(name("b"), isComplete: false))
    }

    @Test func aFileThatCannotBeReadIsSetAsideAfterGrowingWaits() {
        var queue = MaildirQueue()
        let task = MaildirQueue.Task.read(name("a"), isComplete: true)
        var moment: MaildirQueue.Moment = 0
        var waits: [MaildirQueue.Moment] = []
        for _ in 1..<MaildirQueue.readAttempts {
            queue.failed(task, .unread, now: moment)
            #expect(queue.next(moment) == nil)
            // An event about something else, or a scan, does not shorten the wait.
            #expect(!queue.isUnknown(name("a")))
            let due = queue.nextDue(moment).map { max($0, 1) } ?? 0
            queue.scanned([], isCut: false)
            let next = queue.nextDue(moment) ?? 0
            #expect(next > moment && due > 0)
            waits.append((next - moment) / 1_000_000_000)
            moment = next
            #expect(queue.next(moment) == task)
        }
        #expect(waits == [1, 2, 4, 8, 16])
        queue.failed(task, .unread, now: moment)
        #expect(queue.next(moment) == .setAside(name("a"), .unreadable))
    }

    @Test func aStoredFileThatCannotBeMovedIsNeverReadAgain() {
        var queue = MaildirQueue()
        queue.scanned([], isCut: false)
        let task = MaildirQueue.Task.dispose(name("a"))
        queue.failed(task, .unmoved, now: 0)
        queue.add(name("a"), .moved)
        #expect(queue.next(0) == nil)
        #expect(queue.next(MaildirQueue.seconds(1)) == task)
        for _ in 0..<20 { queue.failed(task, .unmoved, now: 0) }
        #expect(queue.nextDue(0) == MaildirQueue.seconds(60))
        queue.done(name("a"))
        #expect(queue.nextDue(0) == nil)
    }

    @Test func closingAFileEndsTheWaitForIt() {
        var queue = MaildirQueue()
        queue.scanned([], isCut: false)
        queue.add(name("a"), .created)
        #expect(queue.next(0) == .read(name("a"), isComplete: false))
        queue.failed(.read(name("a"), isComplete: false), .unfinished, now: 0)
        queue.add(name("a"), .created)
        #expect(queue.next(0) == nil)
        queue.add(name("a"), .closed)
        // Another may write it still: that is looked at again.
        #expect(queue.next(0) == .read(name("a"), isComplete: false))
    }

    @Test func memoryIsBounded() {
        var queue = MaildirQueue()
        queue.scanned([], isCut: false)
        for index in 0..<(MaildirQueue.nameLimit + 10) { queue.add(name("n\(index)"), .moved) }
        #expect(queue.isFull)
        var count = 0
        while queue.next(0) != nil { count += 1 }
        #expect(count == MaildirQueue.nameLimit)
        // What did not fit is found by a scan.
        #expect(queue.isScanDue(0))
        for index in 0..<MaildirQueue.waitingLimit {
            queue.failed(.dispose(name("w\(index)")), .unmoved, now: 0)
        }
        queue.add(name("x"), .moved)
        #expect(queue.isStuck && queue.next(0) == nil && !queue.isScanDue(0))
    }
}

@Suite struct EntryNameTests {
    private func name(_ text: String) -> EntryName { EntryName(Array(text.utf8)) }

    @Test(arguments: [
        ("1760000000.M1P2.host", "1760000000.M1P2.host:2,S"), ("a:2,", "a:2,S"), ("a:2,FT", "a:2,FST"),
        ("a,S=12:2,S", "a,S=12:2,S"), ("a:1,x", "a:1,x:2,S"), ("", ":2,S"),
    ])
    func seen(text: String, expected: String) { #expect(name(text).seen.description == expected) }

    @Test(arguments: [
        ("a.b", "a.b,R=json_invalid"), ("a.b:2,S", "a.b,R=json_invalid"), ("a,S=5", "a,S=5,R=json_invalid"),
        ("a,R=unreadable", "a,R=json_invalid"), (String(repeating: "x", count: 250), String(repeating: "x", count: 250)),
    ])
    func refused(text: String, expected: String) { #expect(name(text).refused("json_invalid").description == expected) }

    @Test func octetsThatAreNoTextSurvive() {
        let octets: [UInt8] = [0xFF, 0x80, 0x41]
        EntryName(octets).withPath { path in
            #expect((0..<4).map { UInt8(bitPattern: path[$0]) } == octets + [0])
        }
    }
}
