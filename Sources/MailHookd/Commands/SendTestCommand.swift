// Part of mailhookd. SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MailHookKit

struct SendTestCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "send-test",
        abstract: "Send an example mail to a hook of the running daemon, over SMTP.",
        discussion: """
            The whole way a real mail goes. Without a file, the mail is an order confirmation with a JSON-LD script \
            that carries the hook's key, and each one is new. With a file, the file is sent as it is. Watch it \
            arrive with `mailhookd listen`. Exit status: 0 accepted, 75 refused for now \
            or no daemon, 69 refused, 66 no such hook or file.
            """)

    @OptionGroup var options: ConfigurationOptions

    @Argument(help: "The hook: its event name, or one of its addresses.")
    var hook: String

    @Argument(help: ArgumentHelp("The mail to send instead, as an .eml file.", valueName: "file.eml"))
    var file: String?

    @Option(help: ArgumentHelp("The daemon's SMTP address, if it is not the one that runs here.", valueName: "host:port"))
    var smtp: String?

    func run() throws {
        let setup = try loadSetup(options.request)
        do {
            let mail = try file.map { try MailFile.read($0, limit: setup.configuration.limits.messageSize) }
            let result = try TestMail.send(mail, to: hook, through: smtp, setup: setup, now: .now())
            Terminal.print(result.transcript)
            if result.exitStatus != 0 { throw ExitCode(result.exitStatus) }
        } catch let error as SetupError {
            throw fail(error.description, status: error.exitStatus)
        } catch let error as FileError {
            throw fail(error.description, status: SysExit.noInput)
        }
    }
}
