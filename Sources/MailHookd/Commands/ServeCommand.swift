// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// `mailhookd serve`: the daemon. Flags override the configuration.

import ArgumentParser
import MailHookKit

struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Run the daemon.",
        discussion: """
            Prints one line per listener, such as `smtp 127.0.0.1:2525`, when it is ready; logs go to standard error. \
            SIGTERM or SIGINT ends it after what is in progress, a second one at once. SIGHUP reads configuration and \
            app definitions again and takes them wholly or not at all. Sockets that systemd passes by the names smtp, smtps, \
            lmtp, http, https and admin are served like those of the configuration. Exit status: 0 after a signal, 65 when the \
            store is damaged, 73 when another file is in the place of a socket, 75 when an address or the store is taken or too few files \
            may be open, 77 when a file may not be read or written, 78 when the configuration is bad.
            """)

    @OptionGroup var options: ConfigurationOptions

    @Option(
        help: ArgumentHelp(
            "Listen for SMTP here instead of where the configuration says; port 0 picks a free one. May be repeated.",
            valueName: "host:port"))
    var smtp: [String] = []

    @Option(
        help: ArgumentHelp("Listen for LMTP here: an address or the path of a Unix socket.", valueName: "host:port|path"))
    var lmtp: [String] = []

    @Option(help: ArgumentHelp("Listen for form and web hooks over HTTP here.", valueName: "host:port"))
    var http: [String] = []

    @Option(
        help: ArgumentHelp(
            "Take mail from this Maildir instead of those of the configuration. May be repeated.", valueName: "dir"))
    var maildir: [String] = []

    @Option(
        help: ArgumentHelp(
            """
            Whom the mail in --maildir is for: an address or an event name. Without it, the mail's Delivered-To, \
            X-Original-To, Envelope-To, To or Cc says it, or else it is for the only email hook there is.
            """, valueName: "address"))
    var to: String?

    func validate() throws {
        if to != nil, maildir.isEmpty { throw ValidationError("--to goes with --maildir") }
    }

    func run() async throws {
        var request = options.request
        request.maildirs = maildir
        request.maildirRecipient = to
        request.smtp = smtp
        request.lmtp = lmtp
        request.http = http
        // Before anything is read: who changes the configuration now is answered by a reload.
        let reloadSignals = await ReloadSignals()
        let setup = try loadSetup(request, showWarnings: true)
        do {
            try await Daemon(setup: setup, reloadSignals: reloadSignals).run()
        } catch {
            throw fail(error.description, status: error.exitStatus)
        }
    }
}
