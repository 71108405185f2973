// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What the largest mail a daemon takes costs in memory, whatever is in it; and what a daemon with nothing to do holds.

import Foundation
import TestSupport
import Testing

@Suite struct MemoryTests {
    /// The daemon's limit of a message.
    private static let size = 25 << 20

    struct Mail: Sendable, CustomTestStringConvertible {
        var name: String
        var make: @Sendable () -> Data
        var testDescription: String { name }
    }

    private static func base64(_ header: String, _ content: Data) -> Data {
        let body = content.prefix(size * 72 / 100).base64EncodedData(options: [.lineLength76Characters, .endLineWithLineFeed])
        return Data("\(header)\nContent-Transfer-Encoding: base64\n\n".utf8) + body
    }

    private static func filled(_ header: String, _ unit: [UInt8]) -> Data {
        var data = Data("\(header)\n\n".utf8)
        let block = Data(Array(repeating: unit, count: 4096).flatMap { $0 })
        while data.count + block.count <= size { data.append(block) }
        return data
    }

    private static func nested() -> Data {
        var mail = Data("Content-Type: text/plain\n\n".utf8)
        mail.append(Data(repeating: 0x78, count: 1 << 20))
        while mail.count < size * 72 / 100 { mail = base64("Content-Type: message/rfc822", mail) }
        return mail
    }

    static let mails = [
        Mail(name: "one JSON string in base64") {
            base64("Content-Type: application/json", Data("[\"".utf8) + Data(repeating: 0x78, count: size) + Data("\"]".utf8))
        },
        Mail(name: "HTML in windows-1252, base64") {
            base64("Content-Type: text/html; charset=windows-1252", Data(repeating: 0xE9, count: size))
        },
        Mail(name: "HTML in Shift_JIS") {
            filled("Content-Type: text/html; charset=shift_jis", Array(repeating: [0x83, 0x41], count: 35).flatMap { $0 } + [0x0A])
        },
        Mail(name: "scripts") { filled("Content-Type: text/html", Array("<script type=application/json>1</script>\n".utf8)) },
        Mail(name: "large documents") {
            let numbers = String(repeating: "1,", count: 20_000)
            return filled("Content-Type: text/html", Array("<script type=application/json>[\(numbers)1]</script>\n".utf8)).prefix(size)
        },
        Mail(name: "parts") {
            filled("Content-Type: multipart/mixed; boundary=b", Array("--b\nContent-Type: application/json\n\n1\n".utf8))
        },
        Mail(name: "messages in messages") { nested() },
        Mail(name: "UTF-16") {
            base64("Content-Type: application/json; charset=utf-16", Data([0xFF, 0xFE, 0x5B, 0]) + Data(repeating: 0x20, count: size))
        },
    ]

    /// Peak memory stays below four times the size of the mail, the program itself included.
    @Test(arguments: mails) func extractStaysInItsBounds(mail: Mail) throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("mailhookd-memory-\(UUID().uuidString).eml")
        defer { try? FileManager.default.removeItem(at: file) }
        let data = mail.make()
        try data.write(to: file)
        let script = """
            import os, resource, subprocess, sys
            status = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
            print(status, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
            """
        let result = try Child.run("python3", ["-c", script, Installation.binary, "extract", file.path], seconds: 240)
        let numbers = result.output.split(separator: " ").compactMap { Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
        #expect(numbers.count == 2 && numbers.first == 0, "\(result.output)\(result.errors)")
        #expect(numbers.last ?? .max < 4 * Self.size, "\(mail.name): \((numbers.last ?? 0) >> 20) MiB for \(data.count >> 20) MiB")
    }

    /// Code that was needed to start is given back: a daemon that waits holds little of the program's 20 MiB and more.
    @Test func idleDaemonHoldsLittle() throws {
        let installation = try Installation()
        try installation.start()
        let process = try #require(installation.daemon).identifier
        func resident() throws -> Int {
            let text = try String(contentsOfFile: "/proc/\(process)/smaps", encoding: .utf8)
            var isCode = false
            var sum = 0
            for line in text.split(separator: "\n") {
                let fields = line.split(separator: " ", omittingEmptySubsequences: true)
                if fields.count > 1, fields[1].count == 4, !line.contains("kB") { isCode = fields[1] == "r-xp" }
                if isCode, fields.first == "Rss:" { sum += Int(fields[1]) ?? 0 }
            }
            return sum
        }
        // It waits a second until everything has started.
        try eventually("code resident: \((try? resident()) ?? 0) KiB", seconds: 10) { try resident() < 10 << 10 }
        #expect(try installation.swaks().status == 0)
        #expect(try installation.events().count == 1)
        // What a burst of mail needs of it goes the same way.
        let (host, port) = try installation.smtp
        let sent = try Child.run(
            "smtp-source",
            ["-s", "20", "-m", "1000", "-l", "4096", "-f", "a@b.example", "-t", Installation.alias, "\(host):\(port)"])
        #expect(sent.status == 0, "\(sent.errors)")
        let loaded = try resident()
        try eventually("code resident: \((try? resident()) ?? 0) KiB of \(loaded)", seconds: 10) {
            try resident() < loaded * 3 / 4
        }
    }

    /// Twenty clients send large mails at once. What has come in waits on disk, and only some are looked at together.
    @Test func largeMailsOfManyClientsStayInBounds() throws {
        let installation = try Installation("limits: { connectionsPerPeer: 100 }")
        try installation.start()
        let process = try #require(installation.daemon).identifier
        let (host, port) = try installation.smtp
        let load = try Child(
            "smtp-source",
            ["-s", "20", "-m", "40", "-l", "5000000", "-f", "a@b.example", "-t", Installation.alias, "\(host):\(port)"])
        var peak = 0
        while load.isRunning {
            let text = try String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)
            let line = text.split(separator: "\n").first { $0.hasPrefix("RssAnon:") }
            peak = max(peak, line.flatMap { Int($0.split(whereSeparator: \.isWhitespace)[1]) } ?? 0)
            usleep(20_000)
        }
        #expect(try load.wait().status == 0, "\(load.errors)")
        #expect(peak > 1 << 10 && peak < 64 << 10, "\(peak >> 10) MiB")
    }

    /// Spooled or not, the content is the same: the same mail through a pipe is a duplicate of it.
    @Test(arguments: [200_000, 300_000, 2_000_000]) func spooledMailsKeepTheirContent(size: Int) throws {
        let installation = try Installation()
        try installation.start()
        let lines = (0..<size / 60).map { "\($0) " + String(repeating: "x", count: $0 % 97) }
        let order = try String(contentsOf: Installation.exampleMail, encoding: .utf8)
        let end = try #require(order.range(of: "</body>"))
        let mail = order[..<end.lowerBound] + "<!-- \(lines.joined(separator: "\n.\n")) -->" + order[end.lowerBound...]
        let file = try installation.write("large.eml", mail.replacingOccurrences(of: "\n", with: "\r\n"))
        let sent = try installation.swaks(file)
        #expect(sent.status == 0, "\(sent.output)\(sent.errors)")
        #expect(try installation.events().count == 1)
        let pipe = try Child.run(
            Installation.binary,
            ["receive", "--to", Installation.alias, "--config", installation.configurationFile.path],
            input: String(contentsOf: file, encoding: .utf8))
        #expect(pipe.status == 0, "\(pipe.errors)")
        #expect(try installation.events().count == 1)
    }
}
