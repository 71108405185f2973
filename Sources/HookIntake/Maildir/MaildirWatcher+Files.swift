// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What is done with one file: it is read, handed over, and taken out of `new/`.

import HookModel
import Logging

extension MaildirWatcher {
    func perform(_ task: MaildirQueue.Task, _ index: Int, _ moment: MaildirQueue.Moment) {
        switch task {
        case .read(let name, let isComplete): read(name, isComplete, index, moment)
        case .dispose(let name, let identity): dispose(name, identity, index)
        case .setAside: setAside(task, index)
        }
    }

    private func read(_ name: EntryName, _ isComplete: Bool, _ index: Int, _ moment: MaildirQueue.Moment) {
        guard let folder = boxes[index].folder else { return }
        let task = MaildirQueue.Task.read(name, isComplete: isComplete)
        do throws(MaildirFolder.ReadFailure) {
            let file = try folder.read(
                name, limit: configuration.messageSize, isComplete: isComplete, earlier: boxes[index].queue.earlier(name))
            boxes[index].rests = 0
            let move = MaildirMove(
                box: index, name: name, identity: file.identity, folder: folder,
                afterwards: boxes[index].maildir.afterwards)
            handOver(try unpacked(file.bytes, file.identity), move)
        } catch {
            switch error {
            case .gone: boxes[index].queue.done(name)
            case .unfinished(let identity):
                if identity.isFromTheFuture { tellOfTheFuture(index, name) }
                boxes[index].queue.failed(task, .unfinished(identity), now: moment)
            case .ailing(let cause):
                log(.warning, "the file system fails; trying again", index, name, error: cause)
                boxes[index].queue.failed(task, .putOff, now: moment)
                rest(index, moment)
            case .failed(let cause):
                log(.warning, "cannot read mail", index, name, error: cause)
                boxes[index].queue.failed(task, .unread(folder.identity(of: name)), now: moment)
            case .exhausted:
                boxes[index].queue.giveBack(name, isComplete: isComplete)
                pause(moment, "no memory or descriptors left")
            case .refused(let outcome, let identity): setAside(.setAside(name, outcome, identity), index)
            }
        }
    }

    private func tellOfTheFuture(_ index: Int, _ name: EntryName) {
        guard !boxes[index].hasToldOfTheFuture else { return }
        boxes[index].hasToldOfTheFuture = true
        log(.warning, "mail with a time in the future; such files are taken once they stay as they are", index, name)
    }

    private func handOver(_ bytes: [UInt8], _ move: MaildirMove) {
        boxes[move.box].queue.handedOver(move.name)
        let octets = bytes.count
        inFlight += 1
        octetsInFlight += octets
        let message = ReceivedMessage(
            envelope: guide.envelope(of: bytes, in: boxes[move.box].maildir), bytes: bytes, receivedAt: now())
        let completion: @Sendable (Reception) -> Void = { [inbox] reception in
            inbox.tell { $0.answers.append(.init(move: move, octets: octets, outcome: reception.answer)) }
        }
        // The only one there is gains nothing from being stored beside others.
        if inFlight == 1, !hasBacklog {
            receiver.receiveHere(message, completion: completion)
        } else {
            receiver.receive(message, completion: completion)
        }
    }

    /// Dovecot can keep mail compressed; what its other formats begin with is told from mail that is only strange.
    private func unpacked(
        _ bytes: [UInt8], _ identity: FileIdentity
    ) throws(MaildirFolder.ReadFailure) -> [UInt8] {
        if bytes.starts(with: [0x1F, 0x8B]) {
            do throws(MaildirUnpackFailure) {
                return try guide.unpack(bytes, limit: configuration.messageSize)
            } catch {
                throw error.outcome.smtpReply.isTemporary ? .exhausted : .refused(error.outcome, identity)
            }
        }
        let others: [[UInt8]] = [
            Array("BZh".utf8), [0x28, 0xB5, 0x2F, 0xFD], [0xFD, 0x37, 0x7A, 0x58, 0x5A], Array("Dovecot-LZ4".utf8),
        ]
        if others.contains(where: { bytes.starts(with: $0) }) { throw .refused(.unreadable, identity) }
        return bytes
    }

    func take(_ answers: [MaildirInbox.Answer]) {
        // Whoever waits for the next file could as well move this one.
        let isBusy = hasBacklog
        var moves: [MaildirMove] = []
        for answer in answers {
            octetsInFlight -= answer.octets
            guard answer.outcome.isPositive else {
                inFlight -= 1
                refused(answer.move, answer.outcome)
                continue
            }
            pauses = 0
            if isBusy {
                moves.append(answer.move)
            } else {
                var move = answer.move
                move.perform()
                finish(move)
            }
        }
        guard !moves.isEmpty else { return }
        mover.perform(moves) { [inbox] moves in inbox.tell { $0.moves += moves } }
    }

    var hasBacklog: Bool { !boxes.allSatisfy(\.queue.isAtRest) }

    /// The store did not take it.
    private func refused(_ move: MaildirMove, _ outcome: Outcome) {
        let (name, index) = (move.name, move.box)
        if outcome.smtpReply.isTemporary, !outcome.concernsEveryMail {
            let task = MaildirQueue.Task.read(name, isComplete: false)
            return boxes[index].queue.failed(task, .putOff, now: Self.moment())
        }
        boxes[index].queue.answered(name)
        if outcome.smtpReply.isTemporary {
            if isHere(move) { boxes[index].queue.giveBack(name, isComplete: true) }
            pause(Self.moment(), outcome.rawValue)
        } else if isHere(move) {
            setAside(.setAside(name, outcome, move.identity), index)
        } else {
            boxes[index].queue.add(name, .created)
        }
    }

    /// Whether no other Maildir came in the place of that where the file was read.
    private func isHere(_ move: MaildirMove) -> Bool { boxes[move.box].folder === move.folder }

    /// The file of a stored message has left `new/`, or could not.
    func finish(_ move: MaildirMove) {
        inFlight -= 1
        boxes[move.box].queue.answered(move.name)
        if isHere(move) { return noteEnd(of: move) }
        // Another file may have that name in the Maildir that came.
        boxes[move.box].queue.add(move.name, .created)
    }

    private func dispose(_ name: EntryName, _ identity: FileIdentity, _ index: Int) {
        // Without its folders the file stays; found again, its message is a duplicate.
        guard let folder = boxes[index].folder else { return boxes[index].queue.done(name) }
        var move = MaildirMove(
            box: index, name: name, identity: identity, folder: folder, afterwards: boxes[index].maildir.afterwards)
        move.perform()
        noteEnd(of: move)
    }

    private func noteEnd(of move: MaildirMove) {
        switch move.result {
        case .done: boxes[move.box].queue.done(move.name)
        case .replaced: readAgain(move.name, move.box)
        case .failed(let cause):
            log(.error, "cannot move stored mail out of new/", move.box, move.name, error: cause)
            boxes[move.box].queue.failed(.dispose(move.name, move.identity), .unmoved, now: Self.moment())
        }
    }

    private func setAside(_ task: MaildirQueue.Task, _ index: Int) {
        guard let folder = boxes[index].folder, case .setAside(let name, let outcome, let identity) = task else {
            return boxes[index].queue.done(task.name)
        }
        switch folder.setAside(name, outcome, identity) {
        case .done:
            log(.warning, "mail set aside", index, name, outcome: outcome)
            boxes[index].queue.done(name)
        case .replaced: readAgain(name, index)
        case .failed(let cause):
            log(.error, "cannot set mail aside", index, name, outcome: outcome, error: cause)
            boxes[index].queue.failed(task, .unmoved, now: Self.moment())
        }
    }

    /// Another file came under the name. Not at once: on a file system that gives a file another number each time it
    /// is asked, that would go on without end.
    private func readAgain(_ name: EntryName, _ index: Int) {
        boxes[index].queue.failed(.read(name, isComplete: false), .putOff, now: Self.moment())
    }
}

extension Outcome {
    /// A temporary failure that would meet every other mail as well.
    fileprivate var concernsEveryMail: Bool { self == .storeFull || self == .storeFailed || self == .shuttingDown }
}
