// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// `hooks:` to the settings of each hook.

import HookExtraction
import HookModel
import JSONLD
import JSONSchema

struct HookSettingsReader {
    private let file: String
    /// Where relative paths start.
    private let folder: String
    private(set) var diagnostics = Diagnostics()

    init(file: String, folder: String) {
        self.file = file
        self.folder = folder
    }

    mutating func read(_ node: YAMLNode, into configuration: inout Configuration) {
        let hooks = YAMLSection(node, file: file, place: "hooks", keys: nil, into: &diagnostics)
        // The default first, so that its place in the file does not matter.
        if let node = hooks.node("*") {
            configuration.hooks["*"] = hookSettings(node, place: "hooks.*", over: Configuration.HookSettings())
        }
        let base = configuration.hooks["*"] ?? Configuration.HookSettings()
        for name in hooks.keys where name != "*" {
            guard let node = hooks.node(name) else { continue }
            configuration.hooks[name] = hookSettings(node, place: "hooks.\(name)", over: base)
        }
    }

    private mutating func hookSettings(
        _ node: YAMLNode, place: String, over base: Configuration.HookSettings
    ) -> Configuration.HookSettings {
        let keys = [
            "aliases", "sources", "senders", "key", "messageSize", "onNoData", "repair", "acceptTypes", "schema", "form",
            "context", "frame", "onUnprocessable", "generation", "previousUntil", "state", "retention", "expectEvery", "challenge",
        ]
        let section = YAMLSection(node, file: file, place: place, keys: keys, into: &diagnostics)
        var settings = base
        let aliases = section.list(
            "aliases", of: "an address such as orders@hooks.example.com", into: &diagnostics, Self.address)
        if let aliases {
            settings.policy.aliases = aliases
            if place == "hooks.*" {
                section.complain("aliases", "an alias belongs to one hook, not to all", into: &diagnostics)
            }
        }
        let names = DocumentSources.names.map(\.name).joined(separator: ", ")
        let sources = section.list("sources", of: "one of \(names)", into: &diagnostics) { word in
            DocumentSources.names.first { $0.name == word }?.source
        }
        if let sources { settings.policy.sources = DocumentSources(sources) }
        let senders = section.list(
            "senders", of: "an address, a domain, *.domain or <>", into: &diagnostics, SenderPattern.init)
        if let senders { settings.policy.senders = senders }
        if let size = section.size("messageSize", into: &diagnostics) {
            settings.policy.messageSize = size
            if size < 1024 { section.complain("messageSize", "must be 1KiB or more", into: &diagnostics) }
        }
        settings.policy.key = section.choice("key", into: &diagnostics) ?? settings.policy.key
        settings.policy.onNoData = section.choice("onNoData", into: &diagnostics) ?? settings.policy.onNoData
        if let repair: RepairMode = section.choice("repair", into: &diagnostics) { settings.policy.repair = repair == .on }
        if let types = section.strings("acceptTypes", into: &diagnostics) { settings.policy.acceptTypes = types }
        if section.node("schema") != nil { settings.policy.schema = schema(section) }
        if let form = documentForm(section) { settings.policy.form = form }
        settings.policy.onUnprocessable =
            section.choice("onUnprocessable", into: &diagnostics) ?? settings.policy.onUnprocessable
        settings.generation =
            section.integer("generation", in: 1...1_000_000, into: &diagnostics) ?? settings.generation
        if let node = section.node("challenge") {
            settings.policy.challenge = ChallengeReader.read(
                node, place: "\(place).challenge", file: file, folder: folder, into: &diagnostics)
        }
        settings.policy.state = section.choice("state", into: &diagnostics) ?? settings.policy.state
        let until = section.value(
            "previousUntil", expected: "a time such as 2026-12-31T00:00:00Z", into: &diagnostics,
            Timestamp.init(rfc3339:))
        settings.previousUntil = until ?? settings.previousUntil
        if let node = section.node("retention") {
            RetentionReader.read(
                node, file: file, place: section.path("retention"), into: &settings.retention, &diagnostics)
        }
        if let every = section.duration("expectEvery", into: &diagnostics) {
            settings.expectEvery = every
            if every < .seconds(1) { section.complain("expectEvery", "must be 1s or more", into: &diagnostics) }
            if place == "hooks.*" {
                section.complain("expectEvery", "is said of one hook, not of all", into: &diagnostics)
            }
        }
        return settings
    }

    /// `form` with the file it needs; nil where there is none or it is wrong.
    private mutating func documentForm(_ section: YAMLSection) -> DocumentForm? {
        let words = ["asSent", "expanded", "compacted", "framed"]
        let word = section.value(
            "form", expected: words.joined(separator: ", "), into: &diagnostics) { words.contains($0) ? $0 : nil }
        for (key, form) in [("context", "compacted"), ("frame", "framed")] where section.node(key) != nil && word != form {
            section.complain(key, "only goes with form: \(form)", into: &diagnostics)
        }
        switch word {
        case "asSent": return .asSent
        case "expanded": return .expanded
        case "compacted": return jsonFile("context", section).map { .compacted(context: $0) }
        case "framed": return jsonFile("frame", section).map { .framed(frame: $0) }
        default: return nil
        }
    }

    private mutating func schema(_ section: YAMLSection) -> [UInt8]? {
        guard let text = jsonFile("schema", section), let document = try? JSONDocument(text) else { return nil }
        do {
            _ = try SchemaCompiler.compile(document)
            return text
        } catch {
            section.complain("schema", "is no JSON Schema that can be used: \(error)", into: &diagnostics)
            return nil
        }
    }

    private mutating func jsonFile(_ key: String, _ section: YAMLSection) -> [UInt8]? {
        guard let path = section.string(key, into: &diagnostics) else {
            if section.node(key) == nil { section.complain("form", "needs '\(key)', a JSON file", into: &diagnostics) }
            return nil
        }
        do {
            let bytes = try Files.read(Files.resolve(path, in: folder), limit: 4 << 20)
            _ = try JSONDocument(bytes)
            return bytes
        } catch let error as JSONError {
            section.complain(key, "\(path) is no JSON: \(error.code.rawValue)", into: &diagnostics)
        } catch {
            section.complain(key, "\(error)", into: &diagnostics)
        }
        return nil
    }

    private static func address(_ text: String) -> String? {
        guard let at = text.lastIndex(of: "@"), at != text.startIndex,
            ConfigurationReader.domain(String(text[text.index(after: at)...])) != nil,
            text[..<at].allSatisfy({ $0.isASCII && !$0.isWhitespace && $0 != "<" && $0 != ">" })
        else { return nil }
        return text
    }
}
