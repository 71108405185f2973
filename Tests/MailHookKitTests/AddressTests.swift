// Part of mailhookd. SPDX-License-Identifier: Apache-2.0

import Foundation
import HookModel
import Testing

@testable import MailHookKit

@Suite struct InstanceSecretTests {
    private let secret = InstanceSecret(octets: Array(0..<32))

    @Test func derivationIsFixed() throws {
        // Whoever has the secret must find the same addresses in every later version.
        let credentials = try #require(secret).credentials(app: "shop", eventName: "kustomer.app.shop.order", generation: 1)
        #expect(credentials == (try #require(InstanceSecret(octets: Array(0..<32)))
            .credentials(app: "shop", eventName: "kustomer.app.shop.order", generation: 1)))
        #expect(credentials.token.count == 32 && credentials.key.count == 34)
        // Computed apart, with Python's hmac and base64 modules.
        #expect(credentials.token == "l2j5szjzcav4me34cpqjovp74h77lhvw")
        #expect(credentials.key == "k_r5tawkxhxlwppk2xv4ogxnvuwgbenvml")
    }

    @Test func everyFieldCounts() throws {
        let secret = try #require(secret)
        let all = [
            secret.credentials(app: "a", eventName: "b", generation: 1),
            secret.credentials(app: "a", eventName: "b", generation: 2),
            secret.credentials(app: "ab", eventName: "", generation: 1),
            secret.credentials(app: "", eventName: "ab", generation: 1),
            try #require(InstanceSecret(octets: Array(1..<33))).credentials(app: "a", eventName: "b", generation: 1),
        ]
        #expect(Set(all.map(\.token)).count == all.count)
        #expect(Set(all.map(\.key)).count == all.count)
    }

    @Test func shortSecretsAreRefused() { #expect(InstanceSecret(octets: Array(0..<31)) == nil) }

    @Test func fileIsMadeOnceAndKept() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("secret-\(UUID().uuidString)/data").path
        defer { try? FileManager.default.removeItem(atPath: (folder as NSString).deletingLastPathComponent) }
        let first = try InstanceSecret.load(dataFolder: folder).credentials(app: "a", eventName: "b", generation: 1)
        let second = try InstanceSecret.load(dataFolder: folder).credentials(app: "a", eventName: "b", generation: 1)
        #expect(first == second)
        let file = try FileManager.default.attributesOfItem(atPath: folder + "/instance.key")
        #expect(file[.posixPermissions] as? Int == 0o600 && file[.size] as? Int == 32)
        #expect(try FileManager.default.attributesOfItem(atPath: folder)[.posixPermissions] as? Int == 0o700)
        #expect(try Files.list(folder) == ["instance.key"])
        // A damaged secret is never replaced: all addresses would change.
        try Data([1, 2, 3]).write(to: URL(fileURLWithPath: folder + "/instance.key"))
        #expect(throws: FileError.self) { try InstanceSecret.load(dataFolder: folder) }
    }
}
