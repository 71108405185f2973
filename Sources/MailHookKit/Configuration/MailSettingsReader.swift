// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The sections `tls` and `smtp` of the configuration, and what of `limits` is about who may
// connect. Certificate and key are read here as well, so that `check` tells what is wrong with them.

import HookIntake
import HookModel
import HookTLS

enum MailSettingsReader {
    private static let tlsKeys = ["certificate", "key", "require", "minimumVersion"]
    private static let smtpKeys = ["greetDelay", "bareNewline", "oneHookPerTransaction"]
    /// Keys of `limits` that are read here.
    static let limitKeys = ["receivedFields", "allowClients", "proxyPeers", "xclientPeers"]

    private enum BareNewline: String, CaseIterable {
        case refuse
        case normalize
    }

    /// - Parameters:
    ///   - folder: where relative paths start.
    ///   - now: decides whether a certificate is valid.
    static func readTLS(
        _ node: YAMLNode, file: String, folder: String, now: Timestamp, into configuration: inout Configuration,
        _ diagnostics: inout Diagnostics
    ) {
        let section = YAMLSection(node, file: file, place: "tls", keys: tlsKeys, into: &diagnostics)
        guard !section.keys.isEmpty else { return }
        let certificate = section.string("certificate", into: &diagnostics)
        let key = section.string("key", into: &diagnostics)
        for name in ["certificate", "key"] where section.node(name) == nil {
            diagnostics.add(
                Diagnostic(.error, file: file, position: node.position, place: "tls", reason: "needs '\(name)', a file in PEM"))
        }
        let require = boolean(section, "require", into: &diagnostics) ?? false
        let minimum: TLSMinimum = section.choice("minimumVersion", into: &diagnostics) ?? .v12
        guard let certificate, let key else { return }
        let files = TLSFiles(
            certificate: Files.resolve(certificate, in: folder), key: Files.resolve(key, in: folder), minimum: minimum)
        configuration.tls = Configuration.TLSSettings(files: files, requiresSTARTTLS: require)
        do throws(TLSFilesError) {
            for doubt in try files.check(now: now.seconds) {
                diagnostics.add(
                    Diagnostic(
                        .warning, file: file, position: section.node("certificate")?.position, place: "tls.certificate",
                        reason: "\(files.certificate): \(words(doubt))"))
            }
        } catch {
            section.complain(
                error.file == .certificate ? "certificate" : "key", error.description, isAboutSecret: true, into: &diagnostics)
        }
    }

    private static func words(_ doubt: TLSCertificateDoubt) -> String {
        switch doubt {
        case .expired(let seconds): "has expired at \(Timestamp(seconds: seconds).rfc3339)"
        case .notYetValid(let seconds): "is not valid before \(Timestamp(seconds: seconds).rfc3339)"
        }
    }

    static func readSMTP(
        _ node: YAMLNode, file: String, into settings: inout Configuration.SMTPSettings, _ diagnostics: inout Diagnostics
    ) {
        let section = YAMLSection(node, file: file, place: "smtp", keys: smtpKeys, into: &diagnostics)
        if let delay = section.duration("greetDelay", into: &diagnostics) {
            // RFC 5321 section 4.5.3.2.1: clients wait for five minutes; few wait for one.
            if delay <= .seconds(60) {
                settings.greetDelay = delay
            } else {
                section.complain("greetDelay", "must be from 0s to 1m", into: &diagnostics)
            }
        }
        if let choice: BareNewline = section.choice("bareNewline", into: &diagnostics) {
            settings.normalizesBareNewlines = choice == .normalize
        }
        settings.oneHookPerTransaction =
            boolean(section, "oneHookPerTransaction", into: &diagnostics) ?? settings.oneHookPerTransaction
    }

    static func readLimits(
        _ section: YAMLSection, into limits: inout Configuration.Limits, _ diagnostics: inout Diagnostics
    ) {
        limits.receivedFields = section.integer("receivedFields", in: 1...1000, into: &diagnostics) ?? limits.receivedFields
        limits.allowClients = ranges(section, "allowClients", into: &diagnostics) ?? limits.allowClients
        limits.proxyPeers = ranges(section, "proxyPeers", into: &diagnostics) ?? limits.proxyPeers
        limits.xclientPeers = ranges(section, "xclientPeers", into: &diagnostics) ?? limits.xclientPeers
    }

    private static func ranges(
        _ section: YAMLSection, _ key: String, into diagnostics: inout Diagnostics
    ) -> [NetworkRange]? {
        section.list(key, of: "an address or range such as 192.0.2.0/24", into: &diagnostics) { NetworkRange($0) }
    }

    private static func boolean(_ section: YAMLSection, _ key: String, into diagnostics: inout Diagnostics) -> Bool? {
        section.value(key, expected: "true or false", into: &diagnostics) { Bool($0) }
    }
}
