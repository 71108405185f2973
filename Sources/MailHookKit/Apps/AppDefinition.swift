// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// An app definition: identity, `hooks[]`, `triggers[]` and `outboundWebhooks[]`. Other documented
// keys load without effect, so that a definition written for the hosted product works unchanged.

public import HookModel
import JSONLD

/// A JSON file that declares inbound hooks.
public struct AppDefinition: Sendable, Hashable {
    public var app: String
    public var version: SemanticVersion
    public var title: String
    public var hooks: [HookDeclaration]
    /// Those whose event name is a hook's of the same definition are in effect.
    public var triggers: [TriggerDeclaration] = []
    public var outboundWebhooks: [OutboundWebhook] = []
    public var dependencies: [AppDependency] = []
    /// Documented parts that hold something and are not run here, in the order of the file.
    public var dormantParts: [String] = []
    /// The permissions it asks for, in one spelling for equal values.
    var roles: [UInt8] = []
    /// Where it was read from.
    public var file: String
    /// What the file holds, in one spelling for equal values.
    var canonicalText: [UInt8] = []

    func trigger(of eventName: String) -> HookTrigger? {
        triggers.first { $0.eventName == eventName }?.trigger
    }
}

/// An entry of `hooks[]`.
public struct HookDeclaration: Sendable, Hashable {
    public var eventName: String
    public var displayEventName: String?
    public var description: String?
    public var type: HookType
    /// Where it stands, for findings about several files.
    var position: Diagnostic.Position?
}

/// Reads one definition and collects what is wrong with it.
struct AppDefinitionReader {
    private let file: String
    private let bytes: [UInt8]
    /// What names without a prefix belong to; known once the key `app` was read.
    private var app = ""
    private(set) var diagnostics = Diagnostics()

    /// Octets of a definition; real ones have some kilobytes.
    static let sizeLimit = 4 << 20

    /// The documented top-level keys; any other is refused, as at the origin of the format.
    private static let topKeys: Set<String> = [
        "actions", "app", "appDetails", "cards", "commands", "default", "dependencies", "description", "hooks", "i18n",
        "iconUrl", "identifier", "installUrl", "instructions", "klasses", "kviews", "outboundWebhooks",
        "postInstallMessage", "roles", "screenshots", "settings", "settingsPageConfig", "system", "tags", "templates",
        "title", "triggers", "vendor", "version", "visibility", "website", "widgets", "workflows",
    ]
    /// Those of parts that are for others or not run here. Definitions that hold one work as far as the rest goes.
    private static let dormantKeys: Set<String> = [
        "actions", "cards", "commands", "klasses", "kviews", "settings", "templates", "widgets", "workflows",
    ]
    private static let hookKeys: Set<String> = ["description", "displayEventName", "eventName", "type"]

    init(file: String, bytes: [UInt8]) {
        self.file = file
        self.bytes = bytes
    }

    /// nil when there was an error.
    mutating func read() -> AppDefinition? {
        let root: JSONValue
        do {
            root = try JSONDocument(bytes).root
        } catch {
            report(.error, at: error.offset, "", error.code.rawValue)
            return nil
        }
        guard root.kind == .object else {
            report(.error, at: root.range.lowerBound, "", "must be a JSON object")
            return nil
        }
        checkKeys(of: root, known: Self.topKeys, place: "", severity: .error)
        let app = required("app", of: root, place: "")
        if let app, !Self.isAppName(app.text) {
            report(
                .error, at: app.offset, "app",
                "must be a word of letters, digits, '_' and '.', without '-' or spaces, at most 128 characters")
        }
        self.app = app?.text ?? ""
        let versionText = required("version", of: root, place: "")
        let version = versionText.flatMap { SemanticVersion($0.text) }
        if let versionText, version == nil {
            report(.error, at: versionText.offset, "version", "must be a semantic version such as 1.0.0")
        }
        let title = required("title", of: root, place: "")
        let hooks = readHooks(root)
        let triggers = readTriggers(root, hooks: hooks)
        let webhooks = readOutboundWebhooks(root)
        let dependencies = readDependencies(root)
        let dormant = noteDormantParts(root)
        guard let app, let version, let title, !diagnostics.hasErrors else { return nil }
        return AppDefinition(
            app: app.text, version: version, title: title.text, hooks: hooks, triggers: triggers,
            outboundWebhooks: webhooks, dependencies: dependencies, dormantParts: dormant,
            roles: root["roles"].map(Self.canonical) ?? [], file: file, canonicalText: Self.canonical(root))
    }

    /// Equal values in equal spelling where there is one (RFC 8785), else as written.
    private static func canonical(_ value: JSONValue) -> [UInt8] {
        (try? JCS.canonicalize(value)) ?? Array(value.text)
    }

    private mutating func noteDormantParts(_ root: JSONValue) -> [String] {
        let parts = root.members.filter { member in
            Self.dormantKeys.contains(member.name) && !(member.value.elements.isEmpty && member.value.members.isEmpty)
        }
        if let first = parts.first {
            let names = parts.map(\.name).joined(separator: ", ")
            report(.note, at: first.nameRange.lowerBound, "", "\(names): not run here; everything else of the app works")
        }
        return parts.map(\.name)
    }

    private mutating func readDependencies(_ root: JSONValue) -> [AppDependency] {
        list("dependencies", of: root).enumerated().compactMap { index, entry in
            let place = "dependencies[\(index)]"
            guard let text = entry.string else {
                report(.error, at: entry.range.lowerBound, place, "must be a text such as orders_core-^2.1.0")
                return nil
            }
            guard let dependency = AppDependency(text) else {
                report(
                    .warning, at: entry.range.lowerBound, place,
                    "'\(text)' is not understood; known are APP-VERSION with ^, ~, >= or nothing before the version")
                return nil
            }
            return dependency
        }
    }

    /// The elements of a list that may be missing.
    mutating func list(_ key: String, of root: JSONValue) -> [JSONValue] {
        guard let list = root[key], !list.isNull else { return [] }
        guard list.kind == .array else {
            report(.error, at: list.range.lowerBound, key, "must be a list")
            return []
        }
        return list.elements
    }

    private mutating func readHooks(_ root: JSONValue) -> [HookDeclaration] {
        if root["hooks"] == nil { report(.warning, at: root.range.lowerBound, "", "declares no hooks") }
        var names: Set<String> = []
        return list("hooks", of: root).enumerated().compactMap { index, entry in
            let place = "hooks[\(index)]"
            guard let hook = readHook(entry, place: place) else { return nil }
            guard names.insert(hook.eventName).inserted else {
                let offset = entry["eventName"]?.range.lowerBound ?? entry.range.lowerBound
                report(
                    .error, at: offset, "\(place).eventName",
                    "'\(hook.eventName)' is declared twice; a name belongs to one hook")
                return nil
            }
            return hook
        }
    }

    private mutating func readHook(_ entry: JSONValue, place: String) -> HookDeclaration? {
        guard entry.kind == .object else {
            report(.error, at: entry.range.lowerBound, place, "must be an object")
            return nil
        }
        // An unknown key of a hook may be a mistyped one: it is told, but does no harm.
        checkKeys(of: entry, known: Self.hookKeys, place: place, severity: .warning)
        let name = required("eventName", of: entry, place: place)
        let type = hookType(entry, place: place)
        let display = optional("displayEventName", of: entry, place: place)
        let description = optional("description", of: entry, place: place)
        guard let name, let type else { return nil }
        guard let eventName = eventName(name, place: place) else { return nil }
        if eventName != "kustomer.app", !eventName.hasPrefix("kustomer.app.") {
            report(
                .warning, at: name.offset, "\(place).eventName",
                "'\(eventName)' does not begin with kustomer.app: its events are delivered, but not routed to workflows")
        }
        return HookDeclaration(
            eventName: eventName, displayEventName: display, description: description, type: type,
            position: position(of: name.offset))
    }

    /// The name in full: names of an app's parts begin with `kustomer.app.APP`, and where that is missing it is put
    /// before them. nil where it can be no name.
    mutating func eventName(_ name: (text: String, offset: Int), place: String) -> String? {
        let full = Self.fullName(name.text, app: app)
        guard Self.isEventName(full) else {
            report(
                .error, at: name.offset, "\(place).eventName",
                "must be words of letters, digits, '_' and '-' joined by dots, at most 255 characters")
            return nil
        }
        if full != name.text {
            report(.note, at: name.offset, "\(place).eventName", "'\(name.text)' is called \(full) here")
        }
        return full
    }

    static func fullName(_ name: String, app: String) -> String {
        let prefix = "kustomer.app."
        if name.hasPrefix("kustomer.") || name == "kustomer" { return name }
        return name.hasPrefix(app + ".") ? prefix + name : "\(prefix)\(app).\(name)"
    }

    private mutating func hookType(_ entry: JSONValue, place: String) -> HookType? {
        guard let word = required("type", of: entry, place: place) else { return nil }
        if let type = HookType(rawValue: word.text) { return type }
        let known = HookType.allCases.map(\.rawValue)
        report(
            .error, at: word.offset, "\(place).type", "must be \(known.joined(separator: ", ")), not '\(word.text)'",
            hint: suggestion(for: word.text, among: known))
        return nil
    }

    mutating func required(
        _ key: String, of object: JSONValue, place: String
    ) -> (text: String, offset: Int)? {
        guard let value = object[key] else {
            report(.error, at: object.range.lowerBound, place, "needs '\(key)'")
            return nil
        }
        let path = place.isEmpty ? key : "\(place).\(key)"
        guard let text = value.string, !text.isEmpty else {
            report(.error, at: value.range.lowerBound, path, "must be a non-empty text")
            return nil
        }
        return (text, value.range.lowerBound)
    }

    mutating func optional(_ key: String, of object: JSONValue, place: String) -> String? {
        guard let value = object[key], !value.isNull else { return nil }
        if let text = value.string { return text }
        report(.error, at: value.range.lowerBound, "\(place).\(key)", "must be a text")
        return nil
    }

    /// Unknown and repeated keys: of a repeated one nobody can tell which was meant.
    mutating func checkKeys(
        of object: JSONValue, known: Set<String>, place: String, severity: Diagnostic.Severity
    ) {
        var seen: Set<String> = []
        for member in object.members {
            if !seen.insert(member.name).inserted {
                report(.error, at: member.nameRange.lowerBound, place, "the key '\(member.name)' stands here twice")
            } else if !known.contains(member.name) {
                report(
                    severity, at: member.nameRange.lowerBound, place, "unknown key '\(member.name)'",
                    hint: suggestion(for: member.name, among: known))
            }
        }
    }

    func position(of offset: Int) -> Diagnostic.Position {
        let (line, column) = JSONError(.unexpectedCharacter, at: offset).position(in: bytes)
        return .init(line: line, column: column)
    }

    mutating func report(
        _ severity: Diagnostic.Severity, at offset: Int, _ place: String, _ reason: String, hint: String? = nil
    ) {
        diagnostics.add(
            Diagnostic(severity, file: file, position: position(of: offset), place: place, reason: reason, hint: hint))
    }

    /// No spaces, no dashes; dots and underscores occur in registered names.
    private static func isAppName(_ text: String) -> Bool {
        // Also part of names of events and of files.
        !text.hasPrefix(".") && !text.hasSuffix(".") && !text.contains("..") && text.utf8.count <= 128
            && text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_" || $0 == ".") }
    }

    /// What can be a NATS subject and a CloudEvents type without any escaping.
    static func isEventName(_ text: String) -> Bool {
        text.utf8.count <= 255
            && text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { segment in
                !segment.isEmpty && segment.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_" || $0 == "-") }
            }
    }
}
