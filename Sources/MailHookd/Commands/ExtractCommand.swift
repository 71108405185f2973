// Part of mailhookd. SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import HookExtraction
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

    @Flag(help: "Mend broken JSON where what was meant is plain; each change is named.")
    var repair = false

    func run() throws {
        do {
            if try !Extraction.run(files, repair: repair ? .on : .off) { throw ExitCode(SysExit.noInput) }
        } catch let error as FileError {
            throw fail(error.description, status: SysExit.noInput)
        }
    }
}
