// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The section `challenge` of a hook's policy.

import HookIntake
import HookModel

enum ChallengeReader {
    private static let keys = ["url", "field", "secretFile", "timeout"]

    /// nil where something is missing or wrong, which is told.
    static func read(
        _ node: YAMLNode, place: String, file: String, folder: String, into diagnostics: inout Diagnostics
    ) -> HookChallenge? {
        let section = YAMLSection(node, file: file, place: place, keys: keys, into: &diagnostics)
        let url = section.value(
            "url", expected: "a URL that begins with https://, or http:// and an address of this machine",
            into: &diagnostics, checkedURL)
        let field = section.string("field", into: &diagnostics)
        let secret = secret(section, folder: folder, into: &diagnostics)
        let timeout = section.duration("timeout", into: &diagnostics) ?? .seconds(5)
        if !(Duration.milliseconds(100)...Duration.seconds(30)).contains(timeout) {
            section.complain("timeout", "must be from 100ms to 30s", into: &diagnostics)
        }
        for key in ["url", "field", "secretFile"] where section.node(key) == nil {
            section.complain(key, "a challenge needs '\(key)'", into: &diagnostics)
        }
        guard let url, let field, let secret else { return nil }
        return HookChallenge(url: url, field: field, secret: secret, timeout: timeout)
    }

    private static func secret(
        _ section: YAMLSection, folder: String, into diagnostics: inout Diagnostics
    ) -> String? {
        guard let path = section.string("secretFile", into: &diagnostics) else { return nil }
        do throws(FileError) {
            let text = String(decoding: try Files.read(Files.resolve(path, in: folder), limit: 4096), as: UTF8.self)
            let secret = String(text.reversed().drop { $0.isWhitespace }.reversed())
            if secret.isEmpty { section.complain("secretFile", "\(path) is empty", into: &diagnostics) }
            return secret.isEmpty ? nil : secret
        } catch {
            section.complain("secretFile", error.description, isAboutSecret: true, into: &diagnostics)
            return nil
        }
    }

    /// The secret goes with every question: never over a network in the clear.
    private static func checkedURL(_ text: String) -> String? {
        let isClean = text.utf8.allSatisfy { (33...126).contains($0) && !"#\"<>\\@".utf8.contains($0) }
        guard isClean else { return nil }
        if text.hasPrefix("https://") { return text.count > 8 ? text : nil }
        guard text.hasPrefix("http://") else { return nil }
        let authority = text.dropFirst(7).prefix { $0 != "/" && $0 != "?" }
        let full = authority.contains(":") && authority.last != "]" ? String(authority) : "\(authority):80"
        return ListenAddress(full).map(HTTPSettingsReader.isLocal) == true ? text : nil
    }
}

extension Setup {
    /// Who may send, said of a hook of a type that does not ask for it: only posts of forms can carry an answer, and only mail
    /// a key in its documents and a sender. Whoever wrote it believes the hook closed.
    static func checkAdmission(
        _ configuration: Configuration, _ definitions: [AppDefinition], into diagnostics: inout Diagnostics
    ) {
        let ofAll = configuration.hooks["*"]?.policy ?? HookPolicy()
        for hook in definitions.flatMap(\.hooks) {
            guard let policy = configuration.hooks[hook.eventName]?.policy else { continue }
            let idle = [
                ("challenge", hook.type != .form && policy.challenge != nil),
                ("key", hook.type != .email && policy.key == .required && policy.key != ofAll.key),
                ("senders", hook.type != .email && !policy.senders.isEmpty && policy.senders != ofAll.senders),
            ]
            for (name, isIdle) in idle where isIdle {
                diagnostics.add(
                    Diagnostic(
                        .warning, file: configuration.file ?? "configuration", place: "hooks.\(hook.eventName).\(name)",
                        reason: "has no effect: this is a hook of type \(hook.type.rawValue)"))
            }
        }
    }
}
