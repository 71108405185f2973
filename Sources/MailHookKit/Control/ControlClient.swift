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

    init(_ setup: Setup) async throws(SetupError) {
        signal(SIGPIPE, SIG_IGN)
        let end = ContinuousClock.now + Self.patience
        while true {
            do throws(PipeSocket.Failure) {
                target = .daemon(try PipeSocket.connection(ControlRequest.path(setup.configuration.data)))
                return
            } catch {
                switch error {
                case .noDaemon: break
                case .busy, .noAnswer, .failed:
                    throw SetupError("the daemon cannot be reached: \(error)", exitStatus: SysExit.temporaryFailure)
                }
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
        let answer: ControlAnswer?
        switch target {
        case .daemon(let descriptor): answer = ControlAnswer(line: Self.exchange(request.line, descriptor))
        case .store(_, let operations): answer = await operations.answer(request)
        }
        guard let answer else { throw SetupError("the daemon gave no answer", exitStatus: SysExit.temporaryFailure) }
        if let error = answer.error { throw SetupError(error, exitStatus: SysExit.temporaryFailure) }
        return answer
    }

    func close() async {
        switch target {
        case .daemon(let descriptor): Glibc.close(descriptor)
        case .store(let store, _): await store.close()
        }
    }

    static func exchange(_ line: [UInt8], _ descriptor: Int32) -> [UInt8] {
        var rest = (line + [0x0A])[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return [] }
            rest = rest.dropFirst(count)
        }
        var answer: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16384)
        while answer.last != 0x0A, answer.count < ControlIntake.lineLimit {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return [] }
            answer += buffer[..<count]
        }
        return answer
    }
}
