// Part of mailhookd. SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MailHookKit

struct MIMECommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mime",
        abstract: "Show the MIME structure of mails.",
        discussion: """
            Needs no configuration. Prints one JSON object a message: file, decoded header fields, the parts with \
            content (path, type, charset, encoding, file name, size and SHA-256 of the decoded body), problems. \
            A folder means all files in it, in the order of their names; `-` is standard input. Exit status 66 when \
            a file could not be read.
            """)

    @Argument(help: ArgumentHelp("Mails, or folders of mails.", valueName: "file"))
    var files: [String]

    func run() throws {
        do {
            if try !MIMEListing.run(files) { throw ExitCode(SysExit.noInput) }
        } catch let error as FileError {
            throw fail(error.description, status: SysExit.noInput)
        }
    }
}
