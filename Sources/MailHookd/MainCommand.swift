// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The command line. Each command reads its options and calls MailHookKit, which does the work.

import ArgumentParser
import MailHookKit

struct MainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mailhookd",
        abstract: "Turns mail that carries JSON or JSON-LD into durable, named events.",
        discussion: """
            An app definition declares hooks; each email hook is an address. Mail sent to it is parsed, the JSON in \
            it is taken out, and each piece becomes one event named by the hook, stored on disk before the sender \
            hears 250 and delivered to every subscription that asks for it.

            Start here: `mailhookd check` reads the configuration, `mailhookd hooks` shows the addresses, \
            `mailhookd serve` runs the daemon, `mailhookd try mail.eml` explains what one mail would become.
            """,
        version: Version.text,
        subcommands: [
            ServeCommand.self, CheckCommand.self, HooksCommand.self, TryCommand.self, ExtractCommand.self, MIMECommand.self,
            JSONLDCommand.self, ListenCommand.self, EventsCommand.self, SendTestCommand.self, ReceiveCommand.self,
            KeysCommand.self, AppsCommand.self, StoreCommand.self, DeliveriesCommand.self, SubscriptionsCommand.self,
            TraceCommand.self,
        ])

    static func main() async {
        // ArgumentParser takes `--from=` for an option without its value; a mail server means the null sender by it.
        let arguments = CommandLine.arguments.dropFirst().flatMap { $0 == "--from=" ? ["--from", ""] : [$0] }
        do {
            var command = try parseAsRoot(arguments)
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch {
            guard let reason = whyMailWaits(arguments, error) else { exit(withError: error) }
            Terminal.printError("4.3.5 \(reason)")
            exit(withError: ExitCode(SysExit.temporaryFailure))
        }
    }

    /// What a mail server is told whose mail was not read; nil where it is not a mail server's command that failed, or where
    /// the command has told it.
    private static func whyMailWaits(_ arguments: [String], _ error: any Error) -> String? {
        let name = ReceiveCommand.configuration.commandName
        guard arguments.first(where: { !$0.hasPrefix("-") }) == name else { return nil }
        // Mail must not be returned to its sender because of a wrong option in a mail server's configuration.
        if exitCode(for: error) == .validationFailure { return message(for: error) }
        // Nor be taken for delivered: it was asked for help, say.
        let hasRecipient = arguments.contains { $0 == "--to" || $0.hasPrefix("--to=") }
        return hasRecipient && exitCode(for: error).isSuccess
            ? "no mail was read: an option besides --to asks for something else than to receive one" : nil
    }
}

/// Where the configuration is; the same for all commands that need it.
struct ConfigurationOptions: ParsableArguments {
    @Option(
        name: .customLong("config"),
        help: ArgumentHelp(
            "The configuration file (default: /etc/mailhookd/mailhookd.yaml if it exists, else built-in defaults).",
            valueName: "file"))
    var file: String?

    @Option(help: ArgumentHelp("The data folder, instead of the configuration's.", valueName: "folder"))
    var data: String?

    var request: SetupRequest { SetupRequest(configurationFile: file, dataFolder: data) }
}

/// Says what went wrong on standard error and ends with a status of sysexits.h.
func fail(_ message: String, status: Int32) -> ExitCode {
    Terminal.printError("mailhookd: \(message)")
    return ExitCode(status)
}

/// Loads configuration and app definitions; findings go to standard error, errors end the command with 78.
///
/// - Parameter needsSecrets: false for commands that do without them, see `SetupRequest`.
func loadSetup(_ given: SetupRequest, showWarnings: Bool = false, needsSecrets: Bool = true) throws -> Setup {
    var request = given
    request.needsSecrets = needsSecrets
    switch Setup.load(request) {
    case .success(let setup):
        if showWarnings { setup.warnings.forEach { Terminal.printError($0.description) } }
        return setup
    case .failure(let failure):
        failure.diagnostics.forEach { Terminal.printError($0.description) }
        throw ExitCode(failure.exitStatus)
    }
}
