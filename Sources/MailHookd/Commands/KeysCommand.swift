// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// `mailhookd keys`: API keys of web hooks and the management interface are made, listed and revoked.

import ArgumentParser
import HookModel
import HookWeb
import MailHookKit

struct KeysCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keys", abstract: "Make, list and revoke API keys.",
        discussion: """
            Keys let senders post to web hooks and let programs use the management interface. They are kept as \
            digests in the data folder; a running daemon knows of a change at once.
            """,
        subcommands: [Create.self, List.self, Revoke.self])

    struct Create: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "create", abstract: "Make an API key and print it.",
            discussion: """
                The key itself stands on standard output and can't be shown again. Roles: \
                \(APIRole.allCases.map(\.rawValue).joined(separator: ", ")).
                """)

        @OptionGroup var options: ConfigurationOptions

        @Option(help: ArgumentHelp("What the key allows; may be repeated.", valueName: "role"))
        var role: [String]

        @Option(help: "What the key is for, for people.")
        var name: String

        func validate() throws {
            for text in role where APIRole(rawValue: text) == nil {
                let known = APIRole.allCases.map(\.rawValue).joined(separator: ", ")
                throw ValidationError("There is no role '\(text)'. Roles: \(known)")
            }
        }

        func run() throws {
            let setup = try loadSetup(options.request, needsSecrets: false)
            // Each once, in the order given.
            let roles = role.compactMap(APIRole.init(rawValue:)).reduce(into: [APIRole]()) { roles, role in
                if !roles.contains(role) { roles.append(role) }
            }
            do {
                let file = APIKeyFile(dataFolder: setup.configuration.data)
                let (key, secret) = try file.create(name: name, roles: roles, now: .now())
                Terminal.printError("\(key.id) may \(roles.map(\.rawValue).joined(separator: ", ")). Its key, shown once:")
                Terminal.print(secret)
            } catch {
                throw fail("\(error)", status: SysExit.noPermission)
            }
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "List API keys, without the keys themselves.")

        @OptionGroup var options: ConfigurationOptions

        @Flag(help: "One JSON object a line, for programs.")
        var json = false

        func run() throws {
            let setup = try loadSetup(options.request, needsSecrets: false)
            do {
                let keys = try APIKeyFile(dataFolder: setup.configuration.data).list()
                for key in keys { Terminal.print(json ? key.jsonLine : key.text) }
            } catch {
                throw fail("\(error)", status: SysExit.noPermission)
            }
        }
    }

    struct Revoke: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "revoke", abstract: "Revoke an API key.",
            discussion: "Exit status 1 when there is no key of this id.")

        @OptionGroup var options: ConfigurationOptions

        @Argument(help: "The key's id, as `keys list` shows it.")
        var id: String

        func run() throws {
            let setup = try loadSetup(options.request, needsSecrets: false)
            let isFound: Bool
            do {
                isFound = try APIKeyFile(dataFolder: setup.configuration.data).revoke(id: id)
            } catch {
                throw fail("\(error)", status: SysExit.noPermission)
            }
            guard isFound else { throw fail("no key \(id)", status: 1) }
        }
    }
}
