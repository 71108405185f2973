// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A TCP server on 127.0.0.1 that misbehaves as it is told: what each connection does is a list of steps.

import Foundation
import Synchronization

final class ScriptedServer: Sendable {
    enum Step: Sendable {
        /// Reads one HTTP request with its body.
        case read
        case send(String)
        case sleep(Double)
        /// Ends the connection with RST.
        case reset
        /// Ends the connection.
        case close
    }

    struct Request: Sendable {
        var head: String
        var body: String
        /// The number of its connection, from 0.
        var connection: Int
    }

    let port: Int
    private let listener: Int32
    private let state = Mutex<(requests: [Request], connections: Int)>(([], 0))

    var requests: [Request] { state.withLock { $0.requests } }
    var connections: Int { state.withLock { $0.connections } }

    /// `script` says what connection number n (from 0) does; after its last step it is closed.
    init(address: String = "127.0.0.1", _ script: @escaping @Sendable (Int) -> [Step]) throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        self.listener = listener
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        inet_pton(AF_INET, address, &name.sin_addr)
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(listener, $0, size) }
        }
        guard bound == 0, listen(listener, 64) == 0 else { throw CocoaError(.featureUnsupported) }
        var length = size
        _ = withUnsafeMutablePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(listener, $0, &length) }
        }
        port = Int(UInt16(bigEndian: name.sin_port))
        Thread.detachNewThread { [self] in accept(script) }
    }

    func stop() { shutdown(listener, Int32(SHUT_RDWR)) }

    private func accept(_ script: @escaping @Sendable (Int) -> [Step]) {
        while true {
            let connection = Glibc.accept(listener, nil, nil)
            guard connection >= 0 else { break }
            let number = state.withLock { state in
                defer { state.connections += 1 }
                return state.connections
            }
            Thread.detachNewThread { [self] in
                run(script(number), on: connection, number)
            }
        }
        close(listener)
    }

    private func run(_ steps: [Step], on connection: Int32, _ number: Int) {
        defer { close(connection) }
        for step in steps {
            switch step {
            case .read: guard readRequest(connection, number) else { return }
            case .send(let text):
                let bytes = Array(text.utf8)
                _ = bytes.withUnsafeBytes { send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            case .sleep(let seconds): usleep(useconds_t(seconds * 1_000_000))
            case .reset:
                var linger = linger(l_onoff: 1, l_linger: 0)
                setsockopt(connection, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout.size(ofValue: linger)))
                return
            case .close: return
            }
        }
    }

    private func readRequest(_ connection: Int32, _ number: Int) -> Bool {
        var bytes: [UInt8] = []
        var byte = [UInt8](repeating: 0, count: 1)
        while !bytes.suffix(4).elementsEqual([13, 10, 13, 10]) {
            guard recv(connection, &byte, 1, 0) == 1 else { return false }
            bytes += byte
        }
        let head = String(decoding: bytes, as: UTF8.self)
        let length = head.lowercased().components(separatedBy: "content-length: ").last.flatMap { Int($0.prefix { $0.isNumber }) }
        var body = [UInt8](repeating: 0, count: length ?? 0)
        var have = 0
        while have < body.count {
            let count = body.withUnsafeMutableBytes { recv(connection, $0.baseAddress?.advanced(by: have), $0.count - have, 0) }
            guard count > 0 else { return false }
            have += count
        }
        let request = Request(head: head, body: String(decoding: body, as: UTF8.self), connection: number)
        state.withLock { $0.requests.append(request) }
        return true
    }
}
