// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// `mailhookd hooks` and `hooks sample`: options and arguments; the lines are written by MailHookKit.

import ArgumentParser
import MailHookKit

struct HooksCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hooks",
        abstract: "Show every hook with its address or URL, and its key.",
        discussion: """
            Addresses and keys are secrets: whoever knows a hook's address can send to it. They follow from the \
            instance secret in the data folder, which is made if it is missing.
            """,
        subcommands: [List.self, Sample.self], defaultSubcommand: List.self)

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "Show every hook with its address or URL, and its key.")

        @OptionGroup var options: ConfigurationOptions

        @Flag(help: "One JSON object a line, for programs.")
        var json = false

        func run() throws {
            let setup = try loadSetup(options.request, needsSecrets: false)
            do {
                let directory = try setup.directory()
                Terminal.print(json ? try HookListing.json(directory, setup) : try HookListing.text(directory, setup))
            } catch {
                throw fail(error.description, status: SysExit.noPermission)
            }
        }
    }

    struct Sample: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "sample", abstract: "Print an example of a hook's events.",
            discussion: """
                The data is made from the hook's schema, or from the sample, schema and template of its trigger, and goes \
                the way real data goes. What is wrong with it, such as a trigger that its own schema refuses, is told on \
                standard error. Exit status: 65 when the example would be refused, 66 when there is no such hook.
                """)

        @OptionGroup var options: ConfigurationOptions

        @Argument(help: "The hook's event name.")
        var hook: String

        @Flag(name: .customLong("only-data"), help: "Only the data, for example to post it.")
        var onlyData = false

        func run() throws {
            let setup = try loadSetup(options.request, needsSecrets: false)
            do {
                let sample = try SampleEvent.make(hook, onlyData: onlyData, setup: setup, now: .now())
                sample.notes.forEach { Terminal.printError("mailhookd: \($0)") }
                Terminal.print(sample.line)
            } catch let error as SetupError {
                throw fail(error.description, status: error.exitStatus)
            } catch let error as FileError {
                throw fail(error.description, status: SysExit.noPermission)
            }
        }
    }
}
