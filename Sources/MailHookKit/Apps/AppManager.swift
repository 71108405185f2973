// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// `mailhookd apps`: installs, upgrades, disables and removes app definitions under the rules of
// the format: versions rise and never change. The folder of definitions says what is in effect.

public import HookModel
import JSONLD

/// Why a change was refused. Nothing was changed.
public struct AppError: Error, Sendable, CustomStringConvertible {
    public var description: String
    /// What is wrong with the definition, where that is the reason.
    public var diagnostics: [Diagnostic] = []
    public var exitStatus: Int32
}

/// What a command did or would do.
public struct AppChange: Sendable {
    /// Lines for people.
    public var report: [String]
    /// False where everything was so already.
    public var isChanged: Bool
    /// Whether it was the last app that was taken away.
    public var leavesNoApp = false
}

public struct AppManager: Sendable {
    private let request: SetupRequest
    private let setup: Setup

    /// - Parameter setup: loaded with `request`.
    public init(_ request: SetupRequest, setup: Setup) {
        self.request = request
        self.setup = setup
    }

    private var registry: AppRegistry { AppRegistry(dataFolder: setup.configuration.data) }

    // MARK: - Definitions

    /// Puts a definition of an app that is not there yet into the folder.
    public func install(_ bytes: [UInt8], file: String, isTrial: Bool, now: Timestamp) throws(AppError) -> AppChange {
        let candidate = try read(bytes, file: file)
        if let current = current(candidate.app) {
            guard AppRegistry.digest(of: current) == AppRegistry.digest(of: candidate) else {
                throw refusal("\(current.app) is installed in version \(current.version); `mailhookd apps upgrade` changes it")
            }
            return AppChange(report: ["\(current.app) \(current.version) is installed already"], isChanged: false)
        }
        try checkVersion(candidate)
        guard Files.isFolder(setup.configuration.apps) else {
            throw refusal("\(setup.configuration.apps) is no folder; name one with `apps:` to install several apps")
        }
        return try put(candidate, bytes, at: "\(setup.configuration.apps)/\(candidate.app).json", isTrial: isTrial, now)
    }

    /// Puts a newer definition into the place of the one there is.
    public func upgrade(_ bytes: [UInt8], file: String, isTrial: Bool, now: Timestamp) throws(AppError) -> AppChange {
        let candidate = try read(bytes, file: file)
        guard let current = current(candidate.app) else {
            throw refusal("\(candidate.app) is not installed; `mailhookd apps install` does that")
        }
        if AppRegistry.digest(of: current) == AppRegistry.digest(of: candidate) {
            return AppChange(report: ["\(current.app) \(current.version) is installed already"], isChanged: false)
        }
        try checkVersion(candidate)
        guard candidate.version > current.version else {
            let same = candidate.version.isSamePrecedence(as: current.version)
            throw refusal(
                same
                    ? "\(candidate.app) \(current.version) is installed with other content; a version never changes, raise it"
                    : "\(candidate.app) is at \(current.version), which is newer than \(candidate.version)")
        }
        if candidate.roles != current.roles, candidate.version.major == current.version.major {
            throw refusal("the roles have changed: that needs a new major version")
        }
        return try put(candidate, bytes, at: current.file, isTrial: isTrial, now)
    }

    /// Takes the definition away. What is remembered of the app stays: it can come back with the same addresses.
    public func uninstall(_ app: String, now: Timestamp) throws(AppError) -> AppChange {
        let current = try existing(app)
        guard Files.isFolder(setup.configuration.apps) else {
            throw refusal("\(setup.configuration.apps) is no folder but the only definition there is")
        }
        do throws(FileError) {
            try registry.remember([current], now: now)
            try Files.remove(current.file)
        } catch {
            throw AppError(description: error.description, exitStatus: SysExit.noPermission)
        }
        let hooks = current.hooks.map { "- \($0.eventName): its address is unknown from now on" }
        // As it is now: two that take the last two away at the same time both read that there were two.
        let isLast = (try? Setup.load(request).get())?.definitions.isEmpty ?? (setup.definitions.count == 1)
        return AppChange(report: ["removed \(app) \(current.version)"] + hooks, isChanged: true, leavesNoApp: isLast)
    }

    // MARK: - States

    public func setState(_ state: AppRecord.State, of app: String) throws(AppError) -> AppChange {
        _ = try existing(app)
        let before = setup.records.first { $0.app == app }?.state ?? .enabled
        guard before != state else {
            return AppChange(report: ["\(app) is \(state.rawValue) already"], isChanged: false)
        }
        do throws(FileError) {
            try registry.setState(state, of: app)
        } catch {
            throw AppError(description: error.description, exitStatus: SysExit.noPermission)
        }
        return AppChange(report: ["\(app) is \(state.rawValue)"], isChanged: true)
    }

    // MARK: - Steps

    private func current(_ app: String) -> AppDefinition? { setup.definitions.first { $0.app == app } }

    private func existing(_ app: String) throws(AppError) -> AppDefinition {
        if let current = current(app) { return current }
        let hint = suggestion(for: app, among: setup.definitions.map(\.app)).map { "; \($0)" } ?? ""
        throw AppError(description: "no app '\(app)'\(hint)", exitStatus: 1)
    }

    private func refusal(_ text: String) -> AppError { AppError(description: text, exitStatus: SysExit.dataError) }

    private func read(_ bytes: [UInt8], file: String) throws(AppError) -> AppDefinition {
        var reader = AppDefinitionReader(file: file, bytes: bytes)
        guard let definition = reader.read() else {
            throw AppError(
                description: "\(file) is no app definition that can be used", diagnostics: reader.diagnostics.all,
                exitStatus: SysExit.dataError)
        }
        return definition
    }

    /// Against every version there ever was. The newest one may come again as it was: after a removal, or where an
    /// upgrade broke off half-way.
    private func checkVersion(_ candidate: AppDefinition) throws(AppError) {
        guard let record = setup.records.first(where: { $0.app == candidate.app }), let newest = record.newest else { return }
        if let known = record.version(candidate.version) {
            guard known.digest == AppRegistry.digest(of: candidate) else {
                throw refusal(
                    "\(candidate.app) \(candidate.version) was installed with other content; a version never changes, raise it")
            }
            if known.version.isSamePrecedence(as: newest.version) { return }
        }
        guard candidate.version > newest.version else {
            throw refusal("\(candidate.app) was at \(newest.version), which is newer than \(candidate.version)")
        }
    }

    /// Everything is loaded with the candidate in its place before anything is written.
    private func put(
        _ candidate: AppDefinition, _ bytes: [UInt8], at path: String, isTrial: Bool, _ now: Timestamp
    ) throws(AppError) -> AppChange {
        var request = request
        request.candidate = (path, bytes)
        let next: Setup
        switch Setup.load(request) {
        case .success(let setup): next = setup
        case .failure(let failure):
            throw AppError(
                description: "\(candidate.app) \(candidate.version) cannot stand beside what is here",
                diagnostics: failure.diagnostics, exitStatus: SysExit.dataError)
        }
        let before = current(candidate.app)
        let report =
            [(before.map { "\(candidate.app) \($0.version) -> \(candidate.version)" } ?? "\(candidate.app) \(candidate.version)")]
            + changes(from: before, to: candidate) + next.warnings.filter { $0.file == path }.map(\.description)
        guard !isTrial else { return AppChange(report: report, isChanged: false) }
        do throws(FileError) {
            try registry.remember([before, candidate].compactMap { $0 }, now: now)
            try Files.replace(path, bytes, mode: 0o644)
        } catch {
            throw AppError(description: error.description, exitStatus: SysExit.noPermission)
        }
        return AppChange(report: report, isChanged: true)
    }

    private func changes(from before: AppDefinition?, to after: AppDefinition) -> [String] {
        var lines: [String] = []
        let old = before?.hooks ?? []
        for hook in after.hooks {
            switch old.first(where: { $0.eventName == hook.eventName }) {
            case nil: lines.append("+ \(hook.eventName) (\(hook.type.rawValue))")
            case let known? where known.type != hook.type:
                lines.append("! \(hook.eventName) is of type \(hook.type.rawValue), and was \(known.type.rawValue)")
            case _?: lines.append("= \(hook.eventName) keeps its address")
            }
        }
        for hook in old where !after.hooks.contains(where: { $0.eventName == hook.eventName }) {
            lines.append("- \(hook.eventName): its address is unknown from now on")
        }
        return lines
    }
}

extension AppManager {
    /// Octets of a definition.
    public static let definitionLimit = AppDefinitionReader.sizeLimit

    /// A reload that nobody said more of does not take the last app away.
    private static func hint(_ change: AppChange) -> String {
        change.leavesNoApp ? "restart it (systemctl restart mailhookd)" : "have it reload (systemctl reload mailhookd, or SIGHUP)"
    }

    /// Has a running daemon take a change over that is in the files.
    ///
    /// - Parameter setup: what it was before the change.
    /// - Returns: a line for people; nil where no daemon runs.
    /// - Throws: where the daemon did not say that it has.
    public static func announce(_ change: AppChange, _ setup: Setup) throws(SetupError) -> String? {
        switch RunningDaemon.reload(dataFolder: setup.configuration.data, withoutApps: change.leavesNoApp) {
        case .noDaemon: return nil
        case .done: return "the running daemon has taken it over"
        case .refused(let reasons):
            throw SetupError(
                "the files are changed, but the running daemon has not taken it over, because its reload was refused:\n"
                    + reasons.split(separator: "\n").map { "  \($0)\n" }.joined() + "  Mend that, then \(hint(change)).",
                exitStatus: SysExit.unavailable)
        case .unknown:
            throw SetupError(
                """
                the files are changed, but the running daemon does not say that it has taken it over
                  It may still do so. When it answers again, \(hint(change)); its log tells what came of it.
                """, exitStatus: SysExit.temporaryFailure)
        case .busy:
            throw SetupError(
                "the files are changed, but the running daemon has too many control connections and has not taken it over: "
                    + hint(change), exitStatus: SysExit.temporaryFailure)
        case .notPermitted:
            throw SetupError(
                "the files are changed, but the running daemon belongs to another user: \(hint(change))",
                exitStatus: SysExit.noPermission)
        }
    }
}
