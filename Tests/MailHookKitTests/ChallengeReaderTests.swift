// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The section `challenge` of a hook's policy.

import Foundation
import HookModel
import Testing

@testable import MailHookKit

@Suite struct ChallengeReaderTests {
    private func read(_ challenge: String) throws -> (challenge: HookChallenge?, findings: [String]) {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("mailhookd-challenge-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try "key \n".write(to: folder.appendingPathComponent("k"), atomically: true, encoding: .utf8)
        try "\n".write(to: folder.appendingPathComponent("empty"), atomically: true, encoding: .utf8)
        var reader = ConfigurationReader(file: "m.yaml", folder: folder.path)
        let text = "hooks: { a.b: { challenge: {\(challenge)} } }"
        let configuration = reader.read(Array(text.utf8), over: ConfigurationReader.builtIn())
        return (configuration?.hooks["a.b"]?.policy.challenge, reader.diagnostics.all.map(\.description))
    }

    @Test func readsAChallenge() throws {
        let (challenge, findings) = try read(#"url: "https://c.example/verify", field: f, secretFile: k"#)
        #expect(findings.isEmpty)
        #expect(challenge == HookChallenge(url: "https://c.example/verify", field: "f", secret: "key", timeout: .seconds(5)))
        let local = try read(#"url: "http://[::1]/v", field: f, secretFile: k, timeout: 250ms"#)
        #expect(local.challenge?.timeout == .milliseconds(250))
    }

    @Test(arguments: [
        (#"url: "http://c.example/verify", field: f, secretFile: k"#, "challenge.url: must be a URL that begins with https://"),
        (#"url: "https://", field: f, secretFile: k"#, "challenge.url: must be"), (#"url: "ftp://x", field: f, secretFile: k"#, "challenge.url: must be"),
        (#"url: "https://u@c.example", field: f, secretFile: k"#, "challenge.url: must be"),
        (#"field: f, secretFile: k"#, "a challenge needs 'url'"), (#"url: "https://c.example", secretFile: k"#, "a challenge needs 'field'"),
        (#"url: "https://c.example", field: f"#, "a challenge needs 'secretFile'"),
        (#"url: "https://c.example", field: f, secretFile: nothing"#, "No such file"),
        (#"url: "https://c.example", field: f, secretFile: empty"#, "empty is empty"),
        (#"url: "https://c.example", field: f, secretFile: k, timeout: 1m"#, "challenge.timeout: must be from 100ms to 30s"),
        (#"url: "https://c.example", field: f, secretFile: k, sekret: k"#, "unknown key 'sekret'"),
    ])
    func tellsWhatIsWrong(challenge: String, finding: String) throws {
        let findings = try read(challenge).findings
        #expect(findings.count == 1 && findings[0].contains(finding), "\(findings)")
    }
}
