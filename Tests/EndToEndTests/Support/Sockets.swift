// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Blocking sockets with timeouts, so that a test can say to a server exactly what it wants.

import Foundation
import TestSupport

/// One TCP connection to the daemon; every read is bounded.
final class Connection {
    private let descriptor: Int32
    private var pending = Data()

    init(_ address: (host: String, port: String), timeout: Int = 20) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var limit = timeval(tv_sec: timeout, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var target = sockaddr_in()
        target.sin_family = sa_family_t(AF_INET)
        target.sin_port = (UInt16(address.port) ?? 0).bigEndian
        inet_pton(AF_INET, address.host, &target.sin_addr)
        let result = withUnsafePointer(to: &target) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else { throw Child.Failure(description: "connect to \(address): errno \(errno)") }
    }

    /// Over a Unix socket.
    init(unix path: String, timeout: Int = 20) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var limit = timeval(tv_sec: timeout, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        let result = withUnixAddress(path) { connect(descriptor, $0, $1) }
        guard result == 0 else { throw Child.Failure(description: "connect to \(path): errno \(errno)") }
    }

    deinit { close(descriptor) }

    func send(_ text: String) { send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return }
            sent += count
        }
    }

    func finishSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Sends a line and returns the whole reply to it.
    func command(_ line: String) throws -> String {
        send(line + "\r\n")
        return try reply()
    }

    /// One reply, all its lines (RFC 5321 section 4.2.1: the last has a space behind the code).
    func reply() throws -> String {
        var reply = ""
        while true {
            while let end = pending.firstRange(of: Data("\r\n".utf8)) {
                let line = String(decoding: pending[pending.startIndex..<end.lowerBound], as: UTF8.self)
                pending.removeSubrange(pending.startIndex..<end.upperBound)
                reply += line + "\r\n"
                if line.dropFirst(3).first != "-" { return reply }
            }
            guard receiveMore() else { throw Child.Failure(description: "no reply, only: \(reply)") }
        }
    }

    /// What comes while `piece` is sent every 200 ms, for at most a hundred times; nil if nothing does, so that a reply to
    /// the silence behind them is none.
    func replyWhileSending(_ piece: String) -> String? {
        for _ in 0..<100 {
            send(piece)
            usleep(200_000)
            var buffer = [UInt8](repeating: 0, count: 4096)
            let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            if count > 0 { return String(decoding: buffer[..<count], as: UTF8.self) }
            if count == 0 { return nil }
        }
        return nil
    }

    /// One answer of HTTP with a Content-Length, head and body.
    func answer() throws -> String {
        while true {
            if let end = pending.firstRange(of: Data("\r\n\r\n".utf8)) {
                let head = String(decoding: pending[pending.startIndex..<end.upperBound], as: UTF8.self)
                let field = head.lowercased().components(separatedBy: "content-length: ").dropFirst().first
                let length = field.flatMap { Int($0.prefix { $0.isNumber }) } ?? 0
                if pending.endIndex - end.upperBound >= length {
                    let body = pending[end.upperBound..<end.upperBound + length]
                    pending.removeSubrange(pending.startIndex..<body.endIndex)
                    return head + String(decoding: body, as: UTF8.self)
                }
            }
            guard receiveMore() else { throw Child.Failure(description: "no answer, only \(pending.count) octets") }
        }
    }

    /// Everything until the other side closes.
    func rest() -> String {
        while receiveMore() {}
        return String(decoding: pending, as: UTF8.self)
    }

    private func receiveMore() -> Bool {
        var buffer = [UInt8](repeating: 0, count: 65536)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        guard count > 0 else { return false }
        pending += buffer[..<count]
        return true
    }
}

/// A Unix datagram socket that a service manager would listen on.
final class DatagramSocket {
    private let descriptor: Int32

    init(path: String) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        var limit = timeval(tv_sec: 20, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        let result = withUnixAddress(path) { bind(descriptor, $0, $1) }
        guard result == 0 else { throw Child.Failure(description: "bind \(path): errno \(errno)") }
    }

    deinit { close(descriptor) }

    /// Whether nothing has come that was not received.
    var isSilent: Bool {
        var octet: UInt8 = 0
        return recv(descriptor, &octet, 1, Int32(MSG_DONTWAIT)) < 0
    }

    func receive() throws -> String {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        guard count > 0 else { throw Child.Failure(description: "no datagram: errno \(errno)") }
        return String(decoding: buffer[..<count], as: UTF8.self)
    }
}

func hexadecimal(_ text: String) -> [UInt8] {
    let digits = Array(text.utf8).compactMap { Character(UnicodeScalar($0)).hexDigitValue }
    return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] * 16 + digits[$0 + 1]) }
}
