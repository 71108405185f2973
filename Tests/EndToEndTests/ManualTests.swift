// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The pages below `man` leave nothing out and name nothing that is gone: commands and options as the binary's help has them,
// keys as the reader of the configuration accepts them, defaults as the sample configuration has them.

import Foundation
import TestSupport
import Testing

@Suite struct ManualTests {
    private func complain(_ complaints: [String]) {
        #expect(complaints.isEmpty, "\(complaints.count):\n\(complaints.joined(separator: "\n"))")
    }

    // MARK: - mailhookd(8)

    /// What ArgumentParser makes its help of.
    private struct HelpDump: Decodable {
        struct Command: Decodable {
            var commandName: String
            var subcommands: [Command]?
            var arguments: [Argument]?
        }

        struct Argument: Decodable {
            struct Name: Decodable { var name: String }

            var kind: String
            var names: [Name]?
            var shouldDisplay: Bool
        }

        var command: Command
    }

    private struct Command {
        /// Without the program's name.
        var path: [String]
        var options: [(name: String, takesValue: Bool)]

        var title: String { path.joined(separator: " ") }

        /// The command's own subsection, then those of the commands above it.
        var places: [String] { path.indices.reversed().map { path[...$0].joined(separator: " ") } }
    }

    private static func commands() throws -> [Command] {
        let text = try Child.run(Installation.binary, ["--experimental-dump-help"]).output
        let root = try JSONDecoder().decode(HelpDump.self, from: Data(text.utf8)).command
        func flat(_ command: HelpDump.Command, _ path: [String]) -> [Command] {
            let shown = (command.arguments ?? []).filter { $0.shouldDisplay && $0.kind != "positional" }
            let options = shown.flatMap { argument in (argument.names ?? []).map { ($0.name, argument.kind == "option") } }
            return [Command(path: path, options: options)]
                + (command.subcommands ?? []).flatMap { flat($0, path + [$0.commandName]) }
        }
        return flat(root, [])
    }

    private static let everywhere = "Options of all commands"

    @Test func everyCommandAndOptionIsInTheManual() throws {
        let (page, commands) = (try ManualPage("mailhookd.8"), try Self.commands())
        #expect(commands.count > 50 && commands.flatMap(\.options).count > 200)
        let synopsis = (page.blocks["SYNOPSIS"] ?? []).joined(separator: " ")
        let common = Set(commands.filter(\.path.isEmpty).flatMap(\.options).map(\.name))
        var missing: [String] = []
        for command in commands {
            if command.path.count == 1, !synopsis.contains(" \(command.title) ") {
                missing.append("SYNOPSIS of mailhookd.8 has no command '\(command.title)'")
            }
            if !command.path.isEmpty, !page.subsections.contains(command.title) {
                missing.append("mailhookd.8 has no '.Ss \(command.title)'")
            }
            for option in command.options where command.path.isEmpty || !common.contains(option.name) {
                let flag = option.name.count == 1 ? "Fl \(option.name)" : "Fl Fl \(option.name)"
                let described = (command.places + [Self.everywhere]).flatMap(page.options).first { $0.name == option.name }
                guard let described else {
                    missing.append("mailhookd.8 has no '.It \(flag)' below '.Ss \(command.places.first ?? Self.everywhere)'")
                    continue
                }
                if option.takesValue != described.line.contains("\(flag) Ar ") {
                    missing.append("mailhookd.8, \(command.title): '\(described.line)' is wrong about a value (Ar)")
                }
            }
        }
        complain(missing)
    }

    @Test func theManualNamesNoCommandOrOptionThatIsGone() throws {
        let (page, commands) = (try ManualPage("mailhookd.8"), try Self.commands())
        #expect(page.subsections.count > 50)
        complain(page.subsections.flatMap { title -> [String] in
            let meant = commands.filter { title == Self.everywhere || $0.places.contains(title) }
            if meant.isEmpty { return ["mailhookd.8 has '.Ss \(title)', and there is no such command"] }
            let known = Set(meant.flatMap(\.options).map(\.name))
            return page.options(title).filter { !known.contains($0.name) }.map { "mailhookd.8, \(title): no option is named \($0.name)" }
        })
    }

    // MARK: - mailhookd.yaml(5)

    private static let unknown = "zzzzzzzzzzzz"

    /// A key that is unknown in each mapping there is: the findings tell which are known.
    private static let probe = """
        ?: 1
        listen: { ?: 1 }
        tls: { ?: 1 }
        smtp: { ?: 1 }
        http: { ?: 1 }
        maildirs: [ { ?: 1 } ]
        hooks: { h: { ?: 1, challenge: { ?: 1 }, retention: { ?: 1 } } }
        limits: { ?: 1 }
        retention: { ?: 1 }
        subscriptions:
          - { ?: 1, filter: [ { ?: 1 } ], breaker: { ?: 1 }, webhook: { ?: 1 } }
          - { exec: { ?: 1 } }
          - { file: { ?: 1, path: x, rotate: { ?: 1 } } }
          - { stdout: { ?: 1 } }
        """

    /// The subsection about the mapping that a finding names by its place.
    private static let subsections = [
        "": "Top level", "listen": "listen", "tls": "tls", "smtp": "smtp", "http": "http", "maildirs[0]": "maildirs", "hooks.h": "hooks",
        "hooks.h.challenge": "hooks, challenge", "hooks.h.retention": "hooks, retention", "limits": "limits", "retention": "retention",
        "subscriptions[0]": "subscriptions", "subscriptions[0].filter[0]": "subscriptions, filter",
        "subscriptions[0].breaker": "subscriptions, breaker", "subscriptions[0].webhook": "subscriptions, webhook",
        "subscriptions[1].exec": "subscriptions, exec", "subscriptions[2].file": "subscriptions, file",
        "subscriptions[2].file.rotate": "subscriptions, rotate",
    ]

    /// Keys by the subsection that has to describe them.
    private static func keysOfReader() throws -> [String: [String]] {
        let installation = try Installation()
        try probe.replacingOccurrences(of: "?", with: unknown)
            .write(to: installation.configurationFile, atomically: true, encoding: .utf8)
        let result = try installation.command(["check"])
        var keys: [String: [String]] = [:]
        for match in result.errors.matches(of: /: error: (?:(\S+): )?unknown key 'z+' \(known: (.*)\)/) {
            let names = match.2.split(separator: ", ").map(String.init)
            guard !names.isEmpty else { continue }
            let place = String(match.1 ?? "")
            guard let subsection = subsections[place] else {
                throw Child.Failure(description: "no subsection of mailhookd.yaml.5 is about '\(place)', which takes \(names)")
            }
            keys[subsection] = names
        }
        return keys
    }

    @Test func everyKeyIsInTheManual() throws {
        let (page, reader) = (try ManualPage("mailhookd.yaml.5"), try Self.keysOfReader())
        #expect(Set(reader.keys) == Set(Self.subsections.values), "of some mapping nobody said which keys it takes")
        var complaints: [String] = []
        for (subsection, known) in reader.sorted(by: { $0.key < $1.key }) {
            let described = page.keys(subsection)
            for key in known where !described.contains(key) {
                complaints.append("mailhookd.yaml.5 has no '.It Ic \(key)' below '.Ss \(subsection)'")
            }
            for key in described where !known.contains(key) {
                complaints.append("mailhookd.yaml.5, \(subsection): '\(key)' is no key")
            }
        }
        complain(complaints)
    }

    private static let sampleFile = "Sources/MailHookKit/Configuration/mailhookd.yaml"

    /// Lines of the sample configuration, those that are commented out as they would be without the mark; explanations and
    /// comments behind values left out.
    private static func sample() throws -> [(line: String, isActive: Bool)] {
        let file = Conformance.packageRoot.appendingPathComponent(sampleFile)
        return try String(contentsOf: file, encoding: .utf8).split(separator: "\n").compactMap { line in
            if line.hasPrefix("#"), line.dropFirst().first == " ", line.dropFirst(2).first != " " { return nil }
            let isActive = !line.hasPrefix("#")
            let text = isActive ? line : line.dropFirst()
            let value = text.firstRange(of: " #").map { text[..<$0.lowerBound] } ?? text
            return value.allSatisfy { $0 == " " || $0 == "#" } ? nil : (String(value), isActive)
        }
    }

    @Test func manualAndSampleConfigurationHaveTheSameKeys() throws {
        let page = try ManualPage("mailhookd.yaml.5")
        let described = Set(page.subsections.flatMap(page.keys))
        // Names of hooks and header fields are no keys of ours.
        let shown = Set(try Self.sample().flatMap { $0.line.matches(of: /(?:^|[ {])([a-z][A-Za-z]*):(?: |$)/).map { String($0.1) } })
        #expect(shown.count > 70)
        let text = try String(contentsOf: Conformance.packageRoot.appendingPathComponent(Self.sampleFile), encoding: .utf8)
        complain(
            shown.subtracting(described).sorted().map { "mailhookd.yaml.5 has no '.It Ic \($0)', and the sample configuration shows it" }
                + described.filter { !text.contains("\($0):") }.sorted().map { "\(Self.sampleFile) does not show '\($0)'" })
    }

    @Test func defaultsInTheManualAreThoseOfTheSampleConfiguration() throws {
        let page = try ManualPage("mailhookd.yaml.5")
        var (section, count, complaints) = ("", 0, [String]())
        for (line, isActive) in try Self.sample() where isActive {
            guard let match = line.firstMatch(of: /^( *)([A-Za-z]+):(.*)$/) else { continue }
            let (key, value) = (String(match.2), match.3.trimmingCharacters(in: .whitespaces))
            if match.1.isEmpty { section = value.isEmpty ? key : "Top level" }
            guard !value.isEmpty else { continue }
            count += 1
            let words = value.split { "[]\", ".contains($0) }.map(String.init)
            let said = page.entry(section, key).components(separatedBy: "Default: ").dropFirst().last ?? ""
            let wanted = words.isEmpty ? [["none", "empty"].first(where: said.contains) ?? "none"] : words
            if !wanted.allSatisfy({ word in said.split { " ,".contains($0) }.contains { $0 == word || $0 == word + "." } }) {
                complaints.append("mailhookd.yaml.5, \(section), \(key): says 'Default: \(said)', and the default is \(value)")
            }
        }
        #expect(count >= 40)
        complain(complaints)
    }

    @Test func theExampleOfTheManualIsAGoodConfiguration() throws {
        let example = try ManualPage("mailhookd.yaml.5").display("EXAMPLES")
        #expect(example.split(separator: "\n").count > 20)
        let installation = try Installation()
        try example.write(to: installation.configurationFile, atomically: true, encoding: .utf8)
        _ = try installation.write("erp.key", "whsec_\(Data(repeating: 7, count: 32).base64EncodedString())\n")
        let data = installation.folder.appendingPathComponent("data").path
        let checked = try installation.command(["check", "--data", data])
        #expect(checked.status == 0 && checked.output.hasSuffix("ok\n"), "\(checked.errors)")
        // Not a word about hooks: those it names are those of the example's app.
        #expect(!checked.errors.contains("hooks"), "\(checked.errors)")
    }
}
