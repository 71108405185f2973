// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// API keys: made, found by their digest, revoked.

import Foundation
import HookIntake
import HookModel
import HookWeb
import Testing

@testable import MailHookKit

@Suite struct APIKeyFileTests {
    private func inFolder(_ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("mailhookd-keys-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        try body(folder.path)
    }

    @Test func keysAreMadeFoundAndRevoked() throws {
        try inFolder { folder in
            let daemon = APIKeyFile(dataFolder: folder)
            #expect(daemon.holder(ofKey: "mhk_none") == nil)
            let command = APIKeyFile(dataFolder: folder)
            let (key, secret) = try command.create(name: "a \"b\"", roles: [.hooks, .readEvents], now: Timestamp(seconds: 7))
            #expect(daemon.holder(ofKey: secret) == APIKeyHolder(id: key.id, roles: [.hooks, .readEvents]))
            #expect(daemon.holder(ofKey: secret + "a") == nil && daemon.holder(ofKey: "") == nil)
            let (second, other) = try command.create(name: "c", roles: [.readHooks], now: Timestamp(seconds: 8))
            #expect(try daemon.list() == [key, second])
            #expect(try command.revoke(id: key.id))
            #expect(daemon.holder(ofKey: secret) == nil)
            #expect(daemon.holder(ofKey: other)?.id == second.id)
            #expect(try !command.revoke(id: key.id))
            let text = try String(contentsOfFile: folder + "/keys.json", encoding: .utf8)
            #expect(!text.contains(other))
            let attributes = try FileManager.default.attributesOfItem(atPath: folder + "/keys.json")
            #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o600)
        }
    }

    @Test(arguments: ["", "{", "[]", "{\"keys\":7}", "{\"keys\":[{}]}"])
    func aDamagedFileLetsNobodyIn(text: String) throws {
        try inFolder { folder in
            let file = APIKeyFile(dataFolder: folder)
            let (_, secret) = try file.create(name: "a", roles: [.hooks], now: Timestamp(seconds: 0))
            #expect(file.holder(ofKey: secret) != nil)
            try text.write(toFile: folder + "/keys.json", atomically: true, encoding: .utf8)
            #expect(file.holder(ofKey: secret) == nil)
        }
    }

    /// Whoever changes the file at the same time loses nothing of the other's work.
    @Test func concurrentChanges() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("mailhookd-keys-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    let file = APIKeyFile(dataFolder: folder.path)
                    _ = try file.create(name: "x", roles: [.hooks], now: Timestamp(seconds: 0))
                }
            }
            try await group.waitForAll()
        }
        #expect(try APIKeyFile(dataFolder: folder.path).list().count == 8)
    }
}

@Suite struct PostAuthorizerTests {
    private static let authorizer = PostAuthorizer(keys: APIKeyFile(dataFolder: "/nonexistent"))
    private static let body = Array("PREFIX{\"a\":1}".utf8)
    // printf '{"a":1}' | openssl dgst -sha256 -hmac k_a
    private static let code = "5c6f3497c361732ede9df0b3b89dcb7b6e9cf8282367bd0f70c7f88d42ed62a5"

    private func isValid(_ signature: PostSignature, keys: [String] = ["k_b", "k_a"]) -> Bool {
        Self.authorizer.isValid(signature, body: Self.body[6...], keys: keys, now: Timestamp(seconds: 1_800_000_000))
    }

    private func hub(_ value: String) -> PostSignature { PostSignature(id: nil, timestamp: nil, signature: nil, hub: value) }

    @Test func hubSignatures() {
        #expect(isValid(hub("sha256=" + Self.code)))
        #expect(isValid(hub("sha256=" + Self.code.uppercased())))
        #expect(!isValid(hub("sha256=" + Self.code), keys: ["k_b"]))
        #expect(!isValid(hub("sha256=" + Self.code), keys: []))
    }

    @Test(arguments: ["", "sha256=", "sha1=5c6f3497c361732ede9df0b3b89dcb7b6e9cf8282367bd0f70c7f88d42ed62a5", "5c6f3497c361732ede9df0b3b89dcb7b6e9cf8282367bd0f70c7f88d42ed62a5", "sha256=5c6f3497c361732ede9df0b3b89dcb7b6e9cf8282367bd0f70c7f88d42ed62a50", "sha256=g", "sha256=\u{e9}"])
    func otherTextsAreNoSignatures(value: String) { #expect(!isValid(hub(value))) }

    @Test func standardWebhooksDecideWhereTheyAreUsed() {
        // A broken one is not made good by the other header.
        let both = PostSignature(id: "i", timestamp: "1800000000", signature: "v1,AAAA", hub: "sha256=" + Self.code)
        #expect(!isValid(both))
        #expect(PostAuthorizer.signingSecret(ofKey: "k_a") == "whsec_a19h")
    }
}

@Suite struct HookURLTests {
    @Test func urlsOfHooks() {
        var configuration = ConfigurationReader.builtIn()
        configuration.data = "/nonexistent"
        func url(_ type: HookType) -> String? {
            let hook = AddressedHook(
                hook: Hook(app: "a", eventName: "e", type: type), current: .init(token: "t", key: "k"))
            return HookURLs(configuration, organization: "o").url(of: hook)
        }
        #expect(url(.form) == "/v1/hooks/form/o/t")
        configuration.listen.http = [.tcp(host: "127.0.0.1", port: 0), .unix(path: "/x"), .tcp(host: "::1", port: 80)]
        #expect(url(.form) == "http://[::1]:80/v1/hooks/form/o/t")
        configuration.http.publicURL = "https://h.example"
        #expect(url(.web) == "https://h.example/v1/hooks/web/t")
        #expect(url(.email) == nil)
    }
}

@Suite struct ReadinessTests {
    @Test func tellsOnceWhenAllAreThere() {
        let told = Box()
        let readiness = Readiness(services: 2) { told.count += 1 }
        readiness.report()
        #expect(told.count == 0)
        readiness.report()
        #expect(told.count == 1)
    }

    private final class Box: @unchecked Sendable { var count = 0 }
}
