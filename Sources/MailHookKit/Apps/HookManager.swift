// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Changes to hooks that are asked for over the management interface: noted on disk, taken over by
// the running daemon, and only then answered; where the daemon can't take one over, it is undone.

import Crypto
import HookExtraction
import HookModel
import HookWeb
import JSONLD
import Synchronization

/// Has the daemon read everything again; set when it runs.
final class ReloadLink: Sendable {
    /// Not as the mutex's own value: each access would wrap it anew.
    private struct Reload: Sendable {
        let call: @Sendable (_ withoutApps: Bool) async -> Reloader.Answer
    }

    private let reload = Mutex<Reload?>(nil)

    func connect(_ reload: @escaping @Sendable (_ withoutApps: Bool) async -> Reloader.Answer) {
        self.reload.withLock { $0 = Reload(call: reload) }
    }

    /// - Parameter withoutApps: whether it is meant that no app is left.
    func callAsFunction(withoutApps: Bool = false) async -> Reloader.Answer {
        guard let reload = reload.withLock({ $0 }) else {
            return .failure(SetupFailure(diagnostics: [Diagnostic(.error, file: "daemon", reason: "does not run yet")]))
        }
        return await reload.call(withoutApps)
    }
}

struct HookManager: Sendable {
    let current: CurrentSnapshot
    let reload: ReloadLink

    /// Hooks that can be made here. Each is part of every snapshot.
    private static let hookLimit = 1000
    /// For how long a hook is watched, as in the model.
    private static let debugTime = Duration.seconds(86_400)

    private var ledger: HookLedger { HookLedger(dataFolder: current.value.configuration.data) }

    // MARK: - Changes

    func create(_ draft: HookDraft, now: Timestamp) async throws(ManagementError) -> ManagedHook {
        if let schema = draft.outputSchema, let problem = Self.problem(ofSchema: schema) {
            throw .conflict(code: "schema_unusable", problem)
        }
        if draft.outputSchema != nil, draft.outputTemplate == nil {
            throw .conflict(code: "template_missing", "An outputSchema needs an outputTemplate whose output it describes")
        }
        let id = Self.makeID()
        let eventName = Self.eventName(draft, id: id)
        let taken = current.value.directory.hooks.contains { $0.hook.eventName == eventName }
        try await perform(eventName) { (notes: inout [HookNote]) throws(ManagementError) in
            guard !taken, !notes.contains(where: { $0.eventName == eventName }) else {
                throw .conflict(code: "event_name_taken", "There is a hook of this event name")
            }
            guard notes.count(where: { $0.origin != nil }) < Self.hookLimit else {
                throw .conflict(code: "too_many_hooks", "No more than \(Self.hookLimit) hooks can be made here")
            }
            let origin = HookNote.Origin(
                id: id, type: draft.type, createdAt: now, outputTemplate: draft.outputTemplate.map { JSONDocument.onOneLine($0[...]) },
                outputSchema: draft.outputSchema.map { JSONDocument.onOneLine($0[...]) })
            var note = HookNote(eventName: eventName, origin: origin, modifiedAt: now)
            note.title = draft.title
            note.description = draft.description
            notes.append(note)
        }
        return try shown(eventName)
    }

    func change(_ eventName: String, _ change: HookChange, now: Timestamp) async throws(ManagementError) -> ManagedHook {
        let snapshot = current.value
        guard let app = snapshot.managed.first(where: { $0.addressed.hook.eventName == eventName })?.addressed.hook.app else {
            throw .notFound
        }
        let generation = snapshot.setup.settings(of: app, eventName).generation
        try await perform(eventName) { (notes: inout [HookNote]) throws(ManagementError) in
            let index = notes.firstIndex { $0.eventName == eventName } ?? notes.endIndex
            if index == notes.endIndex { notes.append(HookNote(eventName: eventName, modifiedAt: now)) }
            var note = notes[index]
            note.modifiedAt = now
            note.title = change.title ?? note.title
            note.description = change.description ?? note.description
            note.state = change.state ?? note.state
            if let isWatched = change.isWatched { Self.watch(isWatched, &note, now) }
            if let overlap = change.rotation {
                note.generation = max(note.generation ?? 1, generation) + 1
                note.previousUntil = overlap > .zero ? now.advanced(by: overlap) : nil
            }
            notes[index] = note
        }
        return try shown(eventName)
    }

    /// Asking again goes on with what is watched already.
    private static func watch(_ isWatched: Bool, _ note: inout HookNote, _ now: Timestamp) {
        let isGoingOn = note.debugUntil.map { now < $0 } ?? false
        note.debugSince = isWatched ? (isGoingOn ? note.debugSince : nil) ?? now : nil
        note.debugUntil = isWatched ? now.advanced(by: debugTime) : nil
    }

    func remove(_ eventName: String) async throws(ManagementError) {
        try await perform(eventName) { (notes: inout [HookNote]) throws(ManagementError) in
            guard let index = notes.firstIndex(where: { $0.eventName == eventName }), notes[index].origin != nil else {
                throw .conflict(code: "hook_of_app", "The hook belongs to an app; it can be disabled, or its app removed")
            }
            notes.remove(at: index)
        }
    }

    // MARK: - Steps

    private func shown(_ eventName: String) throws(ManagementError) -> ManagedHook {
        guard let hook = current.value.managed.first(where: { $0.addressed.hook.eventName == eventName }) else {
            throw .notFound
        }
        return hook
    }

    private func perform(
        _ eventName: String, _ change: (inout [HookNote]) throws(ManagementError) -> Void
    ) async throws(ManagementError) {
        var before: HookNote?
        let result: Result<Void, ManagementError>
        do throws(FileError) {
            result = try ledger.change { (notes: inout [HookNote]) throws(ManagementError) in
                before = notes.first { $0.eventName == eventName }
                try change(&notes)
            }
        } catch {
            throw .unavailable(error.description)
        }
        try result.get()
        guard case .failure(let failure) = await reload() else { return }
        // Somebody's file is not as it has to be. What can't be in effect must not lie there until the next start.
        let undo: Result<Void, ManagementError>? = try? ledger.change { (notes: inout [HookNote]) throws(ManagementError) in
            notes.removeAll { $0.eventName == eventName }
            if let before { notes.append(before) }
        }
        let reason = failure.diagnostics.first { $0.severity == .error }?.description ?? "reload refused"
        throw .unavailable(undo == nil ? "\(reason); the change stays noted" : reason)
    }

    /// The names the model gives, or the sender's with the prefix that all names of apps have.
    private static func eventName(_ draft: HookDraft, id: String) -> String {
        guard let name = draft.eventName else { return "kustomer.hooks.\(draft.type.rawValue).\(id).receive" }
        return AppDefinitionReader.fullName(name, app: HookLedger.app)
    }

    /// 24 hexadecimal digits.
    private static func makeID() -> String {
        SymmetricKey(size: SymmetricKeySize(bitCount: 96)).withUnsafeBytes { octets in
            octets.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        }
    }

    private static func problem(ofSchema schema: [UInt8]) -> String? {
        do {
            _ = try TriggerShaper.compile(schema)
            return nil
        } catch {
            return "outputSchema is no JSON Schema that can be used: \(error)"
        }
    }
}
