// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// `mailhookd send-test`: an example mail to a hook, through the running daemon.

import HookDelivery
import HookIntake
public import HookModel

public enum TestMail {
    /// How the connection is secured.
    public struct TLS: Sendable {
        public enum Mode: String, Sendable, CaseIterable {
            case none
            case startTLS = "starttls"
            /// From the beginning, as `listen.smtps` has it.
            case implicit
        }

        public var mode: Mode
        /// What the certificate is for; nil means `hostname` of the configuration.
        public var name: String?
        /// A file of authorities that are trusted besides the system's, in PEM.
        public var authorityFile: String?
        public var isVerified: Bool

        public init(_ mode: Mode = .none, name: String? = nil, authorityFile: String? = nil, isVerified: Bool = true) {
            self.mode = mode
            self.name = name
            self.authorityFile = authorityFile
            self.isVerified = isVerified
        }

        func security(_ configuration: Configuration) throws(FileError) -> SMTPTestClient.Security {
            guard mode != .none else { return .none }
            var trust = TLSTunnel.Trust.anybody
            if isVerified {
                var authorities: [UInt8]?
                if let authorityFile { authorities = try Files.read(authorityFile, limit: 4 << 20) }
                trust = .verified(name: name ?? configuration.hostname, authorities: authorities)
            }
            return mode == .implicit ? .implicit(trust) : .startTLS(trust)
        }
    }

    public struct Result: Sendable {
        /// The dialogue, a line each.
        public var transcript: String
        public var exitStatus: Int32
    }

    /// Sends `mail`, or a mail made here, to a hook named by event name or address.
    ///
    /// - Parameter address: `HOST:PORT` of the daemon; nil means the one that runs on this data folder.
    public static func send(
        _ mail: [UInt8]?, to name: String, through address: String?, tls: TLS = TLS(), setup: Setup, now: Timestamp
    ) throws -> Result {
        let directory = try setup.directory()
        guard let target = target(name, in: directory, now: now) else {
            throw noTarget(name, in: directory)
        }
        let daemon = try daemonAddress(address, isImplicit: tls.mode == .implicit, setup)
        let message = mail ?? example(for: target.hook, recipient: target.recipient, now: now)
        var client = try SMTPTestClient(daemon, security: tls.security(setup.configuration))
        let sender = sender(of: target.hook.hook, at: setup.configuration.hostname)
        let reply = try client.send(message, from: sender, to: target.recipient)
        let status: Int32 =
            switch reply.code {
            case ..<400: 0
            case ..<500: SysExit.temporaryFailure
            default: SysExit.unavailable
            }
        return Result(transcript: client.transcript.joined(separator: "\n"), exitStatus: status)
    }

    /// One whose mail the hook takes.
    static func sender(of hook: Hook, at host: String) -> String { hook.policy.senders.first?.example ?? "send-test@\(host)" }

    private static func noTarget(_ name: String, in directory: HookDirectory) -> SetupError {
        let names = directory.hooks.map(\.hook.eventName)
        let hint = suggestion(for: name, among: names) ?? "`mailhookd hooks` lists them"
        return SetupError("no hook '\(name)'; \(hint)", exitStatus: SysExit.noInput)
    }

    private static func target(
        _ name: String, in directory: HookDirectory, now: Timestamp
    ) -> (hook: AddressedHook, recipient: String)? {
        if let addressed = directory.hooks.first(where: { $0.hook.eventName == name }) {
            return directory.address(of: addressed).map { (addressed, $0) }
        }
        guard case .hook(let addressed, _) = directory.resolve(name, now: now) else { return nil }
        return (addressed, name)
    }

    /// Given, or what the running daemon wrote down, or the configuration's first fixed port.
    private static func daemonAddress(
        _ given: String?, isImplicit: Bool, _ setup: Setup
    ) throws(SetupError) -> ListenAddress {
        if let given {
            guard let address = ListenAddress(given) else {
                throw SetupError("'\(given)' is not HOST:PORT", exitStatus: SysExit.usage)
            }
            return address
        }
        let listen = setup.configuration.listen
        let configured = (isImplicit ? listen.smtps : listen.smtp).first {
            if case .tcp(_, let port) = $0 { port != 0 } else { false }
        }
        guard let address = RunningDaemon.smtp(isImplicit, dataFolder: setup.configuration.data) ?? configured else {
            throw SetupError(
                "no daemon runs on \(setup.configuration.data); start `mailhookd serve` or name it with --smtp",
                exitStatus: SysExit.temporaryFailure)
        }
        return address
    }

    /// A mail whose script carries the hook's key and example data. The time makes each one new.
    static func example(for addressed: AddressedHook, recipient: String, now: Timestamp) -> [UInt8] {
        let number = "T-\(now.microseconds)"
        let sample = HookSample(of: addressed.hook, number: number)
        // Inside of a script element `</` would end it (HTML, section 13.2.5.15); JSON may write it another way.
        let data = String(decoding: sample.data, as: UTF8.self).replacing("</", with: "<\\/")
        let text = """
            From: mailhookd send-test <send-test@localhost>
            To: <\(recipient)>
            Subject: Test order \(number)
            Message-ID: <\(number)@send-test.localhost>
            MIME-Version: 1.0
            Content-Type: text/html; charset=utf-8
            Content-Transfer-Encoding: 8bit

            <!DOCTYPE html>
            <title>Test order</title>
            <script type="application/\(sample.isJSONLD ? "ld+json" : "json")" data-kustomer-key="\(addressed.current.key)">
            \(data)
            </script>
            <p>A test of the hook \(addressed.hook.eventName), \(number).</p>

            """
        return Array(text.replacing("\n", with: "\r\n").utf8)
    }
}
