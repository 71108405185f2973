// Part of mailhookd. SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MailHookKit

struct TryCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "try",
        abstract: "Explain what a mail or a post would become; nothing is stored or sent.",
        discussion: """
            Shows the parts of the mail, every candidate for a document with the reason it was taken or refused, the \
            answer an SMTP sender would get, and the events. Without --to, the recipient is the only email hook \
            there is, or the first of the mail's To and Cc addresses that leads to one. `-` reads standard input. \
            Where --to names a form or web hook, the file is taken for the body of a POST to it. \
            Exit status: 0 when the mail would be accepted, else as the pipe front end would answer \
            (65 data, 67 no such hook, 77 not permitted).
            """)

    @OptionGroup var options: ConfigurationOptions

    @Argument(help: ArgumentHelp("The mail as .eml file, or the body of a POST.", valueName: "file"))
    var file: String

    @Option(help: ArgumentHelp("The recipient: a hook's address, its URL, or its event name.", valueName: "address"))
    var to: String?

    @Option(help: ArgumentHelp("The media type of a POST's body, if the file's name does not say it.", valueName: "type"))
    var type: String?

    @Flag(help: "One JSON object, for programs.")
    var json = false

    func run() throws {
        let setup = try loadSetup(options.request)
        do {
            let bytes = try MailFile.read(file, limit: setup.configuration.limits.messageSize)
            let post = try PostTrial.run(bytes, file: file, mediaType: type, to: to, setup: setup, now: .now())
            if let post {
                Terminal.print(json ? post.json : post.text)
                if post.exitStatus != 0 { throw ExitCode(post.exitStatus) }
                return
            }
            let trial = try Trial.run(bytes, to: to, setup: setup, now: .now())
            Terminal.print(json ? trial.json : trial.text)
            if trial.exitStatus != 0 { throw ExitCode(trial.exitStatus) }
        } catch let error as SetupError {
            throw fail(error.description, status: error.exitStatus)
        } catch let error as FileError {
            throw fail(error.description, status: SysExit.noInput)
        }
    }
}
