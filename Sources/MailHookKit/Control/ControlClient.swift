// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The other end of the control socket: a request goes to the daemon, or is done right here where none runs.

import Glibc
import HookDelivery
import HookIntake
import HookModel
import HookStore

/// Sends several requests one after the other. Holds the connection, or the store, until `close`.
final class ControlClient {
    private enum Target {
        case daemon(Int32)
        case store(SQLiteStore, ControlOperations)
    }

    private let target: Target

    /// How long it is tried to find either a daemon or a free store.
    private static let patience = Duration.seconds(10)
    /// How long a daemon may give no sign of life; it gives one every `ControlIntake.heartbeatInterval`, however long it
    /// takes.
    static let heartbeatTimeout = Duration.seconds(10)

    /// Why there is no answer.
    enum Failure: Error {
        case silent
        case ended
    }

    init(_ setup: Setup) async throws(SetupError) {
        signal(SIGPIPE, SIG_IGN)
        let end = ContinuousClock.now + Self.patience
        while true {
            if let descriptor = try Self.connection(setup.configuration.data) {
                target = .daemon(descriptor)
                return
            }
            PipeDelivery.becomeOwner(of: setup.configuration.data)
            do throws(StoreError) {
                let store = try SQLiteStore.open(StorePath.inFolder(setup.configuration.data), as: .owner)
                target = .store(
                    store,
                    ControlOperations(
                        store: store, dispatcher: nil, logger: DaemonLog.quiet, now: Timestamp.now))
                return
            } catch {
                // A daemon that starts, or `mailhookd receive`, which has the store for a moment.
                guard case .busy = error, ContinuousClock.now < end else {
                    throw SetupError(storeError: error, dataFolder: setup.configuration.data)
                }
            }
            try? await Task.sleep(for: .milliseconds(50))
        }
    }

    /// Whether a daemon answers.
    var isDaemon: Bool {
        if case .daemon = target { true } else { false }
    }

    func send(_ request: ControlRequest) async throws(SetupError) -> ControlAnswer {
        switch target {
        case .daemon(let descriptor): try Self.answer(request, descriptor)
        case .store(_, let operations): try Self.checked(await operations.answer(request))
        }
    }

    func close() async {
        switch target {
        case .daemon(let descriptor): Glibc.close(descriptor)
        case .store(let store, _): await store.close()
        }
    }

    /// A request that only a daemon can answer; nil where none runs.
    static func daemonAnswer(_ request: ControlRequest, dataFolder: String) throws(SetupError) -> ControlAnswer? {
        guard let descriptor = try connection(dataFolder) else { return nil }
        defer { Glibc.close(descriptor) }
        return try answer(request, descriptor)
    }

    /// nil where no daemon runs.
    private static func connection(_ dataFolder: String) throws(SetupError) -> Int32? {
        do throws(PipeSocket.Failure) {
            return try PipeSocket.connection(ControlRequest.path(dataFolder), within: heartbeatTimeout)
        } catch {
            switch error {
            case .noDaemon: return nil
            case .busy, .noAnswer, .failed:
                throw SetupError("the daemon cannot be reached: \(error)", exitStatus: SysExit.temporaryFailure)
            }
        }
    }

    private static func checked(_ answer: ControlAnswer?) throws(SetupError) -> ControlAnswer {
        guard let answer else { throw SetupError("the daemon gave no answer", exitStatus: SysExit.temporaryFailure) }
        if let error = answer.error { throw SetupError(error, exitStatus: SysExit.temporaryFailure) }
        return answer
    }

    private static func answer(_ request: ControlRequest, _ descriptor: Int32) throws(SetupError) -> ControlAnswer {
        let line: [UInt8]
        do throws(Failure) {
            line = try exchange(request.line, descriptor)
        } catch {
            let what = switch error {
            case .silent: "the daemon gives no sign of life"
            case .ended: "the daemon ended the connection without an answer"
            }
            let doubt = request == .activity ? "" : "; what it was asked for may still be done"
            throw SetupError(what + doubt, exitStatus: SysExit.temporaryFailure)
        }
        return try checked(ControlAnswer(line: line))
    }

    /// A line for another one. The wait for each sign of life is the one `descriptor` has.
    static func exchange(_ line: [UInt8], _ descriptor: Int32) throws(Failure) -> [UInt8] {
        var rest = (line + [0x0A])[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            if count < 0, errno == EINTR { continue }
            if count < 0, errno == EAGAIN { throw .silent }
            // A daemon that has ended the connection may have said why.
            guard count > 0 else { break }
            rest = rest.dropFirst(count)
        }
        var answer: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16384)
        while answer.last != 0x0A, answer.count < ControlIntake.lineLimit {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw count < 0 && errno == EAGAIN ? .silent : .ended }
            answer += answer.isEmpty ? buffer[..<count].drop { $0 == 0x20 } : buffer[..<count]
        }
        return answer
    }
}
