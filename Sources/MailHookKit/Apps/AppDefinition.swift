// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// An app definition as far as hooks go: identity and `hooks[]`. Other documented keys load
// without effect, so that a definition written for the hosted product works unchanged.

public import HookModel
import JSONLD

/// A JSON file that declares inbound hooks.
public struct AppDefinition: Sendable, Hashable {
    public var app: String
    /// A semantic version, as written.
    public var version: String
    public var title: String
    public var hooks: [HookDeclaration]
    /// Where it was read from.
    public var file: String
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
            report(.error, at: app.offset, "app", "must be a word of letters, digits, '_' and '.', without '-' or spaces")
        }
        let version = required("version", of: root, place: "")
        if let version, !SemanticVersion.isValid(version.text) {
            report(.error, at: version.offset, "version", "must be a semantic version such as 1.0.0")
        }
        let title = required("title", of: root, place: "")
        let hooks = readHooks(root)
        guard let app, let version, let title, !diagnostics.hasErrors else { return nil }
        return AppDefinition(app: app.text, version: version.text, title: title.text, hooks: hooks, file: file)
    }

    private mutating func readHooks(_ root: JSONValue) -> [HookDeclaration] {
        guard let list = root["hooks"] else {
            report(.warning, at: root.range.lowerBound, "", "declares no hooks")
            return []
        }
        guard list.kind == .array else {
            report(.error, at: list.range.lowerBound, "hooks", "must be a list")
            return []
        }
        var names: Set<String> = []
        return list.elements.enumerated().compactMap { index, entry in
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
        guard Self.isEventName(name.text) else {
            report(
                .error, at: name.offset, "\(place).eventName",
                "must be words of letters, digits, '_' and '-' joined by dots, at most 255 characters")
            return nil
        }
        if name.text != "kustomer.app", !name.text.hasPrefix("kustomer.app.") {
            report(
                .warning, at: name.offset, "\(place).eventName",
                "'\(name.text)' does not begin with kustomer.app: its events are delivered, but not routed to workflows")
        }
        return HookDeclaration(
            eventName: name.text, displayEventName: display, description: description, type: type,
            position: position(of: name.offset))
    }

    private mutating func hookType(_ entry: JSONValue, place: String) -> HookType? {
        guard let word = required("type", of: entry, place: place) else { return nil }
        if let type = HookType(rawValue: word.text) { return type }
        let known = HookType.allCases.map(\.rawValue)
        report(
            .error, at: word.offset, "\(place).type", "must be \(known.joined(separator: ", ")), not '\(word.text)'",
            hint: nearest(to: word.text, among: known).map { "did you mean '\($0)'?" })
        return nil
    }

    private mutating func required(
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

    private mutating func optional(_ key: String, of object: JSONValue, place: String) -> String? {
        guard let value = object[key], !value.isNull else { return nil }
        if let text = value.string { return text }
        report(.error, at: value.range.lowerBound, "\(place).\(key)", "must be a text")
        return nil
    }

    /// Unknown and repeated keys: of a repeated one nobody can tell which was meant.
    private mutating func checkKeys(
        of object: JSONValue, known: Set<String>, place: String, severity: Diagnostic.Severity
    ) {
        var seen: Set<String> = []
        for member in object.members {
            if !seen.insert(member.name).inserted {
                report(.error, at: member.nameRange.lowerBound, place, "the key '\(member.name)' stands here twice")
            } else if !known.contains(member.name) {
                report(
                    severity, at: member.nameRange.lowerBound, place, "unknown key '\(member.name)'",
                    hint: nearest(to: member.name, among: known.sorted()).map { "did you mean '\($0)'?" })
            }
        }
    }

    private func position(of offset: Int) -> Diagnostic.Position {
        let (line, column) = JSONError(.unexpectedCharacter, at: offset).position(in: bytes)
        return .init(line: line, column: column)
    }

    private mutating func report(
        _ severity: Diagnostic.Severity, at offset: Int, _ place: String, _ reason: String, hint: String? = nil
    ) {
        diagnostics.add(
            Diagnostic(severity, file: file, position: position(of: offset), place: place, reason: reason, hint: hint))
    }

    /// No spaces, no dashes; dots and underscores occur in registered names.
    private static func isAppName(_ text: String) -> Bool {
        text.utf8.count <= 128 && text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_" || $0 == ".") }
    }

    /// What can be a NATS subject and a CloudEvents type without any escaping.
    private static func isEventName(_ text: String) -> Bool {
        text.utf8.count <= 255
            && text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { segment in
                !segment.isEmpty && segment.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_" || $0 == "-") }
            }
    }
}

/// Semantic Versioning 2.0.0, as far as to tell one.
enum SemanticVersion {
    static func isValid(_ text: String) -> Bool {
        let build = text.split(separator: "+", maxSplits: 1, omittingEmptySubsequences: false)
        let core = build[0].split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        let numbers = core[0].split(separator: ".", omittingEmptySubsequences: false)
        return numbers.count == 3 && numbers.allSatisfy(isNumber)
            && (core.count == 1 || identifiers(core[1]).allSatisfy { isIdentifier($0) && (!isDigits($0) || isNumber($0)) })
            && (build.count == 1 || identifiers(build[1]).allSatisfy(isIdentifier))
    }

    private static func identifiers(_ text: Substring) -> [Substring] {
        text.split(separator: ".", omittingEmptySubsequences: false)
    }

    private static func isDigits(_ text: Substring) -> Bool { text.utf8.allSatisfy { (48...57).contains($0) } }

    /// Without leading zeros.
    private static func isNumber(_ text: Substring) -> Bool {
        !text.isEmpty && isDigits(text) && (text.count == 1 || text.first != "0")
    }

    private static func isIdentifier(_ text: Substring) -> Bool {
        !text.isEmpty && text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") }
    }
}
