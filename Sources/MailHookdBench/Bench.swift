// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// mailhookd-bench: measures the leaves in memory, on one thread, on its own clock. Prints one
// JSON line, as the tools it is compared with do.

import Glibc

@main
struct Bench {
    /// Long enough for the clock, short enough for many rounds.
    private static let seconds = 2.0
    /// Mails up to this many octets are the small set.
    private static let smallSize = 256 << 10

    private static let usage = """
        usage: mailhookd-bench mime DIR small|large    structure and all bodies decoded to UTF-8
               mailhookd-bench html DIR                script elements of HTML files
               mailhookd-bench json FILE               a JSON text to its checked index
               mailhookd-bench jsonld expand|quads FILE [--context F]   documents, one a line
               mailhookd-bench extract DIR             documents of mails, as `mailhookd extract` finds them
        """

    static func main() {
        let arguments = CommandLine.arguments.dropFirst()
        guard let line = run(Array(arguments)) else {
            let text = usage + "\n"
            text.withCString { _ = write(STDERR_FILENO, $0, text.utf8.count) }
            exit(64)
        }
        print(line)
    }

    private static func run(_ arguments: [String]) -> String? {
        switch arguments.first {
        case "mime" where arguments.count == 3:
            let files = BenchFiles.inFolder(arguments[1]).filter { ($0.count <= smallSize) == (arguments[2] == "small") }
            return mimeBench(files: files, seconds: seconds).line(tool: "mailhookd", set: arguments[2])
        case "html" where arguments.count == 2:
            return htmlBench(files: BenchFiles.inFolder(arguments[1]), seconds: seconds)
        case "json" where arguments.count == 2: return try? JSONBench.run(BenchFiles.read(arguments[1]))
        case "jsonld" where arguments.count >= 3: return jsonld(Array(arguments.dropFirst()))
        case "extract" where arguments.count == 2:
            return extractBench(files: BenchFiles.inFolder(arguments[1]), seconds: seconds)
        default: return nil
        }
    }

    private static func jsonld(_ arguments: [String]) -> String? {
        guard let operation = JSONLDBench.Operation(rawValue: arguments[0]),
            arguments.count == 2 || arguments.count == 4 && arguments[2] == "--context"
        else { return nil }
        let context = arguments.count == 4 ? BenchFiles.read(arguments[3]) : nil
        do {
            return try JSONLDBench.run(operation, BenchFiles.read(arguments[1]), context: context, seconds: seconds)
        } catch {
            return "{\"tool\":\"mailhookd\",\"error\":\"\(error)\"}"
        }
    }
}
