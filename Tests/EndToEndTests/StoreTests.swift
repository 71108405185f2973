// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The store over the years, from outside: retention, backup, restore, check, and what `mailhookd
// store` shows.

import Foundation
import TestSupport
import Testing

extension Installation {
    /// What `mailhookd store --json` shows.
    fileprivate func summary() throws -> [String: Any] {
        let result = try command(["store", "--json"])
        guard result.status == 0 else { throw Child.Failure(description: "store: \(result.errors)") }
        return try #require(try Installation.objects(result.output).first)
    }

    fileprivate func count(_ name: String) throws -> Int { try #require(try summary()[name] as? Int) }

    fileprivate func send(_ number: String) throws -> Int32 {
        try command(["receive", "--to", Installation.alias], input: numberedMail(number)).status
    }
}

@Suite struct StoreTests {
    @Test func whatIsOverGoesAndWhatIsStillToBeDeliveredStays() throws {
        let installation = try Installation(
            """
            retention: { messages: 1s, events: 2s, delivered: 1s, dead: 1s, duplicates: 3s }
            subscriptions:
              - { name: log, events: [">"], file: { path: events.ndjson } }
            """)
        try installation.start()
        for index in 0..<20 { #expect(try installation.send("\(index)") == 0) }
        try eventually("all are gone") { try installation.count("messages") <= 1 }
        // The delivery with the highest number stays until there is another, and its event with it.
        #expect(try installation.count("rawMessages") == 0)
        #expect(try installation.count("events") == 0)
        #expect(installation.file("events.ndjson").split(separator: "\n").count == 20)
        // It is new again by now, with an event of the same id; its number is a new one.
        #expect(try installation.send("0") == 0)
        try eventually("it is delivered again") { installation.file("events.ndjson").split(separator: "\n").count == 21 }
        let ids = try Installation.objects(installation.file("events.ndjson")).compactMap { $0["id"] as? String }
        #expect(Set(ids).count == 20 && ids.first == ids.last)
        let log = try #require(installation.daemon?.errors)
        #expect(log.contains("retention") && log.contains("forgotten="))
        #expect(try installation.stop() == 0)
        let check = try installation.command(["store", "check"])
        #expect(check.status == 0, "\(check)")
    }

    @Test func eventsWaitForTheirDelivery() throws {
        let installation = try Installation(
            """
            retention: { messages: 1s, events: 1s, delivered: 1s, dead: 1s, duplicates: 1s }
            subscriptions:
              - { name: later, events: [">"], exec: { command: ["/bin/sh", "-c", "exit 75"] }, retry: [1h] }
            """)
        try installation.start()
        for index in 0..<5 { #expect(try installation.send("\(index)") == 0) }
        try eventually("raw messages are gone") { try installation.count("rawMessages") == 0 }
        usleep(2_500_000)
        #expect(try installation.count("events") == 5 && installation.count("deliveriesWaiting") == 5)
        #expect(try installation.orderNumbers() == ["0", "1", "2", "3", "4"])
        #expect(try installation.send("3") == 0)
        #expect(try installation.count("duplicates") == 1)
        #expect(try installation.stop() == 0)
    }

    @Test func backupAndRestoreWhileMailComes() throws {
        let installation = try Installation()
        try installation.start()
        let (host, port) = try installation.smtp
        let mail = try installation.write("mail", numberedMail("0"))
        #expect(try Child.run("swaks", ["--server", host, "--port", port, "--from", "a@x.example", "--to", Installation.alias, "--data", "@\(mail.path)"]).status == 0)
        var sent = ["0"]
        var saved: [[String]] = []
        for round in 0..<3 {
            let sender = try Child(
                "sh", ["-c", "for i in $(seq 0 14); do printf 'Content-Type: application/json\\n\\n{\"orderNumber\": \"\(round)-%s\"}\\n' $i | \(Installation.binary) receive --to \(Installation.alias) --config \(installation.configurationFile.path) || exit 1; done"])
            usleep(200_000)
            let backup = try installation.command(["store", "backup", installation.folder.path + "/saved\(round)/"])
            #expect(backup.status == 0 && backup.output.contains("mailhookd.sqlite") && backup.output.contains("instance.key"), "\(backup)")
            saved.append(sent)
            #expect(try sender.wait().status == 0)
            sent += (0..<15).map { "\(round)-\($0)" }
        }
        // Nothing is overwritten unasked, and one file is as good as a folder.
        let folder = installation.folder.path
        #expect(try installation.command(["store", "backup", folder + "/saved0/"]).status == 73)
        #expect(try installation.command(["store", "backup", folder + "/saved0/", "--force"]).status == 0)
        saved[0] = sent
        #expect(try installation.command(["store", "backup", folder + "/one"]).status == 0)
        var status = stat()
        #expect(stat(folder + "/one", &status) == 0 && status.st_mode & 0o7777 == 0o600)
        // Not while the daemon has it.
        #expect(try installation.command(["store", "restore", folder + "/one"]).status == 75)
        #expect(try installation.command(["store", "compact"]).status == 75)
        let address = try installation.command(["hooks"]).output
        #expect(try installation.stop() == 0)
        for round in 0..<3 {
            let other = try Installation()
            let restored = try other.command(["store", "restore", folder + "/saved\(round)"])
            #expect(restored.status == 0, "\(restored)")
            #expect(try other.command(["hooks"]).output == address, "the same secret")
            #expect(try other.command(["store", "check", "--deep"]).status == 0)
            #expect(Set(try other.orderNumbers()).isSuperset(of: saved[round]))
            // It goes on from there.
            try other.start()
            #expect(try other.send("0") == 0 && other.send("after") == 0)
            #expect(try other.stop() == 0)
            #expect(try other.count("duplicates") >= 1)
            #expect(try other.orderNumbers().contains("after"))
        }
        // Over one that is there, which is kept.
        let over = try installation.command(["store", "restore", folder + "/one"])
        #expect(over.status == 0 && over.output.contains("before-restore-1"), "\(over)")
        #expect(try installation.orderNumbers() == sent.sorted())
        #expect(try installation.command(["store", "restore", folder + "/nothing"]).status == 66)
    }

    @Test func erasure() throws {
        let installation = try Installation()
        try installation.makeSecret()
        for number in ["1", "2", "3"] { #expect(try installation.send(number) == 0) }
        let event = try #require(try installation.events().last?["id"] as? String)
        let first = try installation.command(["store", "erase", "--message-id", "<1@fernleaf.example>"])
        #expect(first.status == 0 && first.output == "erased: 1 messages, 1 events\n", "\(first)")
        #expect(try installation.command(["store", "erase", "--event", event]).status == 0)
        #expect(try installation.orderNumbers() == ["2"])
        #expect(try installation.command(["store", "erase", "--message-id", "1@fernleaf.example"]).status == 1)
        #expect(try installation.command(["store", "erase"]).status == 64)
        #expect(try installation.command(["store", "check", "--deep"]).status == 0)
        let file = try Data(contentsOf: installation.folder.appendingPathComponent("data/mailhookd.sqlite"))
        #expect(file.firstRange(of: Data("1@fernleaf.example".utf8)) == nil)
        #expect(file.firstRange(of: Data("2@fernleaf.example".utf8)) != nil)
    }

    /// While the daemon takes mail and delivers it: over its control socket, and nothing of it is left in any file.
    @Test func erasureWhileTheDaemonRuns() throws {
        let installation = try Installation(
            """
            subscriptions:
              - { name: never, events: [">"], exec: { command: ["/bin/sh", "-c", "exit 75"] }, retry: [1h] }
            """)
        try installation.start()
        for number in ["1", "2", "3"] { #expect(try installation.send(number) == 0) }
        let event = try #require(try installation.events().last?["id"] as? String)
        let (host, port) = try installation.smtp
        let load = try Child(
            "smtp-source",
            ["-s", "5", "-m", "3000", "-l", "4096", "-f", "a@shop.example", "-t", Installation.alias, "\(host):\(port)"])
        let first = try installation.command(["store", "erase", "--message-id", "<1@fernleaf.example>"])
        #expect(first.status == 0 && first.output == "erased: 1 messages, 1 events\n", "\(first)")
        let second = try installation.command(["store", "erase", "--event", event])
        #expect(second.status == 0 && second.output == "erased: 1 messages, 1 events\n", "\(second)")
        let data = installation.folder.appendingPathComponent("data")
        var isFound = false
        for name in try FileManager.default.subpathsOfDirectory(atPath: data.path) {
            guard let octets = FileManager.default.contents(atPath: data.appendingPathComponent(name).path) else { continue }
            for gone in ["1", "3"] { #expect(octets.firstRange(of: Data("<\(gone)@fernleaf.example>".utf8)) == nil, "\(name)") }
            isFound = isFound || octets.firstRange(of: Data("2@fernleaf.example".utf8)) != nil
        }
        #expect(isFound && installation.daemon?.isRunning == true)
        #expect(try load.wait().status == 0)
        #expect(try installation.orderNumbers() == ["2"])
        let waiting = try installation.command(["deliveries", "list", "--json", "--state", "waiting"])
        #expect(try Installation.objects(waiting.output).count == 1, "\(waiting)")
        #expect(try installation.command(["store", "erase", "--message-id", "1@fernleaf.example"]).status == 1)
        #expect(try installation.command(["store", "check"]).status == 0)
        // The same mail is known again.
        #expect(try installation.send("1") == 0)
        #expect(try installation.orderNumbers() == ["2"])
        #expect(try installation.stop() == 0)
        #expect(installation.lastLog.contains("erased") && !installation.lastLog.contains("fernleaf"))
        #expect(try installation.command(["store", "check", "--deep"]).status == 0)
    }

    @Test func summaryAndCompaction() throws {
        let installation = try Installation("retention: { messages: 1s, events: 90d }")
        #expect(try installation.command(["store"]).status == 66)
        #expect(try installation.command(["store", "check"]).status == 66)
        try installation.makeSecret()
        let filler = String(repeating: String(repeating: "x", count: 70) + "\n", count: 20_000)
        for index in 0..<3 {
            let mail = numberedMail("\(index)", header: "X-Number: \(index)\n") + filler
            #expect(try installation.command(["receive", "--to", Installation.alias], input: mail).status == 0)
        }
        #expect(try installation.count("rawMessages") == 3)
        let words = try installation.command(["store"])
        #expect(words.status == 0 && words.output.contains("3, of them 0 duplicates") && words.output.contains("messages 1s"), "\(words)")
        try installation.start()
        try eventually("raw messages are gone") { try installation.count("rawMessages") == 0 }
        #expect(try installation.stop() == 0)
        let before = try installation.summary()
        // They were in the journal, whose files are used again.
        #expect(try #require(before["journalOctets"] as? Int) > 3_000_000)
        #expect(try #require(before["usedOctets"] as? Int) < 1_000_000)
        let compacted = try installation.command(["store", "compact"])
        #expect(compacted.status == 0, "\(compacted)")
        #expect(try installation.count("fileOctets") < 1_000_000)
        #expect(try installation.command(["store", "check", "--deep"]).status == 0)
    }
}
