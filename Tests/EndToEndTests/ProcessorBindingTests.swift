// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Which processors the daemon's threads, and the programs it starts, may use.

import Foundation
import HookModel
import TestSupport
import Testing

@Suite(.enabled(if: ThreadPlacement.processors().count > 1, "needs two processors"))
struct ProcessorBindingTests {
    /// By thread: its name and `Cpus_allowed_list` of its status.
    private static func threads(of process: Int32) throws -> [(name: String, processors: String)] {
        let folder = "/proc/\(process)/task"
        return try FileManager.default.contentsOfDirectory(atPath: folder).compactMap { thread in
            // It may have ended.
            guard let text = try? String(contentsOfFile: "\(folder)/\(thread)/status", encoding: .utf8) else { return nil }
            let fields = text.split(separator: "\n").map { $0.split(separator: ":", maxSplits: 1) }
            func value(_ name: String) -> String {
                fields.first { $0[0] == name }.map { $0[1].trimmingCharacters(in: .whitespaces) } ?? ""
            }
            return (value("Name"), value("Cpus_allowed_list"))
        }
    }

    @Test func eventLoopsKeepToTheirsAndNothingElseDoes() throws {
        let installation = try Installation()
        let script = try installation.write("look.sh", "grep Cpus_allowed_list: /proc/self/status >> seen\n")
        let configuration = try String(contentsOf: installation.configurationFile, encoding: .utf8)
        try (configuration + """

            processorBinding: always
            subscriptions:
              - name: look
                events: [">"]
                exec: { command: ["/bin/sh", "\(script.path)"], folder: "\(installation.folder.path)" }
            """).write(to: installation.configurationFile, atomically: true, encoding: .utf8)
        try installation.start()
        let process = try #require(installation.daemon).identifier
        let all = try #require(Self.threads(of: process).first { $0.name == "mailhookd" }).processors
        for number in 1...5 {
            let mail = numberedMail("\(number)")
            #expect(try installation.command(["receive", "--to", Installation.alias], input: mail).status == 0)
        }
        let processors = ThreadPlacement.processors().map(String.init).sorted()
        try eventually("each loop has its processor, everything else all of them") {
            let threads = try Self.threads(of: process)
            let loops = threads.filter { $0.name.hasPrefix("NIO-") }
            // Under a quota of CPU time there are fewer loops than processors, and none is bound.
            let numbers = loops.count == processors.count ? processors : loops.map { _ in all }
            return loops.map(\.processors).sorted() == numbers
                && threads.filter { !$0.name.hasPrefix("NIO-") }.allSatisfy { $0.processors == all }
        }
        try eventually("five programs") { installation.file("seen").split(separator: "\n").count == 5 }
        let lines = installation.file("seen").split(separator: "\n")
        #expect(lines.allSatisfy { $0 == "Cpus_allowed_list:\t\(all)" }, "\(lines)")
        #expect(try installation.stop() == 0)
    }

    /// One client alone is served where it runs.
    @Test(.enabled(if: (2...4).contains(ThreadPlacement.processors().count), "needs two to four processors"))
    func whileThereAreManyConnections() throws {
        let installation = try Installation()
        try installation.start()
        let process = try #require(installation.daemon).identifier
        let all = try #require(Self.threads(of: process).first { $0.name == "mailhookd" }).processors
        /// By event loop; nothing but loops is ever bound for long.
        func loops() throws -> [String] {
            let threads = try Self.threads(of: process)
            return threads.filter { $0.name.hasPrefix("NIO-") }.map(\.processors)
        }
        // Under a quota of CPU time there are fewer loops than processors, and none is bound.
        let isBindable = try loops().count == ThreadPlacement.processors().count
        let bound = ThreadPlacement.processors().map(String.init).sorted()
        func connections(_ count: Int) throws -> [Connection] {
            try (0..<count).map { _ in
                let connection = try Connection(installation.smtp)
                _ = try connection.reply()
                return connection
            }
        }
        let open = try connections(3)
        usleep(1_500_000)
        #expect(Set(try loops()) == [all])
        // `mailhookd receive` would come like this.
        var handingOver: Connection? = try Connection(unix: installation.folder.appendingPathComponent("data/receive.sock").path)
        try eventually("each loop has its processor") { try !isBindable || loops().sorted() == bound }
        withExtendedLifetime(handingOver) {}
        handingOver = nil
        for connection in open.dropFirst() { #expect(try connection.command("QUIT").hasPrefix("221 ")) }
        try eventually("all are free") { try Set(Self.threads(of: process).map(\.processors)) == [all] }
        #expect(try open[0].command("NOOP").hasPrefix("250 "))
        #expect(try installation.stop() == 0)
    }

    @Test func orNobodyDoes() throws {
        let installation = try Installation("processorBinding: never")
        try installation.start()
        #expect(try installation.swaks().status == 0)
        usleep(1_500_000)
        let threads = try Self.threads(of: #require(installation.daemon).identifier)
        #expect(threads.contains { $0.name.hasPrefix("NIO-") })
        #expect(Set(threads.map(\.processors)).count == 1, "\(threads)")
        #expect(try installation.stop() == 0)
    }
}
