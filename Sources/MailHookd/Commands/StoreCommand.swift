// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// `mailhookd store`: what the store holds, whether it is sound, copies of it.

import ArgumentParser
import MailHookKit

struct StoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "store",
        abstract: "Look at the store, check it, save and restore it.",
        discussion: "docs/store.md explains what is kept for how long, and what to do when a disk is full or broken.",
        subcommands: [Summary.self, Check.self, Backup.self, Restore.self, Compact.self, Erase.self],
        defaultSubcommand: Summary.self)

    struct Summary: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "summary", abstract: "How much there is of what, how large, and how old.",
            discussion: "Reads the whole store, whether the daemon runs or not.")

        @OptionGroup var options: ConfigurationOptions

        @Flag(help: "One JSON object, for programs.")
        var json = false

        func run() throws {
            let setup = try loadSetup(options.request, needsSecrets: false)
            try StoreCommand.report { Terminal.print(json ? try StoreReport.json(setup) : try StoreReport.text(setup)) }
        }
    }

    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "check", abstract: "Find out whether the store is whole.",
            discussion: """
                Prints a line for everything that is wrong. Exit status: 0 for a store that is whole, 65 for another, \
                66 where there is none. Works beside a running daemon, whose log grows meanwhile.
                """)

        @OptionGroup var options: ConfigurationOptions

        @Flag(help: "Unpack every raw message as well.")
        var deep = false

        func run() throws {
            let setup = try loadSetup(options.request, needsSecrets: false)
            try StoreCommand.report {
                let findings = try StoreCare.check(setup, isDeep: deep)
                findings.lines.forEach { Terminal.print($0) }
                if !findings.isWhole { throw ExitCode(SysExit.dataError) }
            }
        }
    }

    struct Backup: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "backup", abstract: "Copy the store, also while the daemon writes.",
            discussion: """
                The copy is the state of one moment, checked and synced before it gets its name. A folder as the target \
                takes the instance secret and the API keys too; without the secret all addresses change.
                """)

        @OptionGroup var options: ConfigurationOptions

        @Argument(help: ArgumentHelp("A file, or a folder: one that exists, or a name that ends with /.", valueName: "target"))
        var target: String

        @Flag(help: "Replace a copy that is there.")
        var force = false

        func run() throws {
            let setup = try loadSetup(options.request, needsSecrets: false)
            try StoreCommand.report {
                try StoreCare.backup(setup, to: target, isReplacing: force).forEach { Terminal.print($0) }
            }
        }
    }

    struct Restore: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "restore", abstract: "Put a backup in the place of the store.",
            discussion: """
                The daemon must not run. The backup is checked first; the store that was there is kept beside it, and \
                an instance secret that is there stays.
                """)

        @OptionGroup var options: ConfigurationOptions

        @Argument(help: ArgumentHelp("What `store backup` wrote.", valueName: "source"))
        var source: String

        func run() throws {
            let setup = try loadSetup(options.request, needsSecrets: false)
            try StoreCommand.report { try StoreCare.restore(setup, from: source).forEach { Terminal.print($0) } }
        }
    }

    struct Compact: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "compact", abstract: "Give room that the store no longer needs back to the file system.",
            discussion: """
                The daemon must not run. Needs room for a second store meanwhile. Room that retention made is used \
                again without this.
                """)

        @OptionGroup var options: ConfigurationOptions

        func run() throws {
            let setup = try loadSetup(options.request, needsSecrets: false)
            try StoreCommand.report { Terminal.print(try StoreCare.compact(setup)) }
        }
    }

    struct Erase: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "erase", abstract: "Erase a message with its duplicates and events, whatever its retention.",
            discussion: """
                Also while the daemon runs. What is still to be delivered of it is not delivered any more. Backups, and what \
                subscribers have received, are not reached. Exit status 1 when there is nothing of it.
                """)

        @OptionGroup var options: ConfigurationOptions

        @Option(name: .customLong("message-id"), help: ArgumentHelp("The Message-ID of the mail.", valueName: "id"))
        var messageID: String?

        @Option(help: ArgumentHelp("The id of one of its events.", valueName: "id"))
        var event: String?

        func validate() throws {
            guard (messageID == nil) != (event == nil) else {
                throw ValidationError("Say either --message-id or --event")
            }
        }

        func run() async throws {
            let setup = try loadSetup(options.request, needsSecrets: false)
            do {
                guard let line = try await StoreCare.erase(setup, messageID: messageID, event: event) else {
                    throw fail("there is nothing of it", status: 1)
                }
                Terminal.print(line)
            } catch let error as SetupError {
                throw fail(error.description, status: error.exitStatus)
            }
        }
    }

    /// Ends the command with what went wrong.
    fileprivate static func report(_ body: () throws -> Void) throws {
        do {
            try body()
        } catch let error as SetupError {
            throw fail(error.description, status: error.exitStatus)
        }
    }
}
