// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// `mailhookd receive`: one mail from standard input, through the running daemon, or into the
// store where none runs. Whatever can't be decided is a temporary failure: the mail server
// keeps the mail and tries again.

import Glibc
import HookDelivery
import HookExtraction
import HookIntake
import HookModel
import HookStore

public enum PipeDelivery {
    public struct Result: Sendable, Hashable {
        public var exitStatus: Int32
        /// One line. Begins with an enhanced status code (RFC 3463), which Postfix's pipe(8) takes over.
        public var text: String
    }

    /// How long it is tried to find either a daemon or a free store.
    private static let patience = Duration.seconds(20)
    /// How long a daemon may take for all of it. The store may have to wait for a disk.
    private static let handOverTime = Duration.seconds(300)

    /// - Parameters:
    ///   - descriptor: is read to its end.
    ///   - sender: `""` is the null reverse-path; nil takes the mail's own `Return-Path`.
    public static func receive(
        from descriptor: Int32, sender: String?, recipients: [String], setup: Setup
    ) async -> Result {
        // A daemon that goes away is an error to handle.
        signal(SIGPIPE, SIG_IGN)
        let limit = setup.configuration.limits.messageSize
        let message: [UInt8]
        do throws(FileError) {
            message = try Files.read(descriptor: descriptor, path: "standard input", limit: limit)
        } catch {
            // Everything has to be read, or the mail server sees a broken pipe instead of the exit status.
            let isTooLarge = drain(descriptor)
            return isTooLarge ? result(.messageTooLarge) : temporary(error.description)
        }
        let request = PipeRequest(
            message: message, sender: sender ?? HeaderGlance(message).returnPath ?? "", recipients: recipients)
        return await deliver(request, setup)
    }

    private static func deliver(_ request: PipeRequest, _ setup: Setup) async -> Result {
        let begin = ContinuousClock.now
        let (end, lastAnswer) = (begin + patience, begin + handOverTime)
        var reason = ""
        // Read whole once, before the first attempt gives up what root may read.
        var setup = setup
        while true {
            do {
                return try await attempt(request, &setup, until: lastAnswer)
            } catch {
                switch error {
                // The same mail handed over twice makes the same events.
                case .later(let text): reason = text
                case .failed(let text): return temporary(text)
                }
            }
            guard ContinuousClock.now < end else { return temporary(reason) }
            try? await Task.sleep(for: .milliseconds(20))
        }
    }

    private enum Failure: Error {
        /// Worth another try at once.
        case later(String)
        case failed(String)
    }

    private static func attempt(
        _ request: PipeRequest, _ setup: inout Setup, until deadline: ContinuousClock.Instant
    ) async throws(Failure) -> Result {
        let folder = setup.configuration.data
        do throws(PipeSocket.Failure) {
            let answer = try PipeSocket(dataFolder: folder, until: deadline).deliver(request)
            if answer.outcome == .shuttingDown { throw .noAnswer }
            return result(answer.outcome, answer.detail)
        } catch {
            switch error {
            case .noDaemon:
                try checkIsStarted(folder)
                // Without a secret there would be a subscription less, and its deliveries would never be made.
                setup = try whole(setup)
                return try await store(request, setup)
            case .busy: throw .later("the daemon is busy")
            case .noAnswer: throw .later("the daemon gave no answer")
            case .failed(let text): throw .failed(text)
            }
        }
    }

    /// A folder without the instance secret is not the one whose addresses are known, but one whose disk is not mounted,
    /// say: with a new secret every address would be unknown, and the mail returned.
    private static func checkIsStarted(_ folder: String) throws(Failure) {
        var status = stat()
        // Whatever else is wrong with the folder is told when the secret is read.
        guard stat(InstanceSecret.path(inFolder: folder), &status) != 0, errno == ENOENT else { return }
        throw .failed("no daemon runs, and \(folder) holds no instance.key: is it the data folder? If so, start the daemon once")
    }

    /// Opens the store as its owner for this one message.
    private static func store(_ request: PipeRequest, _ setup: Setup) async throws(Failure) -> Result {
        becomeOwner(of: setup.configuration.data)
        let snapshot: DaemonSnapshot
        do throws(FileError) {
            // Where the daemon would not start, what is stored is never delivered.
            _ = try DataFolder.check(setup.configuration.data)
            snapshot = try DaemonSnapshot(setup)
        } catch {
            throw .failed(error.description)
        }
        let store: SQLiteStore
        do throws(StoreError) {
            store = try SQLiteStore.open(StorePath.inFolder(setup.configuration.data), as: .owner)
        } catch {
            // A daemon that starts, or another mail like this one.
            if case .busy(let text) = error { throw .later(text) }
            throw .failed(SetupError(storeError: error, dataFolder: setup.configuration.data).description)
        }
        let receiver = MailReceiver(
            current: CurrentSnapshot(snapshot), store: store,
            room: StoreRoom(
                dataFolder: setup.configuration.data, least: { setup.configuration.limits.freeSpace },
                logger: DaemonLog.quiet),
            tally: Tally(), logger: DaemonLog.quiet,
            now: Timestamp.now)
        let result = await receive(request, receiver, setup.configuration.limits.messageSize)
        await store.close()
        if [Outcome.recipientUnknown.exitStatus, Outcome.relayDenied.exitStatus].contains(result.exitStatus),
            let reason = knowsNoAddress(setup)
        {
            throw .failed("no daemon runs, and without one: \(reason)")
        }
        return result
    }

    /// Why nothing can be said of an address: a configuration that is being replaced must not cost mail.
    private static func knowsNoAddress(_ setup: Setup) -> String? {
        if setup.configuration.file == nil { return "there is no configuration file" }
        return setup.definitions.isEmpty ? "no app is defined" : nil
    }

    private static func whole(_ setup: Setup) throws(Failure) -> Setup {
        switch setup.whole() {
        case .success(let whole): return whole
        case .failure(let failure):
            let reason = failure.diagnostics.first { $0.severity == .error }?.description ?? "the configuration cannot be read"
            throw .failed("no daemon runs, and without one: \(reason)")
        }
    }

    private static func receive(_ request: PipeRequest, _ receiver: MailReceiver, _ messageSize: Int) async -> Result {
        if let refusal = PipeIntake.refusal(request, by: receiver, messageSize: messageSize) { return result(refusal) }
        let message = PipeIntake.message(request, now: .now())
        let reception = await withCheckedContinuation { continuation in
            receiver.receive(message) { continuation.resume(returning: $0) }
        }
        return result(reception.answer, reception.detail)
    }

    /// What root would leave in the store, the daemon's user could not open.
    static func becomeOwner(of folder: String) {
        var status = stat()
        guard geteuid() == 0, stat(folder, &status) == 0, status.st_uid != 0 else { return }
        _ = setgroups(0, nil)
        _ = setgid(status.st_gid)
        _ = setuid(status.st_uid)
    }

    /// Reads the rest; whether there was more to read or the end came without an error.
    private static func drain(_ descriptor: Int32) -> Bool {
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return count == 0 }
        }
    }

    private static func result(_ outcome: Outcome, _ detail: String = "") -> Result {
        let reply = outcome.smtpReply
        let words = [reply.enhancedStatus ?? "", reply.text, detail].filter { !$0.isEmpty }
        return Result(exitStatus: outcome.exitStatus, text: words.joined(separator: " "))
    }

    private static func temporary(_ reason: String) -> Result {
        Result(exitStatus: SysExit.temporaryFailure, text: "4.3.0 \(reason)")
    }
}
