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
        if isRunning { try installation.start() } else { try installation.makeSecret() }
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

    /// A disk that is not mounted: a new secret would make every address unknown, and the mail would be returned.
    @Test func aFolderWithoutItsSecretIsNotTheOne() throws {
        let installation = try Installation()
        try installation.makeSecret()
        let token = try #require(
            try Installation.objects(installation.command(["hooks", "--json"]).output).first?["address"] as? String)
        let data = installation.folder.appendingPathComponent("data")
        let disk = installation.folder.appendingPathComponent("disk")
        try FileManager.default.moveItem(at: data, to: disk)
        for isThere in [false, true] {
            if isThere { try FileManager.default.createDirectory(at: data, withIntermediateDirectories: true) }
            for address in [token, Installation.alias] {
                let kept = try receive(installation, numberedMail("1"), ["--to", address])
                #expect(kept.status == 75 && kept.errors.contains("\(data.path) holds no instance.key"), "\(kept.errors)")
            }
            let left = (try? FileManager.default.contentsOfDirectory(atPath: data.path)) ?? []
            #expect(FileManager.default.fileExists(atPath: data.path) == isThere && left.isEmpty, "\(left)")
        }
        try FileManager.default.removeItem(at: data)
        try FileManager.default.moveItem(at: disk, to: data)
        #expect(try receive(installation, numberedMail("1"), ["--to", token]).status == 0)
        #expect(try installation.orderNumbers() == ["1"])
    }

    /// Status 0 is a mail that was taken.
    @Test func whatIsNoDeliveryIsNoSuccess() throws {
        for option in ["--help", "-h", "--version", "--help-hidden", "--generate-completion-script=bash"] {
            for arguments in [["--to", Installation.alias, option], [option, "--to=\(Installation.alias)"]] {
                let result = try Child.run(Installation.binary, ["receive"] + arguments, input: numberedMail("1"))
                #expect(result.status == 75 && result.errors.hasPrefix("4.3.5 "), "\(arguments): \(result)")
            }
        }
        let help = try Child.run(Installation.binary, ["receive", "--help"])
        #expect(help.status == 0 && help.output.contains("--to"), "\(help)")
    }

    /// A disk that is not mounted yet, say, and a link that leads there.
    @Test(arguments: ["link/mailhookd", "link", "file/mailhookd"]) func aDataFolderThatCannotBeMade(place: String) throws {
        let installation = try Installation()
        let folder = installation.folder.path
        try FileManager.default.createSymbolicLink(atPath: folder + "/link", withDestinationPath: folder + "/nowhere")
        try Data().write(to: installation.folder.appendingPathComponent("file"))
        let data = folder + "/" + place
        let received = try receive(installation, numberedMail("1"), ["--data", data])
        let reasons = ["\(folder)/link: ", "\(data): ", "\(data)/instance.key: ", "\(data) holds no instance.key"]
        #expect(received.status == 75 && reasons.contains { received.errors.contains($0) }, "\(received.errors)")
        let served = try installation.command(["serve", "--data", data])
        #expect(served.status == 73 && (served.errors.contains("\(folder)/link: ") || served.errors.contains("\(data): ")), "\(served.errors)")
    }

    /// Nothing is known of an address then; mail must not be returned because apps are being replaced.
    @Test func withoutAnAppNobodyIsRefused() throws {
        let installation = try Installation()
        try installation.makeSecret()
        let apps = installation.folder.appendingPathComponent("apps")
        try FileManager.default.removeItem(at: apps)
        try FileManager.default.createDirectory(at: apps, withIntermediateDirectories: true)
        let refused = try receive(installation, numberedMail("1"))
        #expect(refused.status == 75 && refused.errors.contains("no app is defined"), "\(refused.errors)")
    }

    /// Nor because the usual configuration is. The command sees a folder of the test as /etc.
    @Test(.enabled(if: SmallDisk.absence == nil, "skipped: to have another /etc needs root"))
    func withoutAConfigurationNobodyIsRefused() throws {
        let installation = try Installation()
        try installation.makeSecret()
        let etc = installation.folder.appendingPathComponent("etc")
        try FileManager.default.createDirectory(
            at: etc.appendingPathComponent("mailhookd"), withIntermediateDirectories: true)
        try FileManager.default.moveItem(
            at: installation.folder.appendingPathComponent("apps"), to: etc.appendingPathComponent("mailhookd/apps"))
        for address in [Installation.alias, "someone@elsewhere.example"] {
            let refused = try Child.run(
                "unshare",
                [
                    "--mount", "sh", "-c", "mount --bind \"$0\" /etc && exec \"$1\" receive --to \"$2\" --data \"$3\"", etc.path,
                    Installation.binary, address, installation.folder.appendingPathComponent("data").path,
                ], input: numberedMail("1"))
            #expect(refused.status == 75 && refused.errors.contains("there is no configuration file"), "\(refused.errors)")
        }
    }

    /// What the daemon would not deliver is not taken.
    @Test func aDataFolderThatIsOpenToOthers() throws {
        let installation = try Installation()
        try installation.makeSecret()
        #expect(try receive(installation, numberedMail("1")).status == 0)
        let data = installation.folder.appendingPathComponent("data").path
        chmod(data, 0o777)
        let refused = try receive(installation, numberedMail("2"))
        #expect(refused.status == 75 && refused.errors.contains("others than its owner may write there"), "\(refused.errors)")
        chmod(data, 0o700)
        #expect(try receive(installation, numberedMail("2")).status == 0)
        #expect(try installation.orderNumbers() == ["1", "2"])
    }

    @Test func noStandardInputIsNoEmptyMail() throws {
        let installation = try Installation()
        let closed = try Child.run(
            "sh",
            [
                "-c", "exec \"$0\" receive --to \"$1\" --config \"$2\" <&-", Installation.binary, Installation.alias,
                installation.configurationFile.path,
            ])
        #expect(closed.status == 75 && closed.errors.contains("standard input: Bad file descriptor"), "\(closed.errors)")
        // Started without any of the three, what is printed goes into no file.
        let data = installation.folder.appendingPathComponent("data").path
        let none = try Child.run(
            "sh",
            [
                "-c", "exec \"$0\" hooks --config \"$2\" --data \"$3\" <&- >&- 2>&-", Installation.binary, "",
                installation.configurationFile.path, data,
            ])
        #expect(none.status == 0 && none.output.isEmpty && none.errors.isEmpty)
    }

    @Test func theWholeRequestHasToBeThere() throws {
        let installation = try Installation()
        try installation.start()
        let socket = installation.folder.appendingPathComponent("data/receive.sock").path
        for (end, isTaken) in [(";", false), (",", true)] {
            let inside = [numberedMail("1"), "a@b.example", Installation.alias].map { "\($0.utf8.count):\($0)," }.joined()
            let client = try Connection(unix: socket)
            client.send("\(inside.utf8.count):\(inside)\(end)")
            #expect(client.rest().contains("Kaccepted") == isTaken)
            #expect(try installation.events().count == (isTaken ? 1 : 0))
        }
        #expect(try installation.stop() == 0)
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
        try installation.makeSecret()
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
