// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// `mailhookd send-test`. Options only; MailHookKit does the work.

import ArgumentParser
import MailHookKit

struct SendTestCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "send-test",
        abstract: "Send an example to a hook of the running daemon.",
        discussion: """
            The whole way a real one goes: a mail over SMTP to an email hook, a POST to a form hook, a signed POST to a \
            web hook. Without a file, it holds example data made from what is known of the hook (see `mailhookd hooks \
            sample`); a mail carries the hook's key, and is new each time. With a file, the file is sent as it is. \
            Watch it arrive with `mailhookd listen`. Exit status: 0 accepted, 75 refused for now or no daemon, 69 \
            refused, 66 no such hook or file.
            """)

    @OptionGroup var options: ConfigurationOptions

    @Argument(help: "The hook: its event name, one of its addresses, or its URL.")
    var hook: String

    @Argument(help: ArgumentHelp("What to send instead: a mail as .eml file, or the body of a POST.", valueName: "file"))
    var file: String?

    @Option(help: ArgumentHelp("The daemon's SMTP address, if it is not the one that runs here.", valueName: "host:port"))
    var smtp: String?

    @Option(help: ArgumentHelp("The daemon's HTTP address, if it is not the one that runs here.", valueName: "host:port"))
    var http: String?

    @Option(
        help: ArgumentHelp("TLS for a mail: none, starttls, or implicit as `listen.smtps` has it.", valueName: "mode"),
        transform: {
            guard let mode = TestMail.TLS.Mode(rawValue: $0) else { throw ValidationError("--tls is none, starttls or implicit") }
            return mode
        })
    var tls = TestMail.TLS.Mode.none

    @Option(help: ArgumentHelp("The name the certificate has to be for, if it is not `hostname`.", valueName: "name"))
    var tlsName: String?

    @Option(help: ArgumentHelp("Authorities in PEM that are trusted besides the system's.", valueName: "file"))
    var tlsAuthority: String?

    @Flag(help: "Take any certificate.")
    var tlsUnverified = false

    @Option(help: ArgumentHelp("The media type of a POST's body, if the file's name does not say it.", valueName: "type"))
    var type: String?

    func run() throws {
        let setup = try loadSetup(options.request, needsSecrets: false)
        do {
            let security = TestMail.TLS(tls, name: tlsName, authorityFile: tlsAuthority, isVerified: !tlsUnverified)
            let mail = try file.map { try MailFile.read($0, limit: setup.configuration.limits.messageSize) }
            let result =
                try TestPost.send(mail, type: type ?? file.flatMap(TestPost.mediaType), to: hook, through: http, setup: setup, now: .now())
                ?? TestMail.send(mail, to: hook, through: smtp, tls: security, setup: setup, now: .now())
            Terminal.print(result.transcript)
            if result.exitStatus != 0 { throw ExitCode(result.exitStatus) }
        } catch let error as SetupError {
            throw fail(error.description, status: error.exitStatus)
        } catch let error as FileError {
            throw fail(error.description, status: SysExit.noInput)
        }
    }
}
