// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Configuration and app definitions together: what every command starts from. All findings of
// all files are told at once.

import Glibc
import HookDelivery
import HookExtraction
import HookIntake
public import HookModel
import JSONLD

/// What the command line says about the configuration.
public struct SetupRequest: Sendable {
    /// nil: the usual file where it exists, else the built-in defaults.
    public var configurationFile: String?
    public var dataFolder: String?
    /// Instead of the configuration's listeners of this kind; empty keeps them.
    public var smtp: [String] = []
    public var lmtp: [String] = []
    public var http: [String] = []
    /// Instead of the configuration's Maildirs; empty keeps them.
    public var maildirs: [String] = []
    /// Address or event name for `maildirs`; nil lets the mail's header say it.
    public var maildirRecipient: String?
    /// False for commands that look after what is stored, and for `receive` until it has to store a mail itself: keys and
    /// secrets that they may not read, or that are only there while the daemon runs, are no reason to do nothing. What
    /// needs them is then left out of the configuration.
    public var needsSecrets = true
    /// A definition that would be put among the others, to see what comes of it.
    var candidate: (file: String, bytes: [UInt8])?

    public static let usualFile = "/etc/mailhookd/mailhookd.yaml"

    public init(configurationFile: String? = nil, dataFolder: String? = nil) {
        self.configurationFile = configurationFile
        self.dataFolder = dataFolder
    }
}

/// Everything that is wrong, errors and warnings in the order they were found.
public struct SetupFailure: Error, Sendable {
    public var diagnostics: [Diagnostic]
    /// What a command ends with (sysexits.h).
    public var exitStatus = SysExit.configuration
}

public struct Setup: Sendable {
    public private(set) var configuration: Configuration
    public private(set) var definitions: [AppDefinition]
    /// Schema.org and the contexts of the configured folder.
    let contexts: ContextLibrary
    public private(set) var warnings: [Diagnostic]
    /// What is remembered of apps, those included that are gone.
    public private(set) var records: [AppRecord] = []
    /// What the management interface changed.
    let notes: [HookNote]
    /// What it was made from, so that the same can be read again.
    let request: SetupRequest
    private let places: ConfigurationPlaces?

    private static let sizeLimit = 4 << 20

    public static func load(_ request: SetupRequest) -> Result<Setup, SetupFailure> {
        var diagnostics = Diagnostics()
        guard let (read, places) = readConfiguration(request, into: &diagnostics) else {
            return .failure(SetupFailure(diagnostics: diagnostics.all))
        }
        var configuration = read
        apply(request, to: &configuration, into: &diagnostics)
        ListenerClashes.check(configuration, request, into: &diagnostics)
        let contexts = ContextFolder.library(configuration.contexts, into: &diagnostics)
        let definitions = readDefinitions(configuration, request.candidate, into: &diagnostics)
        let notes = readNotes(configuration, into: &diagnostics)
        checkTogether(configuration, definitions, notes, into: &diagnostics)
        checkDependencies(definitions, into: &diagnostics)
        checkAdmission(configuration, definitions, into: &diagnostics)
        let records = checkVersions(configuration, definitions, into: &diagnostics)
        let findings = places?.located(diagnostics.all) ?? diagnostics.all
        if diagnostics.hasErrors {
            return .failure(unusableDataFolder(configuration.data, findings) ?? SetupFailure(diagnostics: findings))
        }
        return .success(
            Setup(
                configuration: configuration, definitions: definitions, contexts: contexts, warnings: findings,
                records: records, notes: notes, request: request, places: places))
    }

    /// Where a file of the data folder could not be read: whose the folder is, or that it is none, if that is why.
    private static func unusableDataFolder(_ folder: String, _ findings: [Diagnostic]) -> SetupFailure? {
        guard findings.contains(where: { $0.severity == .error && $0.file.hasPrefix(folder + "/") }) else { return nil }
        do throws(FileError) {
            let isMissing = access(folder, F_OK) != 0
            guard isMissing ? errno != ENOTDIR : Files.isFolder(folder) else {
                throw FileError(path: folder, errno: ENOTDIR)
            }
            _ = try DataFolder.check(folder)
            return nil
        } catch {
            return SetupFailure(
                diagnostics: [Diagnostic(.error, file: error.path, reason: error.reason)],
                exitStatus: error.exitStatus)
        }
    }

    /// The same with its secrets, where it was read without them.
    func whole() -> Result<Setup, SetupFailure> {
        guard !request.needsSecrets else { return .success(self) }
        var request = request
        request.needsSecrets = true
        return Self.load(request)
    }

    /// Findings about the configuration file, with line and column of their places.
    func located(_ diagnostics: [Diagnostic]) -> [Diagnostic] { places?.located(diagnostics) ?? diagnostics }

    /// The hooks with their addresses and keys; makes the instance secret where it is missing.
    public func directory() throws(FileError) -> HookDirectory {
        let secret = try InstanceSecret.load(dataFolder: configuration.data)
        let hooks = declarations.map { addressed($0.hook, of: $0.app, $0.trigger, secret) }
        return HookDirectory(hooks: hooks, domains: configuration.domains)
    }

    /// For `check`: what was read, in a few lines.
    public var summary: String {
        let hooks = declarations.map(\.hook)
        let counts = HookType.allCases.map { type in "\(hooks.count { $0.type == type }) \(type.rawValue)" }
        let listen = configuration.listen
        let listeners = [("smtp", listen.smtp), ("smtps", listen.smtps), ("lmtp", listen.lmtp), ("http", listen.http),
            ("https", listen.https), ("admin", listen.admin)]
            .flatMap { name, addresses in addresses.map { "\(name) \($0)" } }
            + configuration.maildirs.map { "maildir \($0.path)" }
        return """
            configuration  \(configuration.file ?? "built-in defaults")
            apps           \(definitions.map { "\($0.app) \($0.version)" }.joined(separator: ", ")) (\(configuration.apps))
            hooks          \(hooks.count): \(counts.joined(separator: ", "))
            listeners      \(listeners.joined(separator: ", "))
            subscriptions  \(configuration.subscriptions.map(\.name).joined(separator: ", "))
            ok
            """
    }

    /// What the daemon, `try` and replay do with a message.
    func processor(_ directory: HookDirectory) -> MessageProcessor {
        MessageProcessor(
            directory: directory, instance: configuration.hostname, contexts: contexts,
            receivedLimit: configuration.limits.receivedFields)
    }

    /// The same for posts.
    func postProcessor(_ directory: HookDirectory) -> PostProcessor {
        PostProcessor(
            instance: configuration.hostname, contexts: contexts, hooks: directory.hooks.map(\.hook))
    }

    private func addressed(
        _ declaration: HookDeclaration, of app: String, _ trigger: HookTrigger?, _ secret: InstanceSecret
    ) -> AddressedHook {
        let name = declaration.eventName
        let settings = settings(of: app, name)
        let note = note(of: name)
        let hook = Hook(
            app: app, eventName: name, displayEventName: note?.title ?? declaration.displayEventName,
            description: note?.description ?? declaration.description, type: declaration.type, policy: settings.policy,
            trigger: trigger)
        func credentials(_ generation: Int) -> AddressedHook.Credentials {
            secret.credentials(app: app, eventName: name, generation: generation)
        }
        let previous = settings.previousUntil.flatMap { until in
            settings.generation > 1 ? (credentials(settings.generation - 1), until) : nil
        }
        return AddressedHook(hook: hook, current: credentials(settings.generation), previous: previous)
    }

    private static func readConfiguration(
        _ request: SetupRequest, into diagnostics: inout Diagnostics
    ) -> (Configuration, ConfigurationPlaces?)? {
        let builtIn = ConfigurationReader.builtIn()
        let path: String
        if let file = request.configurationFile {
            path = Files.resolve(file, in: Files.workingFolder)
        } else if access(SetupRequest.usualFile, F_OK) == 0 {
            path = SetupRequest.usualFile
        } else {
            return (builtIn, nil)
        }
        do {
            let bytes = try Files.read(path, limit: sizeLimit)
            var reader = ConfigurationReader(file: path, folder: Files.parent(path))
            reader.needsSecrets = request.needsSecrets
            let read = reader.read(bytes, over: builtIn)
            diagnostics.add(contentsOf: reader.diagnostics)
            guard var configuration = read else { return nil }
            configuration.file = path
            return (configuration, ConfigurationPlaces(file: path, bytes))
        } catch {
            diagnostics.add(Diagnostic(.error, file: path, reason: error.reason))
            return nil
        }
    }

    private static func apply(
        _ request: SetupRequest, to configuration: inout Configuration, into diagnostics: inout Diagnostics
    ) {
        if let data = request.dataFolder { configuration.data = Files.resolve(data, in: Files.workingFolder) }
        func addresses(_ texts: [String], _ flag: String) -> [ListenAddress]? {
            var addresses: [ListenAddress] = []
            for text in texts {
                if let address = ListenAddress(text) {
                    addresses.append(address)
                } else {
                    diagnostics.add(
                        Diagnostic(.error, file: flag, reason: "'\(text)' is not HOST:PORT or the path of a socket"))
                }
            }
            return texts.isEmpty ? nil : addresses
        }
        configuration.listen.smtp = addresses(request.smtp, "--smtp") ?? configuration.listen.smtp
        configuration.listen.lmtp = addresses(request.lmtp, "--lmtp") ?? configuration.listen.lmtp
        configuration.listen.http = addresses(request.http, "--http") ?? configuration.listen.http
        if !request.maildirs.isEmpty {
            configuration.maildirs = request.maildirs.map {
                Maildir(path: Files.resolve($0, in: Files.workingFolder), to: request.maildirRecipient)
            }
        }
    }

    private static func readDefinitions(
        _ configuration: Configuration, _ candidate: (file: String, bytes: [UInt8])?,
        into diagnostics: inout Diagnostics
    ) -> [AppDefinition] {
        var definitions: [AppDefinition] = []
        var files = definitionFiles(configuration, into: &diagnostics)
        if let candidate, !files.contains(candidate.file) { files.append(candidate.file) }
        for file in files {
            do throws(FileError) {
                var bytes = candidate?.bytes ?? []
                if candidate?.file != file { bytes = try Files.read(file, limit: AppDefinitionReader.sizeLimit) }
                var reader = AppDefinitionReader(file: file, bytes: bytes)
                if let definition = reader.read() { definitions.append(definition) }
                diagnostics.add(contentsOf: reader.diagnostics)
            } catch {
                diagnostics.add(Diagnostic(.error, file: file, reason: error.reason))
            }
        }
        return definitions
    }

    private static func definitionFiles(
        _ configuration: Configuration, into diagnostics: inout Diagnostics
    ) -> [String] {
        let path = configuration.apps
        let hint = "put an app definition there, such as examples/apps/ecommstore.json"
        guard access(path, F_OK) == 0 else {
            diagnostics.add(Diagnostic(.error, file: path, place: "apps", reason: "no such file or folder", hint: hint))
            return []
        }
        guard Files.isFolder(path) else { return [path] }
        do {
            let names = try Files.list(path).filter { $0.hasSuffix(".json") && !$0.hasPrefix(".") }
            if names.isEmpty {
                diagnostics.add(
                    Diagnostic(.warning, file: path, place: "apps", reason: "holds no *.json: there are no hooks", hint: hint))
            }
            return names.map { "\(path)/\($0)" }
        } catch {
            diagnostics.add(Diagnostic(.error, file: path, place: "apps", reason: error.reason))
            return []
        }
    }

    /// What only shows when everything is there: names and aliases are unique over all files, and policy is about hooks
    /// that exist.
    private static func checkTogether(
        _ configuration: Configuration, _ definitions: [AppDefinition], _ notes: [HookNote],
        into diagnostics: inout Diagnostics
    ) {
        var owners: [String: String] = [:]
        var apps: [String: String] = [:]
        for definition in definitions {
            if let other = apps.updateValue(definition.file, forKey: definition.app) {
                diagnostics.add(
                    Diagnostic(
                        .error, file: definition.file, place: "app", reason: "app '\(definition.app)' is defined in \(other) too"))
            }
            for hook in definition.hooks {
                guard let other = owners.updateValue(definition.file, forKey: hook.eventName) else { continue }
                // The same app in two files has been told already.
                guard apps[definition.app] == definition.file else { continue }
                diagnostics.add(
                    Diagnostic(
                        .error, file: definition.file, position: hook.position, place: "hooks",
                        reason: "'\(hook.eventName)' is declared in \(other) too"))
            }
        }
        for note in notes where note.origin != nil && owners[note.eventName] == nil {
            owners[note.eventName] = "the management interface"
        }
        checkMaildirs(configuration, definitions, into: &diagnostics)
        UnmatchedSubscriptions.check(configuration, hooks: Array(owners.keys), into: &diagnostics)
        var aliases: [String: String] = [:]
        let file = configuration.file ?? "configuration"
        for (name, settings) in configuration.hooks.sorted(by: { $0.key < $1.key }) where name != "*" {
            if owners[name] == nil {
                diagnostics.add(
                    Diagnostic(
                        .warning, file: file, place: "hooks.\(name)", reason: "no app definition declares this hook",
                        hint: suggestion(for: name, among: owners.keys)))
            }
            for alias in settings.policy.aliases {
                guard let other = aliases.updateValue(name, forKey: alias.lowercased()) else { continue }
                diagnostics.add(
                    Diagnostic(
                        .error, file: file, place: "hooks.\(name).aliases", reason: "\(alias) belongs to \(other) already"))
            }
        }
    }
}
