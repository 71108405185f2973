// Part of mailhookd. SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MailHookKit

struct HooksCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hooks",
        abstract: "Show every hook with its address or URL, and its key.",
        discussion: """
            Addresses and keys are secrets: whoever knows a hook's address can send to it. They follow from the \
            instance secret in the data folder, which is made if it is missing.
            """)

    @OptionGroup var options: ConfigurationOptions

    @Flag(help: "One JSON object a line, for programs.")
    var json = false

    func run() throws {
        let setup = try loadSetup(options.request)
        do {
            let directory = try setup.directory()
            Terminal.print(json ? try HookListing.json(directory, setup) : try HookListing.text(directory, setup))
        } catch {
            throw fail(error.description, status: SysExit.noPermission)
        }
    }
}
