// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The commands about subscriptions. Options only; MailHookKit does the work.

import ArgumentParser
import MailHookKit

struct SubscriptionsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "subscriptions", abstract: "Look at subscriptions, hold them back, or let them go on.",
        subcommands: [List.self, Pause.self, Resume.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "Print each subscription with its status and, of a running daemon, how it goes.")

        @OptionGroup var options: ConfigurationOptions

        @Flag(help: "One JSON object a line, for programs.")
        var json = false

        @Flag(help: "Show the keys that outbound webhooks of apps are signed with.")
        var keys = false

        func run() async throws {
            let setup = try loadSetup(options.request)
            do {
                let (lines, notice) = try await SubscriptionListing.lines(setup, json: json, keys: keys)
                lines.forEach { Terminal.print($0) }
                if let notice { Terminal.printError("mailhookd: \(notice)") }
            } catch {
                throw fail(error.description, status: error.exitStatus)
            }
        }
    }

    struct Pause: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "pause", abstract: "Hold deliveries of a subscription back. They wait, and none is lost.")

        @OptionGroup var options: ConfigurationOptions

        @Argument(help: "The subscription's name.")
        var name: String

        func run() async throws { try await SubscriptionsCommand.set(name, isPaused: true, options) }
    }

    struct Resume: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "resume", abstract: "Let a subscription that was paused or disabled go on.")

        @OptionGroup var options: ConfigurationOptions

        @Argument(help: "The subscription's name.")
        var name: String

        func run() async throws { try await SubscriptionsCommand.set(name, isPaused: false, options) }
    }

    private static func set(_ name: String, isPaused: Bool, _ options: ConfigurationOptions) async throws {
        let setup = try loadSetup(options.request)
        do {
            try await SubscriptionListing.set(name, isPaused: isPaused, setup: setup)
        } catch {
            throw fail(error.description, status: error.exitStatus)
        }
    }
}
