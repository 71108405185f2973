// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The watcher where things go wrong around it: names given twice, hooks that are paused, clocks that differ, file
// systems that fail, and a kernel without watches.

import Foundation
import HookModel
import Synchronization
import Testing

@testable import HookIntake

/// A kernel that has no watch left, until it has.
private final class ScarceWatches: Inotify {
    // Set by the test, read by the watcher's thread.
    private let hasSome = Mutex(false)

    func giveBack() { hasSome.withLock { $0 = true } }

    override func watch(_ path: String) -> Int32? {
        if hasSome.withLock({ $0 }) { return super.watch(path) }
        errno = ENOSPC
        return nil
    }
}

@Suite struct MaildirFaultTests {
    // MARK: - Names given twice

    /// The stored one could not leave, and another came under its name.
    @Test(arguments: Maildir.Afterwards.allCases)
    func aMailUnderTheNameOfOneThatWaitsIsStored(afterwards: Maildir.Afterwards) throws {
        let receiver = Receiver(isHeld: true) { _, _ in .accepted }
        let place = try MaildirPlace(receiver, afterwards: afterwards)
        try place.deliver("same", "first")
        try place.eventually("the first is handed over") { receiver.count == 1 }
        try place.deliver("same", "second one")
        receiver.release()
        try place.eventually("the second is handed over") { receiver.count == 2 }
        #expect(receiver.bodies == ["first", "second one"] && place.list("new") == ["same"])
        receiver.release()
        try place.eventually("it left") { place.list("new").isEmpty }
        #expect(place.list("cur") == (afterwards == .move ? ["same:2,S"] : []))
    }

    /// The same where the first one waits for a folder to move to.
    @Test(arguments: ["cur", ".mailhookd-refused"])
    func aMailUnderTheNameOfOneThatCannotLeaveIsStored(folder: String) throws {
        let receiver = Receiver { message, _ in
            folder != "cur" && message.bytes == Array("first".utf8) ? .jsonInvalid : .accepted
        }
        let place = try MaildirPlace(receiver)
        let obstacle = place.root.appendingPathComponent(folder)
        try? FileManager.default.removeItem(at: obstacle)
        try Data().write(to: obstacle)
        try place.deliver("same", "first")
        try place.eventually("the first is handed over") { receiver.count == 1 }
        try place.deliver("same", "second one")
        try FileManager.default.removeItem(at: obstacle)
        try place.eventually("the second is stored") { receiver.bodies == ["first", "second one"] }
        try place.eventually("it is moved") { place.list("cur") == ["same:2,S"] && place.list("new").isEmpty }
        #expect(place.refused.isEmpty)
    }

    /// A file stays the same with another mode, another link and another time of change.
    @Test func aFileThatIsTouchedOnlyOutsideIsStoredOnce() throws {
        let receiver = Receiver(isHeld: true) { _, _ in .accepted }
        let place = try MaildirPlace(receiver, waiting: ["a"])
        try place.eventually("it is handed over") { receiver.count == 1 }
        let file = place.root.appendingPathComponent("new/a").path
        #expect(chmod(file, 0o640) == 0)
        #expect(link(file, place.root.appendingPathComponent("tmp/a").path) == 0)
        receiver.release()
        try place.eventually("it is moved") { place.list("cur") == ["a:2,S"] }
        #expect(receiver.count == 1)
    }

    @Test func aMailOfAnotherMaildirInTheSamePlaceIsStored() throws {
        let receiver = Receiver(isHeld: true) { _, _ in .accepted }
        let place = try MaildirPlace(receiver, waiting: ["a"]) { $0.lookInterval = .milliseconds(50) }
        try place.eventually("the first is handed over") { receiver.count == 1 }
        try place.replace()
        try place.deliver("a", "another")
        try place.eventually("the other one is watched") { place.log.count("watching Maildir") == 2 }
        receiver.release()
        try place.eventually("the second is handed over") { receiver.bodies == ["a", "another"] }
        #expect(place.list("new") == ["a"])
        // The first leaves the Maildir it came to.
        #expect(FileManager.default.fileExists(atPath: place.aside.appendingPathComponent("cur/a:2,S").path))
        receiver.release()
        try place.eventually("it is moved") { place.list("cur") == ["a:2,S"] }
    }

    // MARK: - Hooks that are paused

    @Test func aPausedHookHoldsUpNoOther() throws {
        let isPaused = Mutex(true)
        let receiver = Receiver { message, _ in
            isPaused.withLock { $0 } && message.bytes.first == UInt8(ascii: "a") ? .hookPaused : .accepted
        }
        let place = try MaildirPlace(receiver, waiting: (100..<900).map { "a\($0)" } + (100..<300).map { "b\($0)" })
        try place.eventually("the others are moved") { place.list("cur").count == 200 }
        try place.deliver("b-new")
        try place.eventually("a new one is moved") { place.list("cur").contains("b-new:2,S") }
        #expect(place.list("new").count == 800 && place.refused.isEmpty)
        #expect(place.log.count("intake pauses") == 0)
        isPaused.withLock { $0 = false }
        try place.eventually("all are moved") { place.list("new").isEmpty }
        #expect(place.list("cur").count == 1001 && place.refused.isEmpty)
    }

    // MARK: - Faults that may end

    @Test(arguments: [
        (EACCES, "failed"), (EPERM, "failed"), (ESTALE, "ailing"), (EIO, "ailing"), (ENOTCONN, "ailing"),
        (ETIMEDOUT, "ailing"), (ENOMEM, "exhausted"), (EMFILE, "exhausted"), (ENOENT, "gone"), (ELOOP, "refused"),
        (ENXIO, "refused"), (EBUSY, "failed"),
    ])
    func whatAnErrorSaysOfAFile(cause: Int32, expected: String) {
        let name =
            switch MaildirFolder.failure(cause, { nil }) {
            case .gone: "gone"
            case .unfinished: "unfinished"
            case .exhausted: "exhausted"
            case .ailing: "ailing"
            case .failed: "failed"
            case .refused: "refused"
            }
        #expect(name == expected)
    }

    @Test func onlyReadsThatFailInARowAreReasonToRest() throws {
        let receiver = Receiver { _, _ in .accepted }
        let made = MaildirWatcher(
            configuration: MaildirIntakeConfiguration(maildirs: [Maildir(path: "/nowhere")], messageSize: 1),
            guide: MaildirPlaceGuide(), receiver: receiver, logger: MaildirLog.logger(MaildirLog()),
            now: { Timestamp(microseconds: 0) })
        let watcher = try #require(made)
        watcher.rest(0, 0)
        #expect(watcher.boxes[0].restUntil == 0)
        watcher.rest(0, 0)
        #expect(watcher.boxes[0].restUntil == MaildirQueue.seconds(1))
        for _ in 0..<20 { watcher.rest(0, 0) }
        #expect(watcher.boxes[0].restUntil == MaildirQueue.seconds(60))
    }

    // MARK: - Clocks that differ

    @Test func aFileFromTheFutureIsOldOnceItStays() throws {
        let receiver = Receiver { _, _ in .accepted }
        let place = try MaildirPlace(receiver)
        #expect(place.stop())
        let path = place.root.appendingPathComponent("new/a").path
        try Data().write(to: URL(fileURLWithPath: path))
        try FileManager.default.setAttributes([.modificationDate: Date(timeIntervalSinceNow: 7200)], ofItemAtPath: path)
        let (folder, name) = (try #require(MaildirFolder(place.root.path)), EntryName("a".utf8))
        let identity = try #require(folder.identity(of: name))
        #expect(identity.isFromTheFuture)
        func isTaken(_ earlier: FileIdentity?) -> Bool {
            (try? folder.read(name, limit: 10, isComplete: false, earlier: earlier)) != nil
        }
        #expect(!isTaken(nil) && isTaken(identity))
        try FileManager.default.setAttributes([.modificationDate: Date(timeIntervalSinceNow: 7300)], ofItemAtPath: path)
        #expect(!isTaken(identity))
        // A file of this moment has to get old.
        try FileManager.default.setAttributes([.modificationDate: Date()], ofItemAtPath: path)
        #expect(!isTaken(folder.identity(of: name)))
    }

    @Test func filesFromTheFutureAreTakenAndToldOfOnce() throws {
        let receiver = Receiver { _, _ in .accepted }
        let place = try MaildirPlace(receiver)
        for name in ["a", "b"] {
            let file = place.root.appendingPathComponent("tmp/\(name)").path
            try Data().write(to: URL(fileURLWithPath: file))
            try FileManager.default.setAttributes(
                [.modificationDate: Date(timeIntervalSinceNow: 7200)], ofItemAtPath: file)
            rename(file, place.root.appendingPathComponent("new/\(name)").path)
        }
        try place.eventually("both are moved") { place.list("cur") == ["a:2,S", "b:2,S"] }
        #expect(place.log.count("in the future") == 1)
    }

    // MARK: - Watches

    @Test func withoutAWatchMailIsLookedFor() throws {
        let receiver = Receiver { _, _ in .accepted }
        let watches = try #require(ScarceWatches())
        let place = try MaildirPlace(receiver, waiting: ["a"], inotify: watches) { $0.lookInterval = .milliseconds(50) }
        try place.eventually("what lay there is moved") { place.list("cur") == ["a:2,S"] }
        try place.deliver("b")
        try place.eventually("the new one is moved") { place.list("cur").contains("b:2,S") }
        usleep(200_000)
        #expect(place.log.count("fs.inotify.max_user_watches") == 1)
        watches.giveBack()
        try place.eventually("it is watched") { place.log.count("the kernel tells of this Maildir again") == 1 }
        try place.deliver("c")
        try place.eventually("moved") { place.list("cur").contains("c:2,S") }
        #expect(receiver.count == 3)
    }

    /// The kernel has one watch for a folder, however many paths lead there.
    @Test func aLinkToTheNewOfAnotherMaildirDoesNoHarm() throws {
        let receiver = Receiver { _, _ in .accepted }
        let place = try MaildirPlace(receiver, waiting: ["a"]) { configuration in
            let path = configuration.maildirs[0].path
            mkdir(path + "/other", 0o700)
            symlink(path + "/new", path + "/other/new")
            configuration.maildirs.append(Maildir(path: path + "/other"))
        }
        try place.eventually("the other one is told of") { place.log.count("cannot watch Maildir") == 1 }
        try place.eventually("moved") { place.list("cur") == ["a:2,S"] }
        try place.deliver("b")
        try place.eventually("the kernel tells of it still") { place.list("cur") == ["a:2,S", "b:2,S"] }
    }

    @Test func twoPathsToOneMaildirAreToldOf() throws {
        let receiver = Receiver { _, _ in .accepted }
        let place = try MaildirPlace(receiver, waiting: (100..<200).map { "m\($0)" }) { configuration in
            let path = configuration.maildirs[0].path
            symlink(path, path + "/other")
            configuration.maildirs.append(Maildir(path: path + "/other"))
        }
        try place.eventually("told of") { place.log.count("is the same folder as \(place.root.path)") == 1 }
        try place.eventually("moved") { place.list("cur").count == 100 }
        try place.deliver("n")
        try place.eventually("the new one is moved") { place.list("cur").contains("n:2,S") }
        #expect(receiver.count == 101)
    }
}
