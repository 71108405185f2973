// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The other end of the daemon's socket for `mailhookd receive`: one request, one answer, and one
// time for all of it.

import Glibc
import HookIntake

struct PipeSocket: ~Copyable {
    enum Failure: Error {
        /// Nobody listens.
        case noDaemon
        /// The daemon has no room for another connection at this moment.
        case busy
        /// The connection ended without an answer: the message may be stored or not.
        case noAnswer
        case failed(String)
    }

    static func path(_ dataFolder: String) -> String { dataFolder + "/receive.sock" }

    private let descriptor: Int32
    private let deadline: ContinuousClock.Instant

    /// - Parameter deadline: when a daemon that hangs is given up.
    init(dataFolder: String, until deadline: ContinuousClock.Instant) throws(Failure) {
        descriptor = try Self.connection(Self.path(dataFolder), within: deadline - .now)
        self.deadline = deadline
    }

    /// A connection to a daemon's socket at `path`; the caller closes it.
    ///
    /// - Parameter time: for each wait: for a place to connect, and then of each call that reads or writes.
    static func connection(_ path: String, within time: Duration) throws(Failure) -> Int32 {
        guard let short = SocketPath(path) else { throw failure(errno, path) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let octets = Array(short.text.utf8)
        guard octets.count < MemoryLayout.size(ofValue: address.sun_path) else { throw .failed("\(path) is too long") }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: octets) }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw .failed(String(cString: strerror(errno))) }
        // connect(2) waits for a place among those that nobody has accepted yet.
        limit(descriptor, SO_RCVTIMEO, time)
        limit(descriptor, SO_SNDTIMEO, time)
        let status = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard status == 0 else {
            let cause = errno
            close(descriptor)
            throw failure(cause, path)
        }
        return descriptor
    }

    /// The time of one call. None at all would stand for no limit (socket(7)).
    private static func limit(_ descriptor: Int32, _ option: Int32, _ time: Duration) {
        let microseconds = max(1, Int64(time / .microseconds(1)))
        var limit = timeval(tv_sec: Int(microseconds / 1_000_000), tv_usec: Int(microseconds % 1_000_000))
        setsockopt(descriptor, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    /// What is left of the time for all of it becomes the next call's; false where nothing is.
    private func hasTime(for option: Int32) -> Bool {
        let time = deadline - .now
        Self.limit(descriptor, option, time)
        return time > .zero
    }

    deinit { close(descriptor) }

    /// Whether a daemon listens there. One that has no room for another connection within `time` does.
    static func isServed(dataFolder: String, within time: Duration) -> Bool {
        do throws(Failure) {
            close(try connection(path(dataFolder), within: time))
            return true
        } catch {
            if case .busy = error { return true }
            return false
        }
    }

    /// Calls `body` with the process that listens there, which lives as long as it has not closed the connection; nil
    /// where it cannot be seen from here.
    static func withDaemon<Result>(dataFolder: String, _ body: (pid_t) -> Result) throws(Failure) -> Result? {
        let descriptor = try connection(path(dataFolder), within: ControlClient.heartbeatTimeout)
        defer { close(descriptor) }
        // unix(7): who called listen(2). 0 stands for a process of another PID namespace.
        // struct ucred, which glibc's headers only show on demand: process, user and group.
        var credentials: [UInt32] = [0, 0, 0]
        var size = socklen_t(credentials.count * MemoryLayout<UInt32>.size)
        guard getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0,
            let process = pid_t(exactly: credentials[0]), process > 1
        else { return nil }
        return body(process)
    }

    func deliver(_ request: PipeRequest) throws(Failure) -> PipeAnswer {
        // A daemon that stopped reading may have said why.
        send(request.encoded)
        var answer: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while answer.count < 65536, hasTime(for: SO_RCVTIMEO) {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            answer += buffer[..<count]
        }
        guard let answer = PipeAnswer(answer) else { throw .noAnswer }
        return answer
    }

    private func send(_ bytes: [UInt8]) {
        var sent = 0
        while sent < bytes.count, hasTime(for: SO_SNDTIMEO) {
            let count = bytes[sent...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            // EAGAIN as well: the time is over.
            guard count > 0 else { return }
            sent += count
        }
    }

    private static func failure(_ cause: Int32, _ path: String) -> Failure {
        switch cause {
        case ENOENT, ECONNREFUSED, ENOTDIR: .noDaemon
        case EAGAIN: .busy
        default: .failed("\(path): \(String(cString: strerror(cause)))")
        }
    }
}
