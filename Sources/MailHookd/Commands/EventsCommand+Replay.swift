// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The commands that send events again. Options only; MailHookKit does the work.

import ArgumentParser
import MailHookKit

extension EventsCommand {
    struct ReplayEvents: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "replay", abstract: "Put stored messages through today's configuration again.",
            discussion: """
                Shows for each event whether it is the same, changed, new, or gone. Without --dry-run changed and new \
                events are stored and delivered, marked by the attribute `replayed`.
                """)

        @OptionGroup var options: ConfigurationOptions

        @Option(help: ArgumentHelp("Messages received since then: 2026-11-25T09:00:00Z, or 24h for a day ago.", valueName: "time"))
        var since: String

        @Option(help: ArgumentHelp("Only events of this name.", valueName: "event-name"))
        var hook: String?

        @Flag(help: "Only show what would be different.")
        var dryRun = false

        @Option(help: "same keeps the id of each event; new gives it another one and names the old one in `replayof`.")
        var ids = "same"

        @Flag(help: "Send events that are the same, too.")
        var unchanged = false

        @Flag(help: "One JSON object a line, for programs.")
        var json = false

        func validate() throws {
            if Replay.Identity(rawValue: ids) == nil { throw ValidationError("--ids is same or new, not '\(ids)'") }
        }

        func run() async throws {
            let setup = try loadSetup(options.request)
            var replay = Replay(since: since)
            replay.hook = hook
            replay.isDryRun = dryRun
            replay.includesUnchanged = unchanged
            replay.identity = Replay.Identity(rawValue: ids) ?? .same
            do {
                let summary = try await replay.run(setup) { Terminal.print(json ? $0.json : $0.text) }
                let counts = [Replay.Difference.same, .changed, .new, .gone].map { "\(summary.counts[$0] ?? 0) \($0.rawValue)" }
                let gone = summary.messagesGone > 0 ? "; of \(summary.messagesGone) messages nothing is kept" : ""
                let sent = dryRun ? "nothing was sent" : "\(summary.deliveries) deliveries"
                Terminal.printError("\(counts.joined(separator: ", "))\(gone); \(sent)")
            } catch {
                throw fail(error.description, status: error.exitStatus)
            }
        }
    }

    struct RedriveEvents: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "redrive", abstract: "Deliver stored events again, as they are, to whoever subscribes today.",
            discussion: """
                Prints how many deliveries there are. Receivers tell repeated events by their id. Interrupted, it leaves \
                what it has sent; all of it may be sent again. Exit status 1 when there is no event of an id.
                """)

        @OptionGroup var options: ConfigurationOptions

        @Option(help: ArgumentHelp("Events of messages received since then: 2026-11-25T09:00:00Z, or 24h.", valueName: "time"))
        var since: String?

        @Option(help: ArgumentHelp("Only events of this name.", valueName: "event-name"))
        var hook: String?

        @Option(help: ArgumentHelp("Only to this subscription.", valueName: "name"))
        var subscription: String?

        @Argument(help: "Ids of events.")
        var ids: [String] = []

        func validate() throws {
            if since == nil, ids.isEmpty { throw ValidationError("Say which: --since, or ids of events.") }
        }

        func run() async throws {
            let setup = try loadSetup(options.request)
            var redrive = EventRedrive()
            redrive.since = since
            redrive.hook = hook
            redrive.subscription = subscription
            redrive.ids = ids
            do {
                Terminal.print("\(try await redrive.run(setup))")
            } catch {
                throw fail(error.description, status: error.exitStatus)
            }
        }
    }
}
