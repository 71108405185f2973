// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A small SMTP client over a blocking socket, for `send-test`: one message, every wait
// bounded, and the dialogue kept so that it can be shown.

import Glibc
import HookDelivery
import HookIntake

struct SMTPTestClient {
    /// A reply as the server gave it.
    struct Reply {
        var code: Int
        var text: String
    }

    /// What was said, `C: ` and `S: ` before each line.
    private(set) var transcript: [String] = []
    private var descriptor: Int32
    private let security: Security
    private var tunnel: TLSTunnel?
    private var pending: [UInt8] = []

    private static let timeoutSeconds = 60

    /// When the connection is encrypted, and what is asked of the server then.
    enum Security {
        case none
        case startTLS(TLSTunnel.Trust)
        /// From the first octet.
        case implicit(TLSTunnel.Trust)
    }

    init(_ address: ListenAddress, security: Security = .none) throws(SetupError) {
        self.security = security
        descriptor = try Self.connect(address)
        setTimeouts()
    }

    private func setTimeouts() {
        var limit = timeval(tv_sec: Self.timeoutSeconds, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
    }

    /// Sends one message and closes the connection. The reply is the one that decided: the last of a message that
    /// was taken, or the first that refused it.
    mutating func send(_ message: [UInt8], from sender: String, to recipient: String) throws(SetupError) -> Reply {
        defer { close(descriptor) }
        if case .implicit(let trust) = security { try encrypt(trust) }
        var reply = try receive()
        if case .startTLS(let trust) = security {
            for command in ["EHLO localhost", "STARTTLS"] {
                guard reply.code < 400 else { return reply }
                reply = try say(command)
            }
            guard reply.code < 400 else { return reply }
            // What came before the handshake came from anybody (RFC 3207 section 6).
            pending = []
            try encrypt(trust)
        }
        for command in ["EHLO localhost", "MAIL FROM:<\(sender)>", "RCPT TO:<\(recipient)>", "DATA"] {
            guard reply.code < 400 else { return reply }
            reply = try say(command)
        }
        guard reply.code < 400 else { return reply }
        try transmit(Self.transparent(message))
        transcript.append("C: (\(message.count) octets of mail)")
        reply = try receive()
        _ = try? say("QUIT")
        return reply
    }

    private mutating func encrypt(_ trust: TLSTunnel.Trust) throws(SetupError) {
        let plain = descriptor
        // Not closed twice.
        descriptor = -1
        do throws(TLSTunnelError) {
            let tunnel = try TLSTunnel(over: plain, trust: trust)
            self.tunnel = tunnel
            descriptor = tunnel.descriptor
        } catch {
            throw Self.failure("TLS: \(error.description)")
        }
        setTimeouts()
        transcript.append("   (TLS)")
    }

    /// With what went wrong below, where that is known.
    private func ended(_ text: String) -> SetupError {
        guard let tunnel else { return Self.failure(text) }
        // Both ends close at about the same time.
        for _ in 0..<50 where tunnel.failure == nil { usleep(2000) }
        return Self.failure(tunnel.failure.map { "TLS: \($0)" } ?? text)
    }

    /// RFC 5321 section 4.5.2: lines end with CRLF, a dot at the beginning of a line is doubled, CRLF.CRLF ends.
    static func transparent(_ message: [UInt8]) -> [UInt8] {
        var wire: [UInt8] = []
        wire.reserveCapacity(message.count + message.count / 32 + 8)
        var previous = UInt8(ascii: "\n")
        for byte in message {
            if byte == UInt8(ascii: "."), previous == UInt8(ascii: "\n") { wire.append(byte) }
            if byte == UInt8(ascii: "\n"), previous != UInt8(ascii: "\r") { wire.append(UInt8(ascii: "\r")) }
            wire.append(byte)
            previous = byte
        }
        if previous != UInt8(ascii: "\n") { wire += Array("\r\n".utf8) }
        return wire + Array(".\r\n".utf8)
    }

    private mutating func say(_ command: String) throws(SetupError) -> Reply {
        transcript.append("C: \(command)")
        try transmit(Array("\(command)\r\n".utf8))
        return try receive()
    }

    private func transmit(_ bytes: [UInt8]) throws(SetupError) {
        do throws(SetupError) { try Self.transmit(bytes, to: descriptor) } catch { throw ended(error.description) }
    }

    static func transmit(_ bytes: [UInt8], to descriptor: Int32) throws(SetupError) {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw failure("the daemon closed the connection") }
            sent += count
        }
    }

    private mutating func receive() throws(SetupError) -> Reply {
        while true {
            let line = try receiveLine()
            transcript.append("S: \(Terminal.harmless(line))")
            guard let code = Int(line.prefix(3)) else { throw Self.failure("this is no SMTP server: \(line)") }
            if line.dropFirst(3).first != "-" { return Reply(code: code, text: line) }
        }
    }

    private mutating func receiveLine() throws(SetupError) -> String {
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            if let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
                let line = pending[..<end].filter { $0 != UInt8(ascii: "\r") }
                pending.removeSubrange(...end)
                return String(decoding: line, as: UTF8.self)
            }
            let count = recv(descriptor, &buffer, buffer.count, 0)
            guard count > 0, pending.count < 65536 else { throw ended("the daemon gave no answer") }
            pending += buffer[..<count]
        }
    }

    static func connect(_ address: ListenAddress) throws(SetupError) -> Int32 {
        guard case .tcp(let host, let port) = address else { throw failure("not an SMTP address: \(address)") }
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        // A daemon that listens on all addresses is reached on this machine's own.
        let target = host == "0.0.0.0" ? "127.0.0.1" : host == "::" ? "::1" : host
        guard getaddrinfo(target, String(port), &hints, &list) == 0 else { throw failure("no address for \(host)") }
        defer { freeaddrinfo(list) }
        var candidate = list
        var reason = ""
        while let info = candidate?.pointee {
            let descriptor = socket(info.ai_family, info.ai_socktype | Int32(SOCK_CLOEXEC.rawValue), info.ai_protocol)
            if descriptor >= 0 {
                if Glibc.connect(descriptor, info.ai_addr, info.ai_addrlen) == 0 { return descriptor }
                reason = String(cString: strerror(errno))
                close(descriptor)
            }
            candidate = info.ai_next
        }
        throw failure("cannot reach the daemon at \(address): \(reason)")
    }

    static func failure(_ text: String) -> SetupError {
        SetupError(text, exitStatus: SysExit.temporaryFailure)
    }
}
