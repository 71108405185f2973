// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// One entry of `subscriptions:` to a Subscription.

import HookDelivery
import HookModel

struct SubscriptionReader {
    private let file: String
    private let folder: String
    private var names: Set<String> = []
    private(set) var diagnostics = Diagnostics()

    private static let sinks = ["webhook", "exec", "file"]

    init(file: String, folder: String) {
        self.file = file
        self.folder = folder
    }

    /// nil where something is wrong with it.
    mutating func read(_ node: YAMLNode, place: String) -> Subscription? {
        let keys = ["name", "events", "retry", "concurrency"] + Self.sinks
        let section = YAMLSection(node, file: file, place: place, keys: keys, into: &diagnostics)
        let name = section.value(
            "name", expected: "a word of letters, digits, '-', '_' and '.', at most 64 of them", into: &diagnostics,
            Self.name)
        if section.node("name") == nil { missing("name", "for logs and for the store", section, node) }
        if let name, !names.insert(name).inserted {
            section.complain("name", "another subscription has this name", into: &diagnostics)
        }
        let events = patterns(section)
        if section.node("events") == nil { missing("events", "[\">\"] stands for all events", section, node) }
        let schedule = schedule(section)
        let concurrency = section.integer("concurrency", in: 1...256, into: &diagnostics)
        guard let sink = sink(section, node), let name, let events else { return nil }
        return Subscription(name: name, events: events, sink: sink, schedule: schedule, concurrency: concurrency)
    }

    private mutating func missing(_ key: String, _ hint: String, _ section: YAMLSection, _ node: YAMLNode) {
        diagnostics.add(
            Diagnostic(
                .error, file: file, position: node.position, place: section.place, reason: "needs '\(key)'", hint: hint))
    }

    private mutating func patterns(_ section: YAMLSection) -> [EventPattern]? {
        var patterns: [EventPattern] = []
        guard let texts = section.strings("events", into: &diagnostics) else { return nil }
        for text in texts {
            do {
                patterns.append(try EventPattern(text))
            } catch {
                section.complain("events", "'\(text)' is no pattern: \(error.rawValue)", into: &diagnostics)
            }
        }
        return patterns
    }

    private mutating func schedule(_ section: YAMLSection) -> RetrySchedule {
        let delays = section.list("retry", of: YAMLSection.durationWords, into: &diagnostics, Units.duration)
        return delays.map { RetrySchedule(delays: $0) } ?? RetrySchedule()
    }

    private mutating func sink(_ section: YAMLSection, _ node: YAMLNode) -> SinkConfiguration? {
        let named = Self.sinks.filter { section.node($0) != nil }
        guard named.count == 1, let name = named.first, let node = section.node(name) else {
            diagnostics.add(
                Diagnostic(
                    .error, file: file, position: node.position, place: section.place,
                    reason: "needs one sink: \(Self.sinks.joined(separator: ", "))"))
            return nil
        }
        switch name {
        case "webhook": return webhook(node, place: section.path(name)).map { .webhook($0) }
        case "exec": return exec(node, place: section.path(name)).map { .exec($0) }
        default: return fileSink(node, place: section.path(name)).map { .file($0) }
        }
    }

    private mutating func webhook(_ node: YAMLNode, place: String) -> WebhookConfiguration? {
        let section = YAMLSection(
            node, file: file, place: place, keys: ["url", "secretFile", "timeout", "headers"], into: &diagnostics)
        guard let url = section.string("url", into: &diagnostics) else {
            if section.node("url") == nil { missing("url", "https://...", section, node) }
            return nil
        }
        guard let path = section.string("secretFile", into: &diagnostics) else {
            missing("secretFile", "a file with a secret: whsec_ and the base64 of 24 to 64 random octets", section, node)
            return nil
        }
        let timeout = section.duration("timeout", into: &diagnostics) ?? .seconds(20)
        guard let secrets = secrets(Files.resolve(path, in: folder), section) else { return nil }
        do {
            return try WebhookConfiguration(
                url: url, secrets: secrets, timeout: timeout, headers: headers(section, place: section.path("headers")))
        } catch {
            section.complain(Self.key(of: error), Self.words(error), into: &diagnostics)
            return nil
        }
    }

    /// One secret a line; the file may hold the old one below the new one while receivers change over.
    private mutating func secrets(_ path: String, _ section: YAMLSection) -> [WebhookSecret]? {
        do {
            let text = String(decoding: try Files.read(path, limit: 64 << 10), as: UTF8.self)
            let lines = text.split(whereSeparator: \.isNewline).map { $0.filter { !$0.isWhitespace } }
            let secrets = try lines.filter { !$0.isEmpty }.map { try WebhookSecret(String($0)) }
            if secrets.isEmpty { section.complain("secretFile", "\(path) is empty", into: &diagnostics) }
            return secrets.isEmpty ? nil : secrets
        } catch let error as FileError {
            section.complain("secretFile", error.description, into: &diagnostics)
        } catch {
            // The file's content is a secret: it is described, never shown.
            section.complain("secretFile", "\(path) holds no Standard Webhooks secret: \(error)", into: &diagnostics)
        }
        return nil
    }

    private mutating func headers(_ section: YAMLSection, place: String) -> [(name: String, value: String)] {
        guard let node = section.node("headers") else { return [] }
        let headers = YAMLSection(node, file: file, place: place, keys: nil, into: &diagnostics)
        var fields: [(name: String, value: String)] = []
        for name in headers.keys {
            guard let value = headers.string(name, into: &diagnostics) else { continue }
            fields.append((name: name, value: value))
        }
        return fields
    }

    private mutating func exec(_ node: YAMLNode, place: String) -> ExecConfiguration? {
        let section = YAMLSection(
            node, file: file, place: place, keys: ["command", "timeout", "folder"], into: &diagnostics)
        let command = section.strings("command", into: &diagnostics) ?? []
        let timeout = section.duration("timeout", into: &diagnostics) ?? .seconds(30)
        let folder = section.string("folder", into: &diagnostics).map { Files.resolve($0, in: self.folder) }
        guard
            let configuration = ExecConfiguration(arguments: command, timeout: timeout, workingDirectory: folder)
        else {
            missing("command", "a list: the program and its arguments", section, node)
            return nil
        }
        return configuration
    }

    private mutating func fileSink(_ node: YAMLNode, place: String) -> FileConfiguration? {
        let section = YAMLSection(node, file: file, place: place, keys: ["path"], into: &diagnostics)
        guard let path = section.string("path", into: &diagnostics) else {
            if section.node("path") == nil { missing("path", "events.ndjson", section, node) }
            return nil
        }
        return FileConfiguration(path: Files.resolve(path, in: folder))
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

    private static func name(_ text: String) -> String? {
        let isGood = text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-_.".contains($0)) }
        return isGood && (1...64).contains(text.count) ? text : nil
    }
}
