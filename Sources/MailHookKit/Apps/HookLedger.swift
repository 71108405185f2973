// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What the management interface changed: hooks that were made there, and what is different about
// others. A small file of the data folder, read with the configuration, so that everything that
// holds is known before the daemon takes anything.

import Glibc
public import HookModel
import JSONLD

/// What is noted of one hook.
public struct HookNote: Sendable, Hashable {
    /// Of a hook that was made here: what an app definition says of others.
    public struct Origin: Sendable, Hashable {
        public var id: String
        public var type: HookType
        public var createdAt: Timestamp
        public var outputTemplate: [UInt8]?
        public var outputSchema: [UInt8]?
    }

    public var eventName: String
    /// nil for hooks of app definitions.
    public var origin: Origin?
    /// Each nil where nothing was changed.
    public var title: String?
    public var description: String?
    public var state: HookState?
    public var generation: Int?
    public var previousUntil: Timestamp?
    /// Between these times somebody wants to see what comes.
    public var debugSince: Timestamp?
    public var debugUntil: Timestamp?
    public var modifiedAt: Timestamp

    init(eventName: String, origin: Origin? = nil, modifiedAt: Timestamp) {
        self.eventName = eventName
        self.origin = origin
        self.modifiedAt = modifiedAt
    }
}

public struct HookLedger: Sendable {
    private let path: String
    private let folder: String
    private static let sizeLimit = 64 << 20
    /// The app of hooks that were made here.
    static let app = "api"

    public init(dataFolder: String) {
        folder = dataFolder
        path = dataFolder + "/hooks.json"
    }

    /// In the order in which they were first noted.
    func notes() throws(FileError) -> [HookNote] {
        guard let bytes = try Files.read(path, limit: Self.sizeLimit, orNil: ENOENT) else { return [] }
        guard let root = try? JSONDocument(bytes).root, let entries = root["hooks"], entries.kind == .array else {
            throw FileError(path: path, reason: "is no list of hooks; restore it from a backup")
        }
        var notes: [HookNote] = []
        for entry in entries.elements {
            guard let note = Self.note(entry) else {
                throw FileError(path: path, reason: "holds an entry that cannot be read; restore it from a backup")
            }
            notes.append(note)
        }
        return notes
    }

    /// One change at a time, also among processes. Nothing is written where `change` throws.
    func change<Failure: Error>(
        _ change: (inout [HookNote]) throws(Failure) -> Void
    ) throws(FileError) -> Swift.Result<Void, Failure> {
        try Files.makeFolder(folder, mode: 0o700)
        return try Files.locked(path + ".lock") { () throws(FileError) in
            var notes = try notes()
            do throws(Failure) {
                try change(&notes)
            } catch {
                return .failure(error)
            }
            try Files.replace(path, Self.text(of: notes), mode: 0o600)
            return .success(())
        }
    }

    // MARK: - The file

    private static func note(_ entry: JSONValue) -> HookNote? {
        func moment(_ name: String) -> Timestamp? { entry[name]?.string.flatMap(Timestamp.init(rfc3339:)) }
        guard let eventName = entry["eventName"]?.string, let modifiedAt = moment("modifiedAt") else { return nil }
        var note = HookNote(eventName: eventName, modifiedAt: modifiedAt)
        if let id = entry["id"]?.string {
            guard let type = entry["type"]?.string.flatMap(HookType.init(rawValue:)), let createdAt = moment("createdAt") else {
                return nil
            }
            note.origin = HookNote.Origin(
                id: id, type: type, createdAt: createdAt, outputTemplate: entry["outputTemplate"].map { Array($0.text) },
                outputSchema: entry["outputSchema"].map { Array($0.text) })
        }
        if let word = entry["state"]?.string {
            // A state of a newer version must not open a hook.
            guard let state = HookState(rawValue: word) else { return nil }
            note.state = state
        }
        note.title = entry["title"]?.string
        note.description = entry["description"]?.string
        note.generation = entry["generation"]?.integerValue
        note.previousUntil = moment("previousUntil")
        note.debugUntil = moment("debugUntil")
        note.debugSince = moment("debugSince") ?? note.modifiedAt
        return note
    }

    private static func text(of notes: [HookNote]) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.name("hooks")
        writer.beginArray()
        for note in notes { write(note, to: &writer) }
        writer.endArray()
        writer.endObject()
        return writer.bytes + [UInt8(ascii: "\n")]
    }

    private static func write(_ note: HookNote, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("eventName", note.eventName)
        if let origin = note.origin {
            writer.member("id", origin.id)
            writer.member("type", origin.type.rawValue)
            writer.member("createdAt", origin.createdAt.rfc3339)
            for (name, json) in [("outputTemplate", origin.outputTemplate), ("outputSchema", origin.outputSchema)] {
                guard let json else { continue }
                writer.name(name)
                writer.raw(json)
            }
        }
        writer.member("title", note.title)
        writer.member("description", note.description)
        writer.member("state", note.state?.rawValue)
        if let generation = note.generation {
            writer.name("generation")
            writer.integer(generation)
        }
        writer.member("previousUntil", note.previousUntil?.rfc3339)
        writer.member("debugSince", note.debugUntil == nil ? nil : note.debugSince?.rfc3339)
        writer.member("debugUntil", note.debugUntil?.rfc3339)
        writer.member("modifiedAt", note.modifiedAt.rfc3339)
        writer.endObject()
    }
}

extension Setup {
    /// What the management interface noted. A file that cannot be read is an error: without it, disabled hooks would
    /// be open and new addresses unknown.
    static func readNotes(_ configuration: Configuration, into diagnostics: inout Diagnostics) -> [HookNote] {
        do throws(FileError) {
            return try HookLedger(dataFolder: configuration.data).notes()
        } catch {
            diagnostics.add(Diagnostic(.error, file: error.path, reason: error.reason))
            return []
        }
    }

    /// Every hook as declared, with its app: those of definitions, then those made in the management interface whose
    /// names no definition has.
    var declarations: [(app: String, hook: HookDeclaration, trigger: HookTrigger?)] {
        var all = definitions.flatMap { definition in
            definition.hooks.map { (definition.app, $0, definition.trigger(of: $0.eventName)) }
        }
        let names = Set(all.map(\.1.eventName))
        for note in notes where !names.contains(note.eventName) {
            guard let origin = note.origin else { continue }
            let trigger = origin.outputTemplate.map {
                HookTrigger(outputTemplate: $0, outputSchema: origin.outputSchema)
            }
            let hook = HookDeclaration(
                eventName: note.eventName, displayEventName: note.title, description: note.description, type: origin.type)
            all.append((HookLedger.app, hook, trigger))
        }
        return all
    }

    func note(of eventName: String) -> HookNote? { notes.first { $0.eventName == eventName } }

    /// What the configuration says about a hook, and what was changed since. Of two states the stricter one holds, of
    /// two generations the newer.
    func settings(of app: String, _ eventName: String) -> Configuration.HookSettings {
        var settings = configuration.hooks[eventName] ?? configuration.hooks["*"] ?? Configuration.HookSettings()
        var states = [settings.policy.state]
        if records.contains(where: { $0.app == app && $0.state == .disabled }) { states.append(.disabled) }
        if let note = note(of: eventName) {
            if let state = note.state { states.append(state) }
            if let generation = note.generation, generation > settings.generation {
                settings.generation = generation
                settings.previousUntil = note.previousUntil
            }
        }
        settings.policy.state = states.contains(.disabled) ? .disabled : states.contains(.paused) ? .paused : .active
        return settings
    }
}
