// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What the watcher decides to do next, and the names it gives to files.

import Glibc
import HookModel
import Testing

@testable import HookIntake

@Suite struct MaildirQueueTests {
    private func name(_ text: String) -> EntryName { EntryName(Array(text.utf8)) }

    private func identity(_ number: ino_t) -> FileIdentity {
        var status = stat()
        status.st_ino = number
        return FileIdentity(status)
    }

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
            queue.failed(task, .unread(identity(1)), now: moment)
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
        queue.failed(task, .unread(identity(1)), now: moment)
        #expect(queue.next(moment) == .setAside(name("a"), .unreadable, identity(1)))
    }

    /// The fault may be over meanwhile.
    @Test func anUnreadableFileThatCannotBeMovedIsReadFirst() {
        var queue = MaildirQueue()
        queue.scanned([], isCut: false)
        let task = MaildirQueue.Task.read(name("a"), isComplete: true)
        for _ in 0..<MaildirQueue.readAttempts { queue.failed(task, .unread(nil), now: 0) }
        let verdict = MaildirQueue.Task.setAside(name("a"), .unreadable, nil)
        #expect(queue.next(0) == verdict)
        queue.failed(verdict, .unmoved, now: 0)
        // Neither at once nor never.
        #expect(queue.next(0) == nil && queue.nextDue(0) == MaildirQueue.seconds(60))
        let again = MaildirQueue.Task.read(name("a"), isComplete: false)
        #expect(queue.next(MaildirQueue.seconds(60)) == again)
        // It still can't: that it had its attempts is remembered.
        queue.failed(again, .unread(identity(1)), now: 0)
        #expect(queue.next(0) == .setAside(name("a"), .unreadable, identity(1)))
        queue.done(name("a"))
        // What is known to be no good keeps its verdict.
        let known = MaildirQueue.Task.setAside(name("b"), .jsonInvalid, identity(2))
        queue.failed(known, .unmoved, now: 0)
        #expect(queue.next(MaildirQueue.seconds(1)) == known)
    }

    @Test func whatIsPutOffIsNeverSetAside() {
        var queue = MaildirQueue()
        queue.scanned([], isCut: false)
        let task = MaildirQueue.Task.read(name("a"), isComplete: false)
        var moment: MaildirQueue.Moment = 0
        var waits: [MaildirQueue.Moment] = []
        for _ in 0..<9 {
            queue.handedOver(name("a"))
            queue.failed(task, .putOff, now: moment)
            let next = queue.nextDue(moment) ?? 0
            #expect(queue.next(next - 1) == nil && queue.next(next) == task)
            waits.append((next - moment) / 1_000_000_000)
            moment = next
        }
        #expect(waits == [1, 2, 4, 8, 16, 32, 60, 60, 60])
        #expect(!queue.isStuck)
    }

    /// A hook that is paused, with any number of its mails in front of those of other hooks.
    @Test func aCrowdThatIsPutOffHoldsUpNothing() {
        var queue = MaildirQueue()
        let crowd = (0..<3 * MaildirQueue.nameLimit).map { name("p\($0)") }
        var rest = crowd[...] + [name("other")]
        var read: [EntryName] = []
        while queue.isScanDue(0) {
            let found = rest.prefix(MaildirQueue.nameLimit)
            rest = rest.dropFirst(found.count)
            queue.scanned(Array(found), isCut: !rest.isEmpty)
            while case .read(let name, _) = queue.next(0) {
                read.append(name)
                queue.handedOver(name)
                if name.description == "other" {
                    queue.answered(name)
                    queue.done(name)
                } else {
                    queue.failed(.read(name, isComplete: false), .putOff, now: 0)
                }
            }
        }
        #expect(read == crowd + [name("other")])
        // Memory is bounded, and what is not remembered causes no scan after scan.
        #expect(crowd.count { !queue.isUnknown($0) } == MaildirQueue.waitingLimit)
        #expect(queue.isAtRest && queue.nextDue(0) == MaildirQueue.seconds(1))
        // New mail has its turn beside those whose time has come.
        queue.add(name("new"), .moved)
        let tasks = [queue.next(MaildirQueue.seconds(1)), queue.next(MaildirQueue.seconds(1))]
        #expect(tasks.contains(.read(name("new"), isComplete: true)))
        // The hook takes mail again: the others are looked for without waiting for the next look.
        for name in crowd.prefix(MaildirQueue.waitingLimit) {
            queue.handedOver(name)
            queue.answered(name)
            queue.done(name)
        }
        #expect(queue.isScanDue(MaildirQueue.seconds(1)))
    }

    @Test func anOverflowDuringAScanLeadsToAnother() {
        var queue = MaildirQueue()
        queue.scanned([name("a")], isCut: true)
        queue.requestScan()
        _ = queue.next(0)
        #expect(queue.isScanDue(0))
        // The scan that is under way ends first.
        queue.scanned([name("b")], isCut: false)
        _ = queue.next(0)
        #expect(queue.isScanDue(0))
        queue.scanned([], isCut: false)
        #expect(!queue.isScanDue(0))
    }

    @Test func filesThatAreBeingWrittenHoldUpNothing() {
        var queue = MaildirQueue()
        queue.scanned([], isCut: false)
        for index in 0..<2 * MaildirQueue.waitingLimit {
            queue.failed(.read(name("w\(index)"), isComplete: false), .unfinished(identity(1)), now: 0)
        }
        queue.add(name("x"), .moved)
        #expect(queue.next(0) == .read(name("x"), isComplete: true))
        // By then it may be known not to have changed since.
        #expect(queue.earlier(name("w0")) == identity(1))
        queue.add(name("w0"), .closed)
        #expect(queue.earlier(name("w0")) == nil)
    }

    @Test func anotherFileUnderTheNameOfOneInFlightHasItsTurn() {
        var queue = MaildirQueue()
        queue.scanned([name("a")], isCut: false)
        _ = queue.next(0)
        queue.handedOver(name("a"))
        queue.add(name("a"), .moved)
        #expect(queue.next(0) == nil)
        queue.answered(name("a"))
        queue.done(name("a"))
        #expect(queue.next(0) == .read(name("a"), isComplete: false))
    }

    @Test func anotherMaildirInheritsOnlyWhatIsInFlight() {
        var queue = MaildirQueue()
        queue.scanned([name("a"), name("b")], isCut: true)
        _ = queue.next(0)
        queue.handedOver(name("a"))
        queue.failed(.dispose(name("c"), identity(1)), .unmoved, now: 0)
        queue.detach()
        queue.requestScan()
        #expect(queue.next(MaildirQueue.seconds(100)) == nil)
        #expect(!queue.isUnknown(name("a")) && queue.isUnknown(name("b")) && queue.isUnknown(name("c")))
        #expect(queue.isScanDue(0))
    }

    @Test func aStoredFileThatCannotBeMovedIsNeverReadAgain() {
        var queue = MaildirQueue()
        queue.scanned([], isCut: false)
        let task = MaildirQueue.Task.dispose(name("a"), identity(1))
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
        queue.failed(.read(name("a"), isComplete: false), .unfinished(identity(1)), now: 0)
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
            queue.failed(.dispose(name("w\(index)"), identity(1)), .unmoved, now: 0)
        }
        queue.add(name("x"), .moved)
        #expect(queue.isStuck && queue.next(0) == nil && !queue.isScanDue(0))
    }
}

@Suite struct EntryNameTests {
    private func name(_ text: String) -> EntryName { EntryName(Array(text.utf8)) }

    @Test(arguments: [
        ("1760000000.M1P2.host", "1760000000.M1P2.host:2,S"), ("a:2,", "a:2,S"), ("a:2,FT", "a:2,FST"),
        ("a,S=12:2,S", "a,S=12:2,S"), ("a:1,x", "a:1,x:2,S"), ("", ":2,S"), ("a:2,b,F+", "a:2,FSb"),
    ])
    func seen(text: String, expected: String) { #expect(name(text).seen.description == expected) }

    @Test(arguments: [
        ("a.b", "a.b,R=json_invalid"), ("a.b:2,S", "a.b,R=json_invalid"), ("a,S=5", "a,S=5,R=json_invalid"),
        ("a,R=unreadable", "a,R=json_invalid"), (String(repeating: "x", count: 250), String(repeating: "x", count: 250)),
    ])
    func refused(text: String, expected: String) { #expect(name(text).refused("json_invalid").description == expected) }

    @Test(arguments: [("a", "a_7"), ("a:2,FS", "a_7:2,FS"), (":2,S", "_7:2,S"), ("a:2,S:2,F", "a:2,S_7:2,F")])
    func numbered(text: String, expected: String) { #expect(name(text).numbered(7).description == expected) }

    /// No name gets longer than file systems take, wherever its flags begin and whatever they are.
    @Test func namesOfAllLengths() {
        let flags: [[UInt8]] = [[UInt8(ascii: "F")], [0xFF, 0x80, 0x01, 0x2C], Array(0x30...0xFF)]
        let n = UInt8(ascii: "n")
        for length in Array(1...8) + Array(240...255) {
            var names = [EntryName(repeatElement(n, count: length))]
            for unique in [0, 1, 2, 50, 190] + Array(200...252) where unique + 3 <= length {
                let start = Array(repeatElement(n, count: unique)) + Array(":2,".utf8)
                let rest = 0..<(length - start.count)
                names += flags.map { flags in EntryName(start + rest.map { flags[$0 % flags.count] }) }
            }
            for name in names { check(name) }
        }
    }

    private func check(_ name: EntryName) {
        let seen = name.seen
        let numbered = [1, 2, 9, 10, 99].map { seen.numbered($0) }
        let all = [seen, name.refused("json_invalid"), name.numbered(1), name.numbered(99)] + numbered
        #expect(all.allSatisfy { (1...255).contains($0.octets.count) }, "\(name)")
        #expect(Set(numbered).count == numbered.count && seen.octets.contains(UInt8(ascii: "S")), "\(name)")
    }

    @Test func octetsThatAreNoTextSurvive() {
        let octets: [UInt8] = [0xFF, 0x80, 0x41]
        EntryName(octets).withPath { path in
            #expect((0..<4).map { UInt8(bitPattern: path[$0]) } == octets + [0])
        }
    }
}
