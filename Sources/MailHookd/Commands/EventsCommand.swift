// Part of mailhookd. SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MailHookKit

struct EventsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "events", abstract: "Look at stored events, and send them again.",
        subcommands: [List.self, Show.self, ReplayEvents.self, RedriveEvents.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list",
            abstract: "Print every stored event, oldest first.",
            discussion: "Works whether the daemon runs or not.")

        @OptionGroup var options: ConfigurationOptions

        @Flag(help: "CloudEvents JSON, one event a line, for programs.")
        var json = false

        func run() async throws {
            let setup = try loadSetup(options.request, needsSecrets: false)
            do {
                try await EventListing.run(dataFolder: setup.configuration.data) {
                    Terminal.print(json ? $0.jsonLine : $0.text)
                }
            } catch {
                throw fail(error.description, status: error.exitStatus)
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "show",
            abstract: "Print one event as CloudEvents JSON.",
            discussion: "Exit status 1 when there is no event of this id.")

        @OptionGroup var options: ConfigurationOptions

        @Argument(help: "The event's id.")
        var id: String

        func run() async throws {
            let setup = try loadSetup(options.request, needsSecrets: false)
            do {
                guard let event = try await EventListing.find(id, dataFolder: setup.configuration.data) else {
                    throw fail("no event \(id)", status: 1)
                }
                Terminal.print(event.jsonLine)
            } catch let error as SetupError {
                throw fail(error.description, status: error.exitStatus)
            }
        }
    }
}
