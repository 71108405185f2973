// Part of mailhookd. SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MailHookKit

struct CheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Check configuration and app definitions.",
        discussion: """
            Every finding is one line: file, line, column, what is wrong, and what to do. Files, programs, folders and \
            ports that the configuration names are looked at as well; root looks with the eyes of the data folder's \
            owner. Nothing is started or changed. Exit status 0 when all is well (warnings do not count), 78 when \
            something is wrong.
            """)

    @OptionGroup var options: ConfigurationOptions

    func run() throws {
        let setup = try loadSetup(options.request, showWarnings: true)
        setup.inspect().forEach { Terminal.printError($0.description) }
        Terminal.print(setup.summary)
    }
}
