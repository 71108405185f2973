// Part of mailhookd. SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MailHookKit

struct ListenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "listen",
        abstract: "Show events as they are made.",
        discussion: """
            Follows the store of the data folder, whether the daemon runs already or is started later, and prints \
            each new event until Ctrl-C. It takes nothing away from any subscription.
            """)

    @OptionGroup var options: ConfigurationOptions

    @Option(help: ArgumentHelp("Only events whose name fits this pattern. May be repeated.", valueName: "pattern"))
    var events: [String] = []

    @Flag(help: "Begin with the events that are stored already.")
    var all = false

    @Option(help: ArgumentHelp("Stop after so many events.", valueName: "n"))
    var count: Int?

    @Option(help: ArgumentHelp("Stop after this time, such as 30s; exit status 1 if --count was not reached."))
    var timeout: String?

    @Flag(help: "CloudEvents JSON, one event a line, for programs.")
    var json = false

    func validate() throws {
        if let count, count < 1 { throw ValidationError("--count must be 1 or more") }
        if let timeout, Units.duration(timeout) == nil {
            throw ValidationError("--timeout must be a time such as 20s, 5m or 2h, not '\(timeout)'")
        }
    }

    func run() async throws {
        let setup = try loadSetup(options.request)
        let follower = EventFollower(
            dataFolder: setup.configuration.data, patterns: events, fromStart: all, count: count,
            timeout: timeout.flatMap(Units.duration))
        do {
            let isComplete = try await follower.run { Terminal.print(json ? $0.jsonLine : $0.text) }
            if !isComplete { throw ExitCode(1) }
        } catch let error as SetupError {
            throw fail(error.description, status: error.exitStatus)
        }
    }
}
