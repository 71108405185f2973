// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// `mailhookd send-test` and `try` for form and web hooks: which hook is meant, in what form a file
// is posted, and posting it to the running daemon.

import HookDelivery
import HookIntake
public import HookModel

public enum TestPost {
    /// A form or web hook named by its event name, its URL or the path of it; nil where there is none.
    static func hook(_ name: String, in directory: HookDirectory, now: Timestamp) -> AddressedHook? {
        if let named = directory.hooks.first(where: { $0.hook.eventName == name && $0.hook.type != .email }) { return named }
        let token = name.prefix { $0 != "?" }.split(separator: "/").last ?? ""
        return [HookType.form, .web].lazy.compactMap { directory.hook(type: $0, token: token, now: now) }.first
    }

    /// What the name of a file says about its content; nil where it says nothing.
    public static func mediaType(ofFile name: String) -> String? {
        let types = [
            ".json": "application/json", ".jsonld": "application/ld+json", ".xml": "text/xml", ".txt": "text/plain",
            ".form": "application/x-www-form-urlencoded",
        ]
        return types.first { name.lowercased().hasSuffix($0.key) }?.value
    }

    /// The post as the HTTP front end would hand it over.
    static func received(
        _ body: [UInt8], type: String?, by addressed: AddressedHook, identity: String, now: Timestamp
    ) -> ReceivedPost {
        let hook = addressed.hook
        // Web hooks are posted to with the hook's own signature, which send-test makes.
        let envelope = Envelope(
            source: .http, mailFrom: hook.type == .web ? Envelope.signedSender : nil,
            recipients: ["/v1/hooks/\(hook.type.rawValue)/\(addressed.current.token)"])
        return ReceivedPost(
            hook: addressed,
            message: ReceivedMessage(
                envelope: envelope, bytes: ReceivedPost.entityHeader(contentType: type) + body, receivedAt: now),
            identity: identity, requestID: identity)
    }

    /// Posts `body`, or example data made here, to a form or web hook.
    ///
    /// - Parameters:
    ///   - name: event name, URL or path.
    ///   - type: the media type of `body`.
    ///   - address: `HOST:PORT` of the daemon; nil means the one that runs on this data folder.
    /// - Returns: nil where `name` is no form or web hook.
    public static func send(
        _ body: [UInt8]?, type: String?, to name: String, through address: String?, setup: Setup, now: Timestamp
    ) throws -> TestMail.Result? {
        let directory = try setup.directory()
        guard let addressed = hook(name, in: directory, now: now) else { return nil }
        let sample = HookSample(of: addressed.hook, number: "T-\(now.microseconds)")
        let octets = body ?? sample.data
        let type = body == nil ? (sample.isJSONLD ? "application/ld+json" : "application/json") : type
        let path = "/v1/hooks/\(addressed.hook.type.rawValue)/\(addressed.current.token)"
        var fields = type.map { [("Content-Type", $0)] } ?? []
        if addressed.hook.type == .web { fields += try signature(octets, addressed, now) }
        var client = try HTTPTestClient(try daemonAddress(address, setup))
        let status = try client.post(octets, to: path, fields: fields)
        let exitStatus: Int32 =
            switch status {
            case 200..<300: 0
            case 429, 500...: SysExit.temporaryFailure
            default: SysExit.unavailable
            }
        return TestMail.Result(transcript: client.transcript.joined(separator: "\n"), exitStatus: exitStatus)
    }

    /// Standard Webhooks, with the hook's own key.
    private static func signature(
        _ body: [UInt8], _ addressed: AddressedHook, _ now: Timestamp
    ) throws -> [(String, String)] {
        let secret = try WebhookSecret(PostAuthorizer.signingSecret(ofKey: addressed.current.key))
        let id = "msg_test\(now.microseconds)"
        let signed = StandardWebhooksSigner(secrets: [secret]).signature(id: id, timestamp: now.seconds, body: body)
        return [("Webhook-Id", id), ("Webhook-Timestamp", String(now.seconds)), ("Webhook-Signature", signed)]
    }

    private static func daemonAddress(_ given: String?, _ setup: Setup) throws(SetupError) -> ListenAddress {
        if let given {
            guard let address = ListenAddress(given) else { throw SetupError("'\(given)' is not HOST:PORT", exitStatus: SysExit.usage) }
            return address
        }
        let configured = setup.configuration.listen.http.first {
            if case .tcp(_, let port) = $0 { port != 0 } else { false }
        }
        let running = RunningDaemon.http(dataFolder: setup.configuration.data).first { !$0.isSecured }?.address
        guard let address = running ?? configured else {
            throw SetupError(
                "no daemon listens for HTTP on \(setup.configuration.data); start `mailhookd serve` with listen.http, or "
                    + "name it with --http", exitStatus: SysExit.temporaryFailure)
        }
        return address
    }
}
