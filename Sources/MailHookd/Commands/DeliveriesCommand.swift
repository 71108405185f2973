// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The commands about deliveries. Options only; MailHookKit does the work.

import ArgumentParser
import MailHookKit

struct DeliveriesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "deliveries", abstract: "Look at deliveries, send them again, or call them off.",
        discussion: """
            A delivery is one event for one subscription. It is waiting or leased (being tried) until it ends as \
            delivered, dead or cancelled. Exit status 64 when there is no such subscription, hook or state, 1 when there is \
            no delivery of a number.
            """,
        subcommands: [List.self, Redrive.self, Cancel.self])

    struct Selection: ParsableArguments {
        @Option(help: "waiting, leased, delivered, dead or cancelled; may be repeated.")
        var state: [String] = []

        @Option(help: ArgumentHelp("Only events of this name.", valueName: "event-name"))
        var hook: String?

        @Option(help: ArgumentHelp("Only deliveries to this subscription.", valueName: "name"))
        var subscription: String?

        @Option(help: "Only deliveries whose last failure has this reason, such as http_410 or timeout.")
        var reason: String?

        @Option(help: ArgumentHelp("Only deliveries made since then: 2026-11-25T09:00:00Z, or 24h for a day ago.", valueName: "time"))
        var since: String?

        @Argument(help: "Numbers of deliveries; without them all that match.")
        var ids: [String] = []

        var selection: DeliverySelection {
            var selection = DeliverySelection()
            selection.states = state
            selection.hook = hook
            selection.subscription = subscription
            selection.reason = reason
            selection.since = since
            selection.ids = ids
            return selection
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "Print deliveries, oldest first.",
            discussion: "Works whether the daemon runs or not.")

        @OptionGroup var options: ConfigurationOptions
        @OptionGroup var selection: Selection

        @Flag(help: "One JSON object a line, for programs.")
        var json = false

        func run() async throws {
            let setup = try loadSetup(options.request, needsSecrets: false)
            do {
                try await DeliveryListing.run(
                    selection.selection, setup: setup, json: json) { Terminal.print($0) }
            } catch {
                throw fail(error.description, status: error.exitStatus)
            }
        }
    }

    struct Redrive: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "redrive", abstract: "Deliver dead deliveries again, with a schedule that begins anew.",
            discussion: "With --state, or by number, also cancelled and delivered ones. Prints how many there were.")

        @OptionGroup var options: ConfigurationOptions
        @OptionGroup var selection: Selection

        func run() async throws { try await DeliveriesCommand.change(selection, redrive: true, options) }
    }

    struct Cancel: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "cancel", abstract: "Call off deliveries that are still to be done.",
            discussion: "Prints how many there were. A request that is under way may still arrive.")

        @OptionGroup var options: ConfigurationOptions
        @OptionGroup var selection: Selection

        func run() async throws { try await DeliveriesCommand.change(selection, redrive: false, options) }
    }

    private static func change(_ selection: Selection, redrive: Bool, _ options: ConfigurationOptions) async throws {
        let setup = try loadSetup(options.request, needsSecrets: false)
        do {
            let count = try await DeliveryListing.change(selection.selection, redrive: redrive, setup: setup)
            Terminal.print("\(count)")
        } catch {
            throw fail(error.description, status: error.exitStatus)
        }
    }
}
