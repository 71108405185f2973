// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Certificate files: what is accepted, what is told about the others, and what happens when they change.

import Foundation
import HookTLS
import Logging
import Synchronization
import TestSupport
import Testing

@Suite(.openssl) struct ServerTLSTests {
    private final class Folder {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("mailhookd-tls-\(UUID().uuidString)")
        init() throws { try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true) }
        deinit { try? FileManager.default.removeItem(at: url) }

        func write(_ name: String, _ text: String) throws -> URL {
            let file = url.appendingPathComponent(name)
            try text.write(to: file, atomically: true, encoding: .utf8)
            return file
        }
    }

    private func files(_ certificate: URL, _ key: URL) -> TLSFiles { TLSFiles(certificate: certificate.path, key: key.path) }

    private var quiet: Logger { Logger(label: "tests") { _ in SwiftLogNoOpLogHandler() } }

    @Test func aGoodPair() throws {
        let folder = try Folder()
        let good = try TestCertificate(in: folder.url)
        #expect(try files(good.certificate, good.key).check(now: Int64(Date().timeIntervalSince1970)) == [])
        // Both in one file, and a chain.
        let key = try String(contentsOf: good.key, encoding: .utf8)
        let certificate = try String(contentsOf: good.certificate, encoding: .utf8)
        let both = try folder.write("both.pem", key + certificate + certificate)
        #expect(try files(both, both).check(now: Int64(Date().timeIntervalSince1970)) == [])
        _ = try ServerTLS(files: TLSFiles(certificate: both.path, key: both.path, minimum: .v13), logger: quiet)
    }

    @Test func dates() throws {
        let folder = try Folder()
        let old = try TestCertificate(in: folder.url, name: "old", isExpired: true)
        let doubts = try files(old.certificate, old.key).check(now: 1_800_000_000)
        #expect(doubts == [.expired(at: 1_009_843_200)])
        #expect(try files(old.certificate, old.key).check(now: 900_000_000) == [.notYetValid(until: 978_307_200)])
    }

    @Test func whatCannotBeUsed() throws {
        let folder = try Folder()
        let good = try TestCertificate(in: folder.url)
        let other = try TestCertificate(in: folder.url, name: "other")
        let text = try folder.write("text.pem", "no PEM at all\n")
        let cut = try folder.write("cut.pem", String(try String(contentsOf: good.certificate, encoding: .utf8).prefix(200)))
        let locked = folder.url.appendingPathComponent("locked.key")
        let encryption = ["ec", "-aes256", "-passout", "pass:secret", "-in", good.key.path, "-out", locked.path]
        try #require(try Child.run("openssl", encryption).status == 0)
        let missing = folder.url.appendingPathComponent("missing.pem")
        let cases: [(URL, URL, TLSFilesError.File, URL, String)] = [
            (missing, good.key, .certificate, missing, "No such file or directory"), (good.certificate, missing, .key, missing, "No such file"),
            (folder.url, good.key, .certificate, folder.url, "is no file"), (text, good.key, .certificate, text, "holds no certificate"),
            (cut, good.key, .certificate, cut, "holds no certificate"), (good.key, good.key, .certificate, good.key, "holds no certificate"),
            (good.certificate, text, .key, text, "holds no private key"), (good.certificate, good.certificate, .key, good.certificate, "holds no private key"),
            (good.certificate, locked, .key, locked, "without a passphrase"), (good.certificate, other.key, .key, other.key, "does not belong"),
        ]
        for (certificate, key, file, path, reason) in cases {
            let error = #expect(throws: TLSFilesError.self) { try files(certificate, key).check(now: 0) }
            #expect(error?.file == file && error?.path == path.path && error?.reason.contains(reason) == true, "\(String(describing: error))")
            #expect(throws: TLSFilesError.self) { try ServerTLS(files: files(certificate, key), logger: quiet) }
        }
    }

    /// Counts lines by level.
    private struct Recorder: LogHandler {
        let lines: Lines
        var logLevel = Logger.Level.trace
        var metadata: Logger.Metadata = [:]
        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }
        func log(event: LogEvent) { lines.all.withLock { $0.append("\(event.level)") } }
    }

    private final class Lines: Sendable {
        let all = Mutex<[String]>([])
    }

    @Test func changes() throws {
        let folder = try Folder()
        let pair = try TestCertificate(in: folder.url)
        let lines = Lines()
        let tls = try ServerTLS(
            files: files(pair.certificate, pair.key), logger: Logger(label: "tests") { _ in Recorder(lines: lines) })
        #expect(tls.reload() == .unchanged)
        try TestCertificate(in: folder.url)
        #expect(tls.reload() == .loaded)
        #expect(tls.reload() == .unchanged)
        // The key is written first and does not fit yet: told once, and then it does.
        let next = try TestCertificate(in: folder.url, name: "next")
        #expect(rename(next.key.path, pair.key.path) == 0)
        guard case .kept(let error) = tls.reload() else {
            Issue.record("a key that does not fit was taken")
            return
        }
        #expect(error.file == .key)
        #expect(tls.reload() == .unchanged)
        #expect(rename(next.certificate.path, pair.certificate.path) == 0)
        #expect(tls.reload() == .loaded)
        // Gone, and back.
        let certificate = try Data(contentsOf: pair.certificate)
        try FileManager.default.removeItem(at: pair.certificate)
        guard case .kept = tls.reload() else {
            Issue.record("a file that is gone was taken")
            return
        }
        try certificate.write(to: pair.certificate)
        #expect(tls.reload() == .loaded)
        #expect(lines.all.withLock { $0 } == ["info", "error", "info", "error", "info"])
    }
}
