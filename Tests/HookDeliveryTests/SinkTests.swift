// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The file and exec sinks on real files and programs. Webhooks are tested from outside.

import Foundation
import HookModel
import Logging
import Testing

@testable import HookDelivery

@Suite struct SinkTests {
    private let now = Timestamp(seconds: 1_800_000_000)
    private let folder: URL

    init() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("mailhookd-sink-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    private func delivery(_ id: Int64, _ json: String) -> ClaimedDelivery {
        ClaimedDelivery(
            id: id, subscription: "s", event: Event(id: "evt_\(id)", type: "a.b", json: Array(json.utf8)), attempt: 1,
            createdAt: now)
    }

    private func path(_ name: String) -> String { folder.appendingPathComponent(name).path }
    private func text(_ name: String) throws -> String { try String(contentsOfFile: path(name), encoding: .utf8) }

    @Test func fileGetsOneLineAnEvent() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let sink = FileSink(FileConfiguration(path: path("out.ndjson")))
        let verdicts = await sink.deliver([delivery(1, "{\"a\":\n1}"), delivery(2, "{}")], now: now)
        #expect(verdicts == [.delivered, .delivered])
        #expect(try text("out.ndjson") == "{\"a\": 1}\n{}\n")
        // Rotated by somebody else: the file at the path counts.
        try FileManager.default.moveItem(atPath: path("out.ndjson"), toPath: path("out.1"))
        #expect(await sink.deliver([delivery(3, "[3]")], now: now) == [.delivered])
        #expect(try text("out.ndjson") == "[3]\n")
        await sink.shutdown()
    }

    @Test func aTornLineIsEndedBeforeTheNext() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        try "{\"torn\":".write(toFile: path("out.ndjson"), atomically: false, encoding: .utf8)
        let sink = FileSink(FileConfiguration(path: path("out.ndjson")))
        #expect(await sink.deliver([delivery(1, "{}")], now: now) == [.delivered])
        #expect(try text("out.ndjson") == "{\"torn\":\n{}\n")
        await sink.shutdown()
    }

    @Test func fileFailuresAreNamedAndRetried() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let missing = FileSink(FileConfiguration(path: path("no/such/folder/out")))
        #expect(await missing.deliver([delivery(1, "{}")], now: now) == [.retry(reason: "no_such_directory")])
        let isFolder = FileSink(FileConfiguration(path: folder.path))
        #expect(await isFolder.deliver([delivery(1, "{}")], now: now) == [.retry(reason: "is_a_directory")])
        let full = FileSink(FileConfiguration(path: "/dev/full"))
        #expect(await full.deliver([delivery(1, "{}")], now: now) == [.retry(reason: "disk_full")])
        for sink in [missing, isFolder, full] { await sink.shutdown() }
    }

    private func run(_ script: String, timeout: Duration = .seconds(20)) async throws -> DeliveryVerdict? {
        let configuration = try #require(
            ExecConfiguration(arguments: ["/bin/sh", "-c", script], timeout: timeout, workingDirectory: folder.path))
        let sink = ExecSink(configuration, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let verdicts = await sink.deliver([delivery(7, "{\"x\":1}")], now: now)
        await sink.shutdown()
        return verdicts.first
    }

    @Test func programGetsTheEventAndSomeVariables() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let verdict = try await run("cat > in; env | sort > env")
        #expect(verdict == .delivered)
        #expect(try text("in") == "{\"x\":1}\n")
        let variables = Set(try text("env").split(separator: "\n").map { String($0.prefix { $0 != "=" }) })
        #expect(variables.isSuperset(of: ["MAILHOOKD_EVENT_ID", "MAILHOOKD_EVENT_TYPE", "MAILHOOKD_ATTEMPT", "PATH"]))
        // The daemon's own environment may hold credentials.
        #expect(variables.isSubset(of: ["MAILHOOKD_EVENT_ID", "MAILHOOKD_EVENT_TYPE", "MAILHOOKD_ATTEMPT", "PATH", "PWD", "_", "SHLVL", "OLDPWD"]))
    }

    @Test func exitStatusDecides() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        #expect(try await run("exit 75") == .retry(reason: "exit_75"))
        #expect(try await run("exit 65") == .dead(reason: "exit_65"))
        #expect(try await run("kill -9 $$") == .retry(reason: "signal_9"))
        // A program that does not read its input is still judged by its status.
        #expect(try await run("exec <&-; exit 0") == .delivered)
    }

    @Test func slowProgramsAreEndedWithTheirChildren() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        #expect(try await run("sleep 60 & sleep 60; echo late > late", timeout: .milliseconds(300)) == .retry(reason: "timeout"))
        #expect(!FileManager.default.fileExists(atPath: path("late")))
    }

    @Test func missingProgramIsRetried() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let configuration = try #require(ExecConfiguration(arguments: ["/no/such/program"]))
        let sink = ExecSink(configuration, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        #expect(await sink.deliver([delivery(1, "{}")], now: now) == [.retry(reason: "exec_not_found")])
        await sink.shutdown()
    }
}
