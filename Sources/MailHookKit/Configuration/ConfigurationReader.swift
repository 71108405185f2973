// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// YAML to Configuration. All findings of a file are collected; a file with an error gives no
// configuration at all. The defaults are those of the built-in mailhookd.yaml, read by the
// same code.

import Glibc
import HookIntake
import HookModel

struct ConfigurationReader {
    private let file: String
    /// Where relative paths start.
    private let folder: String
    /// See `SetupRequest`.
    var needsSecrets = true
    private(set) var diagnostics = Diagnostics()

    static let topKeys = [
        "hostname", "domains", "data", "apps", "contexts", "listen", "http", "maildirs", "hooks", "limits", "subscriptions",
        "log", "stopTimeout", "processorBinding", "tls", "smtp", "retention",
    ]
    private static let logLevels = ["trace", "debug", "info", "notice", "warning", "error"]

    /// The built-in mailhookd.yaml, which is also the installed example.
    static let builtInText = PackageResources.mailhookd_yaml

    /// - Parameters:
    ///   - file: the name to show in findings.
    ///   - folder: absolute.
    init(file: String, folder: String) {
        self.file = file
        self.folder = folder
    }

    /// The built-in defaults.
    static func builtIn() -> Configuration {
        var reader = ConfigurationReader(file: "built-in defaults", folder: "/etc/mailhookd")
        guard let configuration = reader.read(builtInText, over: skeleton) else {
            preconditionFailure("the built-in mailhookd.yaml is read by every test: \(reader.diagnostics.all)")
        }
        return configuration
    }

    /// What the built-in file fills in; it names every one of these but the hostname.
    private static var skeleton: Configuration {
        let hostname = machineName()
        return Configuration(
            file: nil, hostname: hostname, domains: [hostname], data: "", apps: "",
            listen: .init(smtp: [], lmtp: []), maildirs: [], hooks: [:],
            limits: .init(
                connections: 0, connectionsPerPeer: 0, perPeerExempt: [], messageSize: 0, recipients: 0,
                idleTimeout: .zero, dataTimeout: .zero),
            subscriptions: [], logLevel: "info")
    }

    private static func machineName() -> String {
        var buffer = [CChar](repeating: 0, count: 256)
        guard gethostname(&buffer, buffer.count - 1) == 0 else { return "localhost" }
        let name = String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        return name.isEmpty ? "localhost" : name.lowercased()
    }

    /// Reads a file's text over `base`; nil when there was an error.
    mutating func read(_ text: [UInt8], over base: Configuration) -> Configuration? {
        let root: YAMLNode
        do {
            guard let node = try YAMLReader.read(text) else { return base }
            root = node
        } catch {
            diagnostics.add(Diagnostic(.error, file: file, position: error.position, reason: error.reason))
            return nil
        }
        var configuration = base
        let top = YAMLSection(root, file: file, place: "", keys: Self.topKeys, into: &diagnostics)
        readGeneral(top, into: &configuration)
        readListen(top, into: &configuration)
        if let node = top.node("http") {
            HTTPSettingsReader.read(node, file: file, into: &configuration.http, &diagnostics)
        }
        if let node = top.node("tls") {
            MailSettingsReader.readTLS(
                node, file: file, folder: folder, now: .now(), into: &configuration, &diagnostics)
        }
        if let node = top.node("smtp") {
            MailSettingsReader.readSMTP(node, file: file, into: &configuration.smtp, &diagnostics)
        }
        let secured = [("smtps", configuration.listen.smtps), ("https", configuration.listen.https)]
        for (key, addresses) in secured where !addresses.isEmpty && configuration.tls == nil && top.node("tls")?.isNull != false {
            diagnostics.add(
                Diagnostic(
                    .error, file: file, position: top.node("listen")?.position, place: "listen.\(key)",
                    reason: "needs a certificate: see 'tls'"))
        }
        if let items = top.list("maildirs", into: &diagnostics) {
            configuration.maildirs = MaildirReader.read(items, file: file, folder: folder, into: &diagnostics)
        }
        readHooks(top, into: &configuration)
        readLimits(top, into: &configuration)
        RetentionReader.read(top, file: file, into: &configuration, &diagnostics)
        readSubscriptions(top, into: &configuration)
        if !needsSecrets { diagnostics.excuseSecrets() }
        return diagnostics.hasErrors ? nil : configuration
    }

    private mutating func readGeneral(_ top: YAMLSection, into configuration: inout Configuration) {
        let hostname = top.value("hostname", expected: "a host name", into: &diagnostics, Self.domain)
        if let hostname {
            configuration.hostname = hostname
            configuration.domains = [hostname]
        }
        if let domains = top.list("domains", of: "a domain", into: &diagnostics, Self.domain) {
            if domains.isEmpty { top.complain("domains", "must name at least one domain", into: &diagnostics) }
            configuration.domains = domains
        }
        if let data = top.string("data", into: &diagnostics) { configuration.data = Files.resolve(data, in: folder) }
        if let apps = top.string("apps", into: &diagnostics) { configuration.apps = Files.resolve(apps, in: folder) }
        if let contexts = top.string("contexts", into: &diagnostics) {
            configuration.contexts = Files.resolve(contexts, in: folder)
        }
        let words = Self.logLevels.joined(separator: ", ")
        if let level = top.value(
            "log", expected: "one of \(words)", into: &diagnostics, { Self.logLevels.contains($0) ? $0 : nil })
        {
            configuration.logLevel = level
        }
        let modes = EventLoopBinding.Mode.allCases.map(\.rawValue).joined(separator: ", ")
        if let mode = top.value(
            "processorBinding", expected: "one of \(modes)", into: &diagnostics, EventLoopBinding.Mode.init)
        {
            configuration.processorBinding = mode
        }
        if let timeout = top.duration("stopTimeout", into: &diagnostics) {
            configuration.stopTimeout = timeout
            if timeout < .seconds(1) || timeout > .seconds(3600) {
                top.complain("stopTimeout", "must be from 1s to 1h", into: &diagnostics)
            }
        }
    }

    private mutating func readListen(_ top: YAMLSection, into configuration: inout Configuration) {
        guard let node = top.node("listen") else { return }
        let keys = ["smtp", "smtps", "lmtp", "http", "https", "admin"]
        let listen = YAMLSection(node, file: file, place: "listen", keys: keys, into: &diagnostics)
        let expected = "HOST:PORT, [IPV6]:PORT or the absolute path of a socket"
        configuration.listen.smtp =
            listen.list("smtp", of: expected, into: &diagnostics) { ListenAddress($0) } ?? configuration.listen.smtp
        let securedAddress: (String) -> ListenAddress? = { text in
            ListenAddress(text).flatMap { if case .unix = $0 { nil } else { $0 } }
        }
        configuration.listen.smtps =
            listen.list("smtps", of: "HOST:PORT or [IPV6]:PORT", into: &diagnostics, securedAddress)
            ?? configuration.listen.smtps
        configuration.listen.https =
            listen.list("https", of: "HOST:PORT or [IPV6]:PORT", into: &diagnostics, securedAddress)
            ?? configuration.listen.https
        configuration.listen.lmtp =
            listen.list("lmtp", of: expected, into: &diagnostics) { ListenAddress($0) } ?? configuration.listen.lmtp
        configuration.listen.http =
            listen.list("http", of: expected, into: &diagnostics) { ListenAddress($0) } ?? configuration.listen.http
        configuration.listen.admin =
            listen.list("admin", of: expected, into: &diagnostics) { ListenAddress($0) } ?? configuration.listen.admin
        if configuration.listen.admin.contains(where: { !HTTPSettingsReader.isLocal($0) }) {
            listen.complain(
                "admin", "must be a socket or an address of this machine's own, such as 127.0.0.1:8026", into: &diagnostics)
        }
    }

    private mutating func readHooks(_ top: YAMLSection, into configuration: inout Configuration) {
        guard let node = top.node("hooks") else { return }
        var reader = HookSettingsReader(file: file, folder: folder)
        reader.read(node, into: &configuration)
        diagnostics.add(contentsOf: reader.diagnostics)
    }

    private mutating func readLimits(_ top: YAMLSection, into configuration: inout Configuration) {
        guard let node = top.node("limits") else { return }
        let keys = [
            "connections", "connectionsPerPeer", "perPeerExempt", "messageSize", "recipients", "idleTimeout",
            "dataTimeout", "freeSpace",
        ] + MailSettingsReader.limitKeys
        let section = YAMLSection(node, file: file, place: "limits", keys: keys, into: &diagnostics)
        var limits = configuration.limits
        limits.connections = section.integer("connections", in: 1...65_000, into: &diagnostics) ?? limits.connections
        limits.connectionsPerPeer =
            section.integer("connectionsPerPeer", in: 1...65_000, into: &diagnostics) ?? limits.connectionsPerPeer
        limits.recipients = section.integer("recipients", in: 1...10_000, into: &diagnostics) ?? limits.recipients
        let ranges = section.list(
            "perPeerExempt", of: "an address or range such as 192.0.2.0/24", into: &diagnostics
        ) { NetworkRange($0) }
        limits.perPeerExempt = ranges ?? limits.perPeerExempt
        if let size = section.size("messageSize", into: &diagnostics) {
            // RFC 5321 section 4.5.3.1.7 asks for 64K octets at least; SQLite keeps up to 1 GB in a row.
            if (64 << 10...512 << 20).contains(size) {
                limits.messageSize = size
            } else {
                section.complain("messageSize", "must be from 64KiB to 512MiB", into: &diagnostics)
            }
        }
        limits.idleTimeout = section.duration("idleTimeout", into: &diagnostics) ?? limits.idleTimeout
        limits.dataTimeout = section.duration("dataTimeout", into: &diagnostics) ?? limits.dataTimeout
        for (key, value) in [("idleTimeout", limits.idleTimeout), ("dataTimeout", limits.dataTimeout)]
        where value < .seconds(1) {
            section.complain(key, "must be 1s or more", into: &diagnostics)
        }
        MailSettingsReader.readLimits(section, into: &limits, &diagnostics)
        limits.freeSpace = section.size("freeSpace", into: &diagnostics) ?? limits.freeSpace
        configuration.limits = limits
    }

    private mutating func readSubscriptions(_ top: YAMLSection, into configuration: inout Configuration) {
        guard let items = top.list("subscriptions", into: &diagnostics) else { return }
        var reader = SubscriptionReader(file: file, folder: folder)
        configuration.subscriptions = items.enumerated().compactMap { index, node in
            reader.read(node, place: "subscriptions[\(index)]")
        }
        configuration.subscriptionNames = reader.names
        diagnostics.add(contentsOf: reader.diagnostics)
    }

    /// RFC 5321 section 4.1.2, Domain, in lower case; a label may hold letters, digits, hyphens and, for local
    /// networks, underscores.
    static func domain(_ text: String) -> String? {
        guard let text = DomainName.ascii(text) else { return nil }
        let labels = text.split(separator: ".", omittingEmptySubsequences: false)
        let areGood = labels.allSatisfy { label in
            (1...63).contains(label.utf8.count) && label.first != "-" && label.last != "-"
                && label.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == "_") }
        }
        return areGood && text.utf8.count <= 253 ? text : nil
    }
}
