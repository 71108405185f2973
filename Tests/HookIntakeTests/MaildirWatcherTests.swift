// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The watcher on real folders: in their order, whole, once, and never over what lies there.

import Foundation
import HookModel
import Synchronization
import Testing

@testable import HookIntake

@Suite struct MaildirWatcherTests {
    @Test func backlogAndNewMailMoveToCurInTheirOrder() throws {
        let receiver = Receiver { _, _ in .accepted }
        let waiting = (100..<400).map { "m\($0)" }
        let place = try MaildirPlace(receiver, waiting: waiting)
        try place.eventually("the backlog is moved") { place.list("cur").count == 300 }
        #expect(receiver.bodies == waiting)
        try place.deliver("n1")
        try place.eventually("the new one is moved") { place.list("cur").contains("n1:2,S") }
        // As qmail and Postfix deliver: link(2), then unlink(2).
        let temporary = place.root.appendingPathComponent("tmp/n2")
        try Data("n2".utf8).write(to: temporary)
        #expect(link(temporary.path, place.root.appendingPathComponent("new/n2").path) == 0)
        unlink(temporary.path)
        try place.eventually("the linked one is moved") { place.list("cur").contains("n2:2,S") }
        #expect(place.list("new").isEmpty && receiver.count == 302)
        #expect(receiver.state.withLock { $0.messages[0].envelope } == Envelope(source: .maildir, mailFrom: nil, recipients: ["a@b.example"]))
    }

    @Test func aFileThatIsStillBeingWrittenIsLeftAlone() throws {
        let receiver = Receiver { _, _ in .accepted }
        let place = try MaildirPlace(receiver)
        usleep(100_000)
        let descriptor = open(place.root.appendingPathComponent("new/slow").path, O_WRONLY | O_CREAT, 0o600)
        let file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        for piece in ["one ", "two ", "three"] {
            try file.write(contentsOf: Data(piece.utf8))
            usleep(50_000)
        }
        #expect(receiver.count == 0)
        try file.close()
        try place.eventually("it is taken") { place.list("cur") == ["slow:2,S"] }
        #expect(receiver.bodies == ["one two three"])
    }

    @Test func onlySoManyAreInFlight() throws {
        let receiver = Receiver(isHeld: true) { _, _ in .accepted }
        let place = try MaildirPlace(receiver, waiting: (0..<50).map { "m\($0)" }) { $0.filesInFlight = 8 }
        for round in 1...7 {
            try place.eventually("round \(round)") { receiver.count == min(round * 8, 50) }
            usleep(10_000)
            #expect(receiver.count == min(round * 8, 50))
            receiver.release()
        }
        try place.eventually("all are moved") { place.list("cur").count == 50 }
        #expect(receiver.state.withLock { $0.mostOpen } == 8)
    }

    @Test func temporaryFailuresAreTriedAgainWithoutABusyLoop() throws {
        let receiver = Receiver { _, number in number <= 2 ? .storeFull : .accepted }
        let start = ContinuousClock.now
        let place = try MaildirPlace(receiver, waiting: ["a"])
        try place.eventually("taken in the end") { place.list("cur") == ["a:2,S"] }
        // Three attempts, with waits of 1 and 2 seconds between them.
        #expect(receiver.count == 3)
        #expect(ContinuousClock.now - start > .milliseconds(2900))
        #expect(place.refused.isEmpty)
    }

    @Test func whatIsRefusedIsSetAsideWithItsOutcome() throws {
        let receiver = Receiver { message, _ in message.bytes == Array("bad".utf8) ? .jsonInvalid : .accepted }
        let place = try MaildirPlace(receiver, waiting: ["bad", "good"])
        try place.deliver("large", String(repeating: "x", count: 1001))
        try place.deliver("damaged.gz", "\u{1F}")
        try FileManager.default.createDirectory(
            at: place.root.appendingPathComponent("new/folder"), withIntermediateDirectories: true)
        symlink("/etc/passwd", place.root.appendingPathComponent("new/link").path)
        mkfifo(place.root.appendingPathComponent("new/fifo").path, 0o600)
        try Data([0x1F, 0x8B, 0]).write(to: place.root.appendingPathComponent("new/broken"))
        try Data([0x28, 0xB5, 0x2F, 0xFD, 0, 0]).write(to: place.root.appendingPathComponent("new/zstd"))
        let expected = [
            "bad,R=json_invalid", "broken,R=unreadable", "fifo,R=unreadable", "folder,R=unreadable",
            "large,R=message_too_large", "link,R=unreadable", "zstd,R=unreadable",
        ]
        try place.eventually("all are set aside: \(place.refused)") { place.refused.count == expected.count }
        #expect(place.refused == expected)
        try place.eventually("the rest is moved") { place.list("cur") == ["damaged.gz:2,S", "good:2,S"] }
        #expect(!receiver.bodies.contains { $0.contains("root:") })
        #expect(place.list(".mailhookd-refused") == ["cur", "maildirfolder", "new", "tmp"])
        // Moved back by hand, it is tried again.
        rename(
            place.root.appendingPathComponent(".mailhookd-refused/new/bad,R=json_invalid").path,
            place.root.appendingPathComponent("new/bad,R=json_invalid").path)
        try place.eventually("refused again") { place.refused.contains("bad,R=json_invalid") && place.list("new").isEmpty }
    }

    @Test func compressedMailIsUnpacked() throws {
        let receiver = Receiver { _, _ in .accepted }
        let place = try MaildirPlace(receiver)
        try Data([0x1F, 0x8B, 8, 0, 0, 0]).write(to: place.root.appendingPathComponent("tmp/z"))
        rename(place.root.appendingPathComponent("tmp/z").path, place.root.appendingPathComponent("new/z").path)
        try place.eventually("moved") { place.list("cur") == ["z:2,S"] }
        #expect(receiver.bodies == ["unpacked"])
    }

    @Test func deletesByOption() throws {
        let receiver = Receiver { _, _ in .duplicate }
        let place = try MaildirPlace(receiver, waiting: ["a", "b"], afterwards: .delete)
        try place.eventually("both are gone") { place.list("new").isEmpty }
        #expect(place.list("cur").isEmpty && receiver.count == 2)
    }

    /// The message is stored, but its file can't leave: it is not stored again and again, and moved when that works.
    @Test func aFileThatCannotBeMovedIsStoredOnce() throws {
        let receiver = Receiver { _, _ in .accepted }
        let place = try MaildirPlace(receiver)
        try FileManager.default.removeItem(at: place.root.appendingPathComponent("cur"))
        try Data().write(to: place.root.appendingPathComponent("cur"))
        try place.deliver("a")
        try place.eventually("stored") { receiver.count == 1 }
        usleep(1_500_000)
        #expect(receiver.count == 1 && place.list("new") == ["a"])
        try FileManager.default.removeItem(at: place.root.appendingPathComponent("cur"))
        try place.eventually("moved") { place.list("cur") == ["a:2,S"] }
        #expect(receiver.count == 1)
    }

    /// The same for many, which another thread moves.
    @Test func aBacklogThatCannotBeMovedIsStoredOnce() throws {
        let receiver = Receiver { _, _ in .accepted }
        let names = (100..<300).map { "m\($0)" }
        let place = try MaildirPlace(receiver)
        // In the way before the first of them comes.
        try FileManager.default.removeItem(at: place.root.appendingPathComponent("cur"))
        try Data().write(to: place.root.appendingPathComponent("cur"))
        for name in names { try place.deliver(name) }
        try place.eventually("all are stored") { receiver.count == names.count }
        usleep(1_500_000)
        #expect(receiver.count == names.count && place.list("new") == names)
        try FileManager.default.removeItem(at: place.root.appendingPathComponent("cur"))
        try place.eventually("all are moved") { place.list("cur") == names.map { "\($0):2,S" } }
        #expect(receiver.count == names.count && place.list("new").isEmpty)
    }

    /// What has its answer when the watcher ends has left `new/`, also where another thread moves it.
    @Test(arguments: [0, 1000, 3000, 6000])
    func stopWaitsForFilesThatAreBeingMoved(after microseconds: UInt32) throws {
        let receiver = Receiver { _, _ in .accepted }
        let place = try MaildirPlace(receiver, waiting: (10_000..<12_000).map { "m\($0)" })
        usleep(microseconds)
        #expect(place.stop())
        #expect(place.list("cur").count == receiver.count)
        #expect(place.list("new").count == 2000 - receiver.count)
    }

    /// One that comes alone is stored by the thread that read it; many share the store's syncs.
    @Test func onlyASingleMailIsStoredByTheWatcherItself() throws {
        let receiver = Receiver { _, _ in .accepted }
        let place = try MaildirPlace(receiver, waiting: (0..<50).map { "m\($0)" })
        try place.eventually("the backlog is moved") { place.list("cur").count == 50 }
        let before = receiver.state.withLock { $0.here }
        // The last of a backlog may come alone.
        #expect(before <= 1)
        // The watcher hears of the last moves a moment after they can be seen.
        usleep(50_000)
        try place.deliver("single")
        try place.eventually("moved") { place.list("cur").contains("single:2,S") }
        #expect(receiver.state.withLock { $0.here } == before + 1)
    }

    @Test func aMaildirMayComeLaterAndGoAway() throws {
        let receiver = Receiver { _, _ in .accepted }
        let place = try MaildirPlace(receiver, waiting: ["a"])
        try place.eventually("first") { receiver.count == 1 }
        let aside = place.root.appendingPathExtension("old")
        defer { try? FileManager.default.removeItem(at: aside) }
        rename(place.root.appendingPathComponent("new").path, aside.path)
        usleep(100_000)
        try FileManager.default.createDirectory(
            at: place.root.appendingPathComponent("new"), withIntermediateDirectories: true)
        try place.deliver("b")
        try place.eventually("second") { receiver.bodies == ["a", "b"] }
    }

    /// The watcher has the folder open, so no event tells that it was removed.
    @Test func aFolderThatIsRemovedMayBeMadeAgain() throws {
        let receiver = Receiver { _, _ in .accepted }
        let place = try MaildirPlace(receiver, waiting: ["a"]) { $0.lookInterval = .milliseconds(50) }
        try place.eventually("first") { receiver.count == 1 && place.list("cur").count == 1 }
        let new = place.root.appendingPathComponent("new")
        try FileManager.default.removeItem(at: new)
        try FileManager.default.createDirectory(at: new, withIntermediateDirectories: true)
        try place.deliver("b")
        try place.eventually("second") { receiver.bodies == ["a", "b"] }
    }

    @Test func stopWaitsForWhatIsInFlight() throws {
        let receiver = Receiver(isHeld: true) { _, _ in .accepted }
        let place = try MaildirPlace(receiver, waiting: ["a", "b"])
        try place.eventually("both are handed over") { receiver.count == 2 }
        place.watcher.stop()
        usleep(50_000)
        try place.deliver("late")
        receiver.release()
        #expect(place.stop())
        #expect(place.list("cur") == ["a:2,S", "b:2,S"] && place.list("new") == ["late"])
    }

    /// A Maildir belongs to somebody who may not lead a daemon with more rights anywhere.
    @Test(.timeLimit(.minutes(1)), arguments: ["link", "dangling link", "FIFO"])
    func whatIsInAMaildirLeadsNowhere(kind: String) throws {
        let other = FileManager.default.temporaryDirectory.appendingPathComponent("mailhookd-other-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: other) }
        if kind == "link" { try Data("kept".utf8).write(to: other) }
        let receiver = Receiver { _, _ in .jsonInvalid }
        let place = try MaildirPlace(receiver)
        let mark = place.root.appendingPathComponent(".mailhookd-refused/maildirfolder")
        try FileManager.default.createDirectory(
            at: mark.deletingLastPathComponent(), withIntermediateDirectories: true)
        #expect((kind == "FIFO" ? mkfifo(mark.path, 0o600) : symlink(other.path, mark.path)) == 0)
        try place.deliver("a")
        try place.eventually("set aside") { place.refused == ["a,R=json_invalid"] }
        #expect(FileManager.default.fileExists(atPath: other.path) == (kind == "link"))
    }

    @Test func foldersOfAMaildirAreNoLinks() throws {
        let other = FileManager.default.temporaryDirectory.appendingPathComponent("mailhookd-other-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: other) }
        try FileManager.default.createDirectory(at: other, withIntermediateDirectories: true)
        try Data("kept".utf8).write(to: other.appendingPathComponent("kept"))
        let receiver = Receiver { _, _ in .accepted }
        let place = try MaildirPlace(receiver, waiting: ["a"]) { $0.lookInterval = .milliseconds(50) }
        try place.eventually("moved") { place.list("cur") == ["a:2,S"] }
        let new = place.root.appendingPathComponent("new")
        try FileManager.default.removeItem(at: new)
        #expect(symlink(other.path, new.path) == 0)
        // Longer than until it is tried again.
        usleep(2_000_000)
        #expect(receiver.count == 1 && FileManager.default.fileExists(atPath: other.appendingPathComponent("kept").path))
    }

    @Test func whatLiesThereIsNotOverwritten() throws {
        let receiver = Receiver { message, _ in message.bytes.first == UInt8(ascii: "-") ? .jsonInvalid : .accepted }
        let place = try MaildirPlace(receiver)
        for round in 0..<3 {
            try place.deliver("good", "good \(round)")
            try place.eventually("moved") { place.list("cur").count == round + 1 }
            try place.deliver("bad", "- \(round)")
            try place.eventually("set aside") { place.refused.count == round + 1 }
        }
        #expect(place.list("cur") == ["good:2,S", "good_1:2,S", "good_2:2,S"])
        #expect(place.refused == ["bad,R=json_invalid", "bad,R=json_invalid_1", "bad,R=json_invalid_2"])
    }

    @Test func theLongestNames() throws {
        let receiver = Receiver { _, _ in .accepted }
        let names = (0..<3).map { String(repeating: "n", count: 254) + "\($0)" }
        let place = try MaildirPlace(receiver, waiting: names)
        try place.eventually("moved") { place.list("cur").count == 3 && place.list("new").isEmpty }
    }

    /// More events than the kernel keeps while nobody reads them: everything is found all the same.
    @Test func nothingIsLostInAFlood() throws {
        let kept = try String(contentsOfFile: "/proc/sys/fs/inotify/max_queued_events", encoding: .utf8)
        let limit = try #require(Int(kept.trimmingCharacters(in: .whitespacesAndNewlines)))
        let (isRead, isFull) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        let receiver = Receiver { _, count in
            guard count == 1 else { return .accepted }
            isRead.signal()
            isFull.wait()
            return .accepted
        }
        let place = try MaildirPlace(receiver)
        try place.deliver("first")
        #expect(isRead.wait(timeout: .now() + 20) == .success)
        // Two names by turns: the same event twice in a row would be kept as one.
        for name in ["x", "y"] { try Data(name.utf8).write(to: place.root.appendingPathComponent("tmp/\(name)")) }
        for _ in 0...(limit / 2) {
            for name in ["x", "y"] {
                let paths = ["tmp", "new"].map { place.root.appendingPathComponent("\($0)/\(name)").path }
                rename(paths[0], paths[1])
                rename(paths[1], paths[0])
            }
        }
        try place.deliver("last")
        isFull.signal()
        try place.eventually("all are moved") { place.list("cur") == ["first:2,S", "last:2,S"] }
        #expect(receiver.count == 2)
    }

    /// Renaming the folder above `new` is no event of `new`.
    @Test func anotherMaildirMayComeInItsPlace() throws {
        let receiver = Receiver { _, _ in .accepted }
        let place = try MaildirPlace(receiver, waiting: ["a"]) { $0.lookInterval = .milliseconds(50) }
        try place.eventually("first") { receiver.count == 1 }
        try place.replace()
        try place.deliver("b")
        try place.eventually("second") { place.list("cur") == ["b:2,S"] }
        #expect(receiver.bodies == ["a", "b"])
    }
}
