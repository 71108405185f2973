// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// `mailhookd receive`, as a mail server's pipe transport calls it, with and without a daemon.

import Foundation
import TestSupport
import Testing

@Suite struct ReceiveTests {
    private func receive(_ installation: Installation, _ mail: String, _ arguments: [String] = []) throws -> Child.Result {
        let recipient = arguments.contains { $0.hasPrefix("--to") } ? [] : ["--to", Installation.alias]
        return try installation.command(["receive"] + recipient + arguments, input: mail)
    }

    @Test(arguments: [true, false])
    func exitStatusTellsWhatBecameOfTheMail(isRunning: Bool) throws {
        let installation = try Installation("limits: { messageSize: 64KiB }", hook: "onNoData: reject")
        if isRunning { try installation.start() }
        let taken = try receive(installation, numberedMail("1"), ["--from", "shop@fernleaf.example"])
        #expect(taken.status == 0 && taken.output.isEmpty, "\(taken.errors)")
        let event = try #require(try installation.events().first)
        #expect(event["mailfrom"] as? String == "shop@fernleaf.example")
        #expect(try receive(installation, numberedMail("1")).status == 0)
        #expect(try installation.events().count == 1)

        let noData = try receive(installation, "Subject: x\n\nnothing\n")
        #expect(noData.status == 65 && noData.errors == "5.6.0 No structured data found\n")
        let large = try receive(installation, numberedMail("2") + String(repeating: "x", count: 300_000))
        #expect(large.status == 65 && large.errors.hasPrefix("5.3.4 "))
        let unknown = try receive(installation, numberedMail("2"), ["--to", "nobody@hooks.example.com"])
        #expect(unknown.status == 67 && unknown.errors.hasPrefix("5.1.1 "))
        let foreign = try receive(installation, numberedMail("2"), ["--to", "someone@elsewhere.example"])
        #expect(foreign.status == 77 && foreign.errors.hasPrefix("5.7.1 "))
        #expect(try installation.events().count == 1)
        // One of several is enough, as in SMTP.
        let several = try receive(
            installation, numberedMail("3"), ["--to", "nobody@hooks.example.com", "--to=\(Installation.alias)", "--from="])
        #expect(several.status == 0)
        let both = try installation.orderNumbers()
        #expect(both == ["1", "3"])
        // What SMTP must refuse, a lone CR, is nothing unusual in a pipe.
        let lone = try receive(installation, numberedMail("4", header: "X-Note: a\rb\n") + "\r\n \r \n")
        #expect(lone.status == 0, "\(lone.errors)")
        #expect(try installation.orderNumbers() == ["1", "3", "4"])
        if isRunning { #expect(try installation.stop() == 0) }
    }

    @Test func whatCannotBeDecidedIsTemporary() throws {
        let installation = try Installation()
        #expect(try receive(installation, numberedMail("1"), ["--tu", "x"]).status == 75)
        #expect(try installation.command(["receive"], input: numberedMail("1")).status == 75)
        try Data().write(to: installation.folder.appendingPathComponent("data"))
        let blocked = try receive(installation, numberedMail("1"))
        #expect(blocked.status == 75 && blocked.errors.contains("Not a directory"), "\(blocked.errors)")
        try FileManager.default.removeItem(at: installation.folder.appendingPathComponent("data"))
        let configuration = try String(contentsOf: installation.configurationFile, encoding: .utf8)
        try (configuration + "\nnonsense: 1\n").write(to: installation.configurationFile, atomically: true, encoding: .utf8)
        #expect(try receive(installation, numberedMail("1")).status == 75)
        #expect(try receive(installation, numberedMail("1"), ["--config", "/nowhere.yaml"]).status == 75)
    }

    @Test func largeMailPassesWhole() throws {
        let installation = try Installation()
        try installation.start()
        let filler = String(repeating: String(repeating: "x", count: 75) + "\n", count: 200_000)
        let mail =
            "Subject: x\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\n\(filler)\n--b\n"
            + "Content-Type: application/json\n\n{\"orderNumber\": \"large\"}\n--b--\n"
        #expect(try receive(installation, mail).status == 0)
        #expect(try installation.stop() == 0)
        #expect(try receive(installation, mail).status == 0)
        #expect(try installation.orderNumbers() == ["large"])
    }

    @Test func manyAtOnceWithoutADaemon() throws {
        let installation = try Installation()
        let children = try (0..<12).map { index in
            let child = try Child(
                Installation.binary,
                ["receive", "--to", Installation.alias, "--config", installation.configurationFile.path])
            child.write(numberedMail("\(100 + index)"))
            child.closeInput()
            return child
        }
        for child in children { #expect(try child.wait().status == 0) }
        #expect(try installation.orderNumbers() == (100..<112).map(String.init))
    }

    @Test func theSocketIsTheDaemonsAlone() throws {
        let installation = try Installation()
        try installation.start()
        let socket = installation.folder.appendingPathComponent("data/receive.sock").path
        var status = stat()
        #expect(stat(socket, &status) == 0 && status.st_mode & 0o777 == 0o600)
        // Left behind by a kill, it is replaced.
        try installation.kill()
        #expect(stat(socket, &status) == 0)
        // Nobody listens there now: the command stores by itself.
        #expect(try receive(installation, numberedMail("1")).status == 0)
        try installation.start()
        #expect(try receive(installation, numberedMail("2")).status == 0)
        #expect(try installation.stop() == 0)
        #expect(stat(socket, &status) != 0)
        #expect(try installation.orderNumbers() == ["1", "2"])
    }

    /// A mail that comes while the daemon stops and starts again is not refused.
    @Test func acrossARestart() throws {
        let installation = try Installation()
        try installation.start()
        let children = try (0..<8).map { index -> Child in
            if index == 2 { #expect(try installation.stop() == 0) }
            if index == 5 { try installation.start() }
            let child = try Child(
                Installation.binary,
                ["receive", "--to", Installation.alias, "--config", installation.configurationFile.path])
            child.write(numberedMail("\(index)"))
            child.closeInput()
            return child
        }
        for child in children {
            let result = try child.wait()
            #expect(result.status == 0, "\(result.errors)")
        }
        #expect(try installation.orderNumbers() == (0..<8).map(String.init))
    }

    @Test func aDataFolderWithALongPath() throws {
        let installation = try Installation()
        let long = installation.folder.path + "/" + String(repeating: "long-folder-name/", count: 8) + "data"
        try installation.start(["--data", long])
        #expect(try receive(installation, numberedMail("1"), ["--data", long]).status == 0)
        #expect(FileManager.default.fileExists(atPath: long + "/receive.sock"))
        #expect(try installation.stop() == 0)
    }
}
