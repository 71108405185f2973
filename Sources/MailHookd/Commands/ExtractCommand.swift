// Part of mailhookd. SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MailHookKit

struct ExtractCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "extract",
        abstract: "Take the JSON documents out of mails.",
        discussion: """
            Needs no configuration. Prints one JSON object a message: file, documents (path of the part, kind, \
            origin, index, file name, whether it stood in an attached message, value as it was sent), errors. \
            A folder means all files in it, in the order of their names; `-` is standard input. Exit status 66 when \
            a file could not be read.
            """)

    @Argument(help: ArgumentHelp("Mails, or folders of mails.", valueName: "file"))
    var files: [String]

    func run() throws {
        if try !Extraction.run(files) { throw ExitCode(SysExit.noInput) }
    }
}
