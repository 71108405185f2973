// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Where the Maildirs are, and what the kernel tells of them.

import Glibc
import Logging

extension MaildirWatcher {
    func attach(_ index: Int, _ moment: MaildirQueue.Moment) {
        let path = boxes[index].maildir.path
        guard let folder = MaildirFolder(path) else { return attachLater(index, moment, Self.text(errno)) }
        // Two that empty the same folder would take each mail twice, or by turns for the one and the other recipient.
        if let other = boxes.first(where: { $0.folder?.isSame(as: folder) ?? false }) {
            return attachLater(index, moment, "is the same folder as \(other.maildir.path), which has its mail")
        }
        boxes[index].folder = folder
        boxes[index].attachAttempts = 0
        boxes[index].lookDue = moment + lookInterval
        logger.info("watching Maildir", metadata: ["path": "\(path)"])
        // Watched before it is listed, so that nothing comes between the two.
        watch(index)
        boxes[index].queue.requestScan()
    }

    private func attachLater(_ index: Int, _ moment: MaildirQueue.Moment, _ reason: String) {
        boxes[index].attachAttempts += 1
        boxes[index].attachDue = moment + MaildirQueue.delay(boxes[index].attachAttempts)
        guard boxes[index].attachAttempts == 1 else { return }
        logger.warning(
            "cannot watch Maildir; trying again",
            metadata: ["path": "\(boxes[index].maildir.path)", "error": "\(reason)"])
    }

    /// Without a watch the Maildir is read all the same, a little late.
    private func watch(_ index: Int) {
        if let watch = inotify.watch(boxes[index].maildir.path + "/new") {
            boxes[index].watch = watch
            if boxes[index].hasToldOfMissingWatch { log(.info, "the kernel tells of this Maildir again", index) }
            boxes[index].hasToldOfMissingWatch = false
            return
        }
        guard !boxes[index].hasToldOfMissingWatch else { return }
        let cause = errno
        boxes[index].hasToldOfMissingWatch = true
        let reason = cause == ENOSPC ? "no watch left: raise fs.inotify.max_user_watches" : Self.text(cause)
        logger.warning(
            "the kernel does not tell of new mail; looking for it now and then",
            metadata: [
                "path": "\(boxes[index].maildir.path)", "error": "\(reason)",
                "seconds": "\(lookInterval / 1_000_000_000)",
            ])
    }

    private var lookInterval: MaildirQueue.Moment {
        MaildirQueue.Moment(configuration.lookInterval / .nanoseconds(1))
    }

    /// What inotify does not tell: that a folder above was moved away, or this one removed, and another one is in its
    /// place, and what comes by another machine to a file system of the network.
    func look(_ index: Int, _ moment: MaildirQueue.Moment) {
        guard let folder = boxes[index].folder else { return }
        guard folder.isAt(boxes[index].maildir.path) else { return detach(index, moment) }
        boxes[index].lookDue = moment + lookInterval
        if boxes[index].watch == nil { watch(index) }
        boxes[index].queue.requestScan()
    }

    func detach(_ index: Int, _ moment: MaildirQueue.Moment) {
        guard boxes[index].folder != nil else { return }
        logger.warning("Maildir is gone", metadata: ["path": "\(boxes[index].maildir.path)"])
        let watch = boxes[index].watch
        boxes[index].detach(moment)
        // The kernel gives one number for one folder, by whatever path it was named.
        if let watch, !boxes.contains(where: { $0.watch == watch }) { inotify.remove(watch) }
    }

    func scan(_ index: Int, _ moment: MaildirQueue.Moment) {
        let box = boxes[index]
        if let (names, isCut) = box.folder?.list(limit: MaildirQueue.nameLimit, { box.queue.isUnknown($0) }) {
            boxes[index].queue.scanned(names, isCut: isCut)
        } else {
            log(.warning, "cannot list Maildir", index, error: errno)
            boxes[index].queue.scanFailed(notBefore: moment + MaildirQueue.seconds(5))
        }
    }

    func readEvents() {
        let moment = Self.moment()
        _ = inotify.read { event in
            switch event {
            case .moved(let watch, let name): add(name, watch, .moved)
            case .closed(let watch, let name): add(name, watch, .closed)
            case .created(let watch, let name): add(name, watch, .created)
            case .overflow: for index in boxes.indices { boxes[index].queue.requestScan() }
            case .gone(let watch):
                if let index = boxes.firstIndex(where: { $0.watch == watch }) { detach(index, moment) }
            }
        }
    }

    func add(_ name: EntryName, _ watch: Int32, _ arrival: MaildirQueue.Arrival) {
        for index in boxes.indices where boxes[index].watch == watch { boxes[index].queue.add(name, arrival) }
    }
}
