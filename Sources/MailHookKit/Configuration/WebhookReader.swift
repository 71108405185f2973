// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// `webhook:` of a subscription to a WebhookConfiguration. Secrets, keys and tokens come from files; what is in them is
// described in findings, never shown.

import Glibc
import HookDelivery
import Synchronization

struct WebhookReader {
    private let file: String
    private let folder: String
    private(set) var diagnostics = Diagnostics()

    private static let keys = [
        "url", "secretFile", "mode", "timeout", "headers", "headerFiles", "certificateFile", "keyFile", "authorityFile",
    ]
    /// Octets of a secret's file, and of certificates.
    fileprivate static let sizeLimit = 64 << 10
    private static let certificateLimit = 4 << 20

    init(file: String, folder: String) {
        self.file = file
        self.folder = folder
    }

    /// nil where something is wrong with it.
    mutating func read(_ node: YAMLNode, place: String) -> WebhookConfiguration? {
        let section = YAMLSection(node, file: file, place: place, keys: Self.keys, into: &diagnostics)
        guard let url = section.string("url", into: &diagnostics) else {
            if section.node("url") == nil { missing("url", "https://...", section, node) }
            return nil
        }
        guard let path = section.string("secretFile", into: &diagnostics) else {
            missing("secretFile", "a file with a secret: whsec_ and the base64 of 24 to 64 random octets", section, node)
            return nil
        }
        let timeout = section.duration("timeout", into: &diagnostics) ?? .seconds(20)
        let mode: WebhookConfiguration.Mode = section.choice("mode", into: &diagnostics) ?? .structured
        let headers = headers(section, "headers") + headerFiles(section)
        let tls = tls(section)
        guard let secrets = secrets(Files.resolve(path, in: folder), section) else { return nil }
        do {
            var configuration = try WebhookConfiguration(
                url: url, signing: .standardWebhooks(secrets), timeout: timeout, headers: headers)
            configuration.mode = mode
            configuration.tls = tls
            if tls != nil, !configuration.url.isSecure {
                section.complain("url", "certificates only go with https", into: &diagnostics)
            }
            return configuration
        } catch {
            section.complain(Self.key(of: error), Self.words(error), into: &diagnostics)
            return nil
        }
    }

    private mutating func missing(_ key: String, _ hint: String, _ section: YAMLSection, _ node: YAMLNode) {
        diagnostics.add(
            Diagnostic(
                .error, file: file, position: node.position, place: section.place, reason: "needs '\(key)'", hint: hint))
    }

    /// One secret a line; the file may hold the old one below the new one while receivers change over.
    private mutating func secrets(_ path: String, _ section: YAMLSection) -> SecretList? {
        let source = SecretFile(path)
        do {
            let secrets = try source.read()
            if secrets.isEmpty { section.complain("secretFile", "\(path) is empty", into: &diagnostics) }
            return secrets.isEmpty ? nil : SecretList(secrets) { source.changed() }
        } catch let error as FileError {
            section.complain("secretFile", error.description, isAboutSecret: true, into: &diagnostics)
        } catch {
            section.complain("secretFile", "\(path) holds no Standard Webhooks secret: \(error)", into: &diagnostics)
        }
        return nil
    }

    private mutating func headers(_ section: YAMLSection, _ key: String) -> [(name: String, value: String)] {
        guard let node = section.node(key), !node.isNull else { return [] }
        let headers = YAMLSection(node, file: file, place: section.path(key), keys: nil, into: &diagnostics)
        var fields: [(name: String, value: String)] = []
        for name in headers.keys {
            guard let value = headers.string(name, into: &diagnostics) else { continue }
            fields.append((name: name, value: value))
        }
        return fields
    }

    /// The value of each is the first line of a file.
    private mutating func headerFiles(_ section: YAMLSection) -> [(name: String, value: String)] {
        headers(section, "headerFiles").compactMap { name, path in
            guard let bytes = bytes(path, "headerFiles", section, limit: Self.sizeLimit) else { return nil }
            let line = bytes.prefix { $0 != 0x0A && $0 != 0x0D }
            return (name: name, value: String(decoding: line, as: UTF8.self))
        }
    }

    private mutating func tls(_ section: YAMLSection) -> TLSSettings? {
        func file(_ key: String) -> [UInt8]? {
            guard let path = section.string(key, into: &diagnostics) else { return nil }
            return bytes(path, key, section, limit: Self.certificateLimit)
        }
        let (certificate, key, authorities) = (file("certificateFile"), file("keyFile"), file("authorityFile"))
        guard certificate != nil || key != nil || authorities != nil else { return nil }
        if key != nil, section.node("certificateFile") == nil {
            section.complain("keyFile", "needs 'certificateFile'", into: &diagnostics)
        }
        do {
            return try TLSSettings(certificate: certificate, key: key, authorities: authorities)
        } catch {
            let key =
                switch error {
                case .authoritiesUnreadable: "authorityFile"
                case .certificateUnreadable, .unusable: "certificateFile"
                case .keyUnreadable: section.node("keyFile") == nil ? "certificateFile" : "keyFile"
                }
            section.complain(key, error.rawValue, into: &diagnostics)
            return nil
        }
    }

    private mutating func bytes(_ path: String, _ key: String, _ section: YAMLSection, limit: Int) -> [UInt8]? {
        do {
            return try Files.read(Files.resolve(path, in: folder), limit: limit)
        } catch {
            section.complain(key, error.description, isAboutSecret: true, into: &diagnostics)
            return nil
        }
    }

    private static func key(of error: WebhookConfigurationError) -> String {
        switch error {
        case .urlInvalid: "url"
        case .noSecret: "secretFile"
        case .timeoutOutOfRange: "timeout"
        case .headerNameInvalid, .headerReserved, .headerValueInvalid: "headers"
        }
    }

    private static func words(_ error: WebhookConfigurationError) -> String {
        switch error {
        case .urlInvalid(let problem): problem.rawValue
        case .noSecret: "names no secret"
        case .timeoutOutOfRange: "must be above 0 and at most 10m"
        case .headerNameInvalid(let name): "'\(name)' is no header name"
        case .headerReserved(let name): "'\(name)' is set by mailhookd itself"
        case .headerValueInvalid(let name): "the value of '\(name)' holds a control character"
        }
    }
}

/// A file of secrets, and whether it has changed. Safe to share between threads.
private final class SecretFile: Sendable {
    private struct Version: Equatable {
        var inode: UInt
        var size: Int
        var seconds: Int
        var nanoseconds: Int
    }

    private let path: String
    private let seen = Mutex<Version?>(nil)

    init(_ path: String) { self.path = path }

    func read() throws -> [WebhookSecret] {
        let version = version()
        let text = String(decoding: try Files.read(path, limit: WebhookReader.sizeLimit), as: UTF8.self)
        seen.withLock { $0 = version }
        let lines = text.split(whereSeparator: \.isNewline).map { $0.filter { !$0.isWhitespace } }
        return try lines.filter { !$0.isEmpty }.map { try WebhookSecret(String($0)) }
    }

    func changed() -> [WebhookSecret]? {
        guard let version = version(), version != seen.withLock({ $0 }) else { return nil }
        return try? read()
    }

    private func version() -> Version? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        return Version(
            inode: UInt(status.st_ino), size: Int(status.st_size), seconds: status.st_mtim.tv_sec,
            nanoseconds: status.st_mtim.tv_nsec)
    }
}
