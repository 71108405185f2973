// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// `mailhookd apps`: options and arguments; the rules are those of AppManager.

import ArgumentParser
import HookModel
import MailHookKit

struct AppsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apps", abstract: "Install, upgrade, disable and remove app definitions.",
        discussion: """
            Definitions stand in the folder `apps` of the configuration. These commands put them there under the rules \
            of the format: a version is never changed, and an upgrade has a greater one. Addresses follow from app \
            and event name, so they survive upgrades. Files may also be changed by hand; `mailhookd check` then tells \
            where the rules were not kept. A running daemon takes each change over at once. Exit status: \
            65 when a definition is refused, 1 when there is no such app; when the files are changed and the daemon has not \
            taken it over, 69 if it refused, 75 if it did not answer or had too many control connections, and 77 if it belongs to another user.
            """,
        subcommands: [List.self, Install.self, Upgrade.self, Disable.self, Enable.self, Uninstall.self])

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "List apps with version and state.")

        @OptionGroup var options: ConfigurationOptions

        @Flag(help: "One JSON object a line, for programs.")
        var json = false

        func run() throws {
            let setup = try loadSetup(options.request)
            Terminal.print(json ? AppListing.json(setup) : AppListing.text(setup))
        }
    }

    struct Install: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "install", abstract: "Check a definition and put it among the others.")

        @OptionGroup var change: DefinitionChange

        func run() throws {
            try change.run { manager, bytes throws(AppError) in
                try manager.install(bytes, file: change.file, isTrial: change.dryRun, now: .now())
            }
        }
    }

    struct Upgrade: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "upgrade", abstract: "Put a newer definition into the place of the one there is.")

        @OptionGroup var change: DefinitionChange

        func run() throws {
            try change.run { manager, bytes throws(AppError) in
                try manager.upgrade(bytes, file: change.file, isTrial: change.dryRun, now: .now())
            }
        }
    }

    struct Disable: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "disable", abstract: "Refuse everything that is sent to the app's hooks.",
            discussion: "Senders hear 550 5.2.1, or status 410. Addresses stay, and work again after `apps enable`.")

        @OptionGroup var target: AppTarget

        func run() throws {
            try target.run { manager throws(AppError) in try manager.setState(.disabled, of: target.app) }
        }
    }

    struct Enable: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "enable", abstract: "Take what is sent to the app's hooks again.")

        @OptionGroup var target: AppTarget

        func run() throws {
            try target.run { manager throws(AppError) in try manager.setState(.enabled, of: target.app) }
        }
    }

    struct Uninstall: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "uninstall", abstract: "Take an app's definition away.",
            discussion: "Stored events stay. Installed again, its hooks have the addresses they had.")

        @OptionGroup var target: AppTarget

        func run() throws {
            try target.run { manager throws(AppError) in try manager.uninstall(target.app, now: .now()) }
        }
    }
}

/// A command with a definition's file.
struct DefinitionChange: ParsableArguments {
    @OptionGroup var options: ConfigurationOptions

    @Argument(help: ArgumentHelp("The definition, as a JSON file; `-` reads standard input.", valueName: "file.json"))
    var file: String

    @Flag(help: "Check, and say what would change; change nothing.")
    var dryRun = false

    func run(_ change: (AppManager, [UInt8]) throws(AppError) -> AppChange) throws {
        let bytes: [UInt8]
        do {
            bytes = try MailFile.read(file, limit: AppManager.definitionLimit)
        } catch {
            throw fail(error.description, status: SysExit.noInput)
        }
        try perform(options.request) { manager throws(AppError) in try change(manager, bytes) }
    }
}

/// A command with an app's name.
struct AppTarget: ParsableArguments {
    @OptionGroup var options: ConfigurationOptions

    @Argument(help: "The app's name.")
    var app: String

    func run(_ change: (AppManager) throws(AppError) -> AppChange) throws {
        try perform(options.request, change)
    }
}

private func perform(_ request: SetupRequest, _ change: (AppManager) throws(AppError) -> AppChange) throws {
    let setup = try loadSetup(request)
    let result: AppChange
    do throws(AppError) {
        result = try change(AppManager(request, setup: setup))
    } catch {
        error.diagnostics.forEach { Terminal.printError($0.description) }
        throw fail(error.description, status: error.exitStatus)
    }
    Terminal.print(result.report.joined(separator: "\n"))
    guard result.isChanged else { return }
    do throws(SetupError) {
        if let notice = try AppManager.announce(result, setup) { Terminal.printError(notice) }
    } catch {
        throw fail(error.description, status: error.exitStatus)
    }
}
