// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What the data folder remembers of apps: every version that was ever in effect, with its text,
// and whether the app is enabled. Which apps there are, the folder of definitions says.

import Crypto
import Glibc
public import HookModel
import JSONLD
import Logging

/// What is remembered of one app.
public struct AppRecord: Sendable, Hashable {
    public enum State: String, Sendable, Hashable, CaseIterable {
        case enabled
        case disabled
    }

    /// A version that was in effect.
    public struct Version: Sendable, Hashable {
        public var version: SemanticVersion
        public var installedAt: Timestamp
        /// Of the definition's canonical text.
        var digest: String
    }

    public var app: String
    public var state: State
    /// In the order they came.
    public var versions: [Version]

    /// The greatest there ever was.
    public var newest: Version? { versions.max { $0.version < $1.version } }

    func version(_ version: SemanticVersion) -> Version? {
        versions.first { $0.version.isSamePrecedence(as: version) }
    }
}

public struct AppRegistry: Sendable {
    private let folder: String
    private var path: String { folder + "/registry.json" }
    private static let sizeLimit = 16 << 20

    public init(dataFolder: String) { folder = dataFolder + "/apps" }

    /// All records, in the order of their apps' names. A folder without any has none.
    public func records() throws(FileError) -> [AppRecord] {
        guard let bytes = try Files.read(path, limit: Self.sizeLimit, orNil: ENOENT) else { return [] }
        guard let root = try? JSONDocument(bytes).root, let apps = root["apps"], apps.kind == .array else {
            throw FileError(path: path, reason: "is no registry of apps; restore it from a backup")
        }
        var records: [AppRecord] = []
        for entry in apps.elements {
            guard let record = Self.record(entry) else {
                throw FileError(path: path, reason: "holds an entry that cannot be read; restore it from a backup")
            }
            records.append(record)
        }
        return records
    }

    /// Remembers versions that are not known yet, with the text of their definitions.
    public func remember(_ definitions: [AppDefinition], now: Timestamp) throws(FileError) {
        let known = try records()
        let isNew = definitions.contains { definition in
            known.first { $0.app == definition.app }?.version(definition.version) == nil
        }
        guard isNew else { return }
        try change { records throws(FileError) in
            for definition in definitions {
                let index = Self.index(of: definition.app, in: &records)
                guard records[index].version(definition.version) == nil else { continue }
                // The text first: a version that is remembered can be looked at.
                try Files.create(copyPath(definition), definition.canonicalText, mode: 0o600)
                records[index].versions.append(
                    .init(version: definition.version, installedAt: now, digest: Self.digest(of: definition)))
            }
        }
    }

    func setState(_ state: AppRecord.State, of app: String) throws(FileError) {
        try change { records throws(FileError) in
            records[Self.index(of: app, in: &records)].state = state
        }
    }

    /// The text of a version, without regard to white space and order.
    static func digest(of definition: AppDefinition) -> String {
        Base32.lowerCase(SHA256.hash(data: definition.canonicalText))
    }

    // MARK: - The file

    private func copyPath(_ definition: AppDefinition) -> String {
        // An app's name holds no dash and no slash, and a version no slash.
        "\(folder)/\(definition.app)-\(definition.version).json"
    }

    private func change(_ change: (inout [AppRecord]) throws(FileError) -> Void) throws(FileError) {
        try Files.makeFolder(folder, mode: 0o700)
        try Files.locked(path + ".lock") { () throws(FileError) in
            var records = try records()
            try change(&records)
            try Files.replace(path, Self.text(of: records), mode: 0o600)
        }
    }

    private static func index(of app: String, in records: inout [AppRecord]) -> Int {
        if let index = records.firstIndex(where: { $0.app == app }) { return index }
        let index = records.firstIndex { $0.app > app } ?? records.endIndex
        records.insert(AppRecord(app: app, state: .enabled, versions: []), at: index)
        return index
    }

    private static func record(_ entry: JSONValue) -> AppRecord? {
        guard let app = entry["app"]?.string, let state = entry["state"]?.string.flatMap(AppRecord.State.init(rawValue:)),
            let list = entry["versions"]
        else { return nil }
        let versions = list.elements.compactMap { entry -> AppRecord.Version? in
            guard let version = entry["version"]?.string.flatMap({ SemanticVersion($0) }),
                let digest = entry["digest"]?.string,
                let installedAt = entry["installedAt"]?.string.flatMap(Timestamp.init(rfc3339:))
            else { return nil }
            return .init(version: version, installedAt: installedAt, digest: digest)
        }
        guard versions.count == list.elements.count else { return nil }
        return AppRecord(app: app, state: state, versions: versions)
    }

    private static func text(of records: [AppRecord]) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.name("apps")
        writer.beginArray()
        for record in records {
            writer.beginObject()
            writer.member("app", record.app)
            writer.member("state", record.state.rawValue)
            writer.name("versions")
            writer.beginArray()
            for version in record.versions {
                writer.beginObject()
                writer.member("version", version.version.description)
                writer.member("installedAt", version.installedAt.rfc3339)
                writer.member("digest", version.digest)
                writer.endObject()
            }
            writer.endArray()
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        return writer.bytes + [UInt8(ascii: "\n")]
    }
}

extension Setup {
    /// Compares definitions with what is remembered of them. Whoever changes a file by hand may do so: the daemon
    /// starts, but says what the rules are.
    static func checkVersions(
        _ configuration: Configuration, _ definitions: [AppDefinition], into diagnostics: inout Diagnostics
    ) -> [AppRecord] {
        let records: [AppRecord]
        do throws(FileError) {
            records = try AppRegistry(dataFolder: configuration.data).records()
        } catch {
            // Without it, nobody knows which apps are disabled.
            diagnostics.add(Diagnostic(.error, file: error.path, reason: error.reason))
            return []
        }
        for definition in definitions {
            guard let record = records.first(where: { $0.app == definition.app }), let newest = record.newest else { continue }
            if let known = record.version(definition.version), known.digest != AppRegistry.digest(of: definition) {
                diagnostics.add(
                    Diagnostic(
                        .warning, file: definition.file, place: "version",
                        reason: "\(definition.version) of \(definition.app) had other content before",
                        hint: "raise the version with every change"))
            } else if definition.version < newest.version {
                diagnostics.add(
                    Diagnostic(
                        .warning, file: definition.file, place: "version",
                        reason: "\(definition.app) was at \(newest.version) before, which is newer than \(definition.version)"))
            }
        }
        return records
    }

    /// Apps that another app of here needs.
    static func checkDependencies(_ definitions: [AppDefinition], into diagnostics: inout Diagnostics) {
        for definition in definitions {
            for dependency in definition.dependencies {
                let found = definitions.first { $0.app == dependency.app }
                if let found, dependency.admits(found.version) { continue }
                let reason =
                    found.map { "needs \(dependency.app) \(dependency.range), but \($0.version) is here" }
                    ?? "needs \(dependency.app) \(dependency.range), which is not here"
                diagnostics.add(Diagnostic(.warning, file: definition.file, place: "dependencies", reason: reason))
            }
        }
    }
}

extension Setup {
    /// For the daemon: what is in effect now counts as installed, whoever put it there.
    func rememberApps(_ logger: Logger) {
        do throws(FileError) {
            try AppRegistry(dataFolder: configuration.data).remember(definitions, now: .now())
        } catch {
            logger.warning("versions of apps not remembered", metadata: ["error": "\(error)"])
        }
    }
}
