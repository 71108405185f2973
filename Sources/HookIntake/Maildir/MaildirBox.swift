// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What the watcher knows of one Maildir.

/// A Maildir with its queue, and with its folder while that is there.
struct MaildirBox {
    var maildir: Maildir
    var queue = MaildirQueue()
    /// nil while the Maildir is not there.
    var folder: MaildirFolder?
    /// nil where the kernel has no more of them: then only looking shows what came.
    var watch: Int32?
    var attachDue: MaildirQueue.Moment = 0
    /// When it is looked at without an event.
    var lookDue: MaildirQueue.Moment = 0
    var attachAttempts = 0
    /// While its file system fails: until when, and how many reads in a row did.
    var restUntil: MaildirQueue.Moment = 0
    var rests = 0
    /// What is logged once while the folder is there.
    var hasToldOfMissingWatch = false
    var hasToldOfTheFuture = false

    init(maildir: Maildir) { self.maildir = maildir }

    func isReady(_ moment: MaildirQueue.Moment) -> Bool { folder != nil && restUntil <= moment }

    func nextDue(_ moment: MaildirQueue.Moment) -> MaildirQueue.Moment {
        guard folder != nil else { return attachDue }
        return min(lookDue, restUntil > moment ? restUntil : queue.nextDue(moment) ?? lookDue)
    }

    /// The Maildir is not there any more.
    mutating func detach(_ moment: MaildirQueue.Moment) {
        let (maildir, flights) = (maildir, queue)
        self = MaildirBox(maildir: maildir)
        queue = flights
        queue.detach()
        attachDue = moment
    }
}
