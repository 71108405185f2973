// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The command that shows the life of a message. Options only; MailHookKit does the work.

import ArgumentParser
import MailHookKit

struct TraceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trace", abstract: "Show the whole life of a message: arrival, answer, events, deliveries, attempts.",
        discussion: "Works whether the daemon runs or not. Exit status 1 when nothing is known of the id.")

    @OptionGroup var options: ConfigurationOptions

    @Argument(help: "The id of a message (msg_...), an event (evt_...) or a delivery (a number), or a Message-ID.")
    var id: String

    @Flag(help: "One JSON object a message, for programs.")
    var json = false

    func run() async throws {
        let setup = try loadSetup(options.request, needsSecrets: false)
        let lines: [String]
        do {
            lines = try await Trace.lines(id, dataFolder: setup.configuration.data, json: json)
        } catch {
            throw fail(error.description, status: error.exitStatus)
        }
        guard !lines.isEmpty else { throw fail("nothing is known of \(id)", status: 1) }
        lines.forEach { Terminal.print($0) }
    }
}
