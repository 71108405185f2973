// Part of mailhookd. SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Glibc
import MailHookKit

struct ReceiveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "receive",
        abstract: "Take one mail from standard input, as a mail server's pipe transport hands it over.",
        discussion: """
            Hands the mail to the daemon that runs on the data folder, or stores it itself where none runs but one \
            did before (or `mailhookd hooks`); its events are then delivered when the daemon starts. Exit status, as \
            sysexits.h has them: 0 taken, 65 the mail can't be used, 67 no such hook, 77 not permitted, 75 anything \
            that may work later, a bad configuration or a wrong option too. Recipes for mail servers stand in docs/mail-servers.md.
            """)

    @OptionGroup var options: ConfigurationOptions

    @Option(
        help: ArgumentHelp(
            "The recipient, an address of a hook. May be repeated; the mail is taken if one of them takes it.",
            valueName: "address"))
    var to: [String]

    @Option(
        help: ArgumentHelp(
            "The envelope's sender, empty for the null sender. Without it, the mail's Return-Path counts.",
            valueName: "address"))
    var from: String?

    func validate() throws {
        if to.isEmpty { throw ValidationError("name the recipient with --to ADDRESS") }
    }

    func run() async throws {
        let setup: Setup
        do {
            // Only who stores a mail needs them: a daemon may have been given what nobody else can read.
            setup = try loadSetup(options.request, needsSecrets: false)
        } catch {
            // A mail server returns mail to its sender on the usual status of a bad configuration.
            throw ExitCode(SysExit.temporaryFailure)
        }
        let result = await PipeDelivery.receive(from: STDIN_FILENO, sender: from, recipients: to, setup: setup)
        guard result.exitStatus == 0 else {
            Terminal.printError(result.text)
            throw ExitCode(result.exitStatus)
        }
    }
}
