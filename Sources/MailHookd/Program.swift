// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Where the program begins. `extract` may be started for every single mail, and reading a command
// line by reflection takes longer than the mail does: its plain form goes straight to work.

import ArgumentParser
import Glibc
import MailHookKit

@main
enum Program {
    static func main() async {
        let arguments = CommandLine.arguments
        if arguments.dropFirst().first == ServeCommand.configuration.commandName { ReloadSignals.expect() }
        occupyStandardDescriptors()
        if arguments.count > 2, arguments[1] == "extract", !arguments.dropFirst(2).contains(where: isOption) {
            exit(extract(Array(arguments.dropFirst(2))))
        }
        await MainCommand.main()
    }

    /// Started with one of them closed, a file of ours would get its number, and then what is printed. Reading from this
    /// one fails: no standard input is something else than an empty one.
    private static func occupyStandardDescriptors() {
        for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) < 0 {
            // The lowest number that is free is taken.
            _ = open("/dev/null", O_WRONLY)
        }
    }

    /// `-` alone is standard input.
    private static func isOption(_ argument: String) -> Bool { argument.hasPrefix("-") && argument != "-" }

    private static func extract(_ files: [String]) -> Int32 {
        do throws(FileError) {
            return try Extraction.run(files) ? 0 : SysExit.noInput
        } catch {
            Terminal.printError("mailhookd: \(error)")
            return SysExit.noInput
        }
    }
}
