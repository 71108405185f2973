// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The rules by which apps are installed, upgraded, disabled and removed.

import Foundation
import HookModel
import Testing

@testable import MailHookKit

@Suite struct AppManagerTests {
    private let now = Timestamp(seconds: 1_800_000_000)

    /// A folder with a configuration; apps are in `apps`.
    private final class Place {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("mailhookd-apps-\(UUID().uuidString)")

        init(_ more: String = "", apps: String = "apps") throws {
            try FileManager.default.createDirectory(at: folder.appendingPathComponent("apps"), withIntermediateDirectories: true)
            try "hostname: h.example\ndata: data\napps: \(apps)\n\(more)".write(
                to: folder.appendingPathComponent("m.yaml"), atomically: true, encoding: .utf8)
        }

        deinit { try? FileManager.default.removeItem(at: folder) }

        var request: SetupRequest { SetupRequest(configurationFile: folder.appendingPathComponent("m.yaml").path) }
        func setup() throws -> Setup { try Setup.load(request).get() }
        func manager() throws -> AppManager { AppManager(request, setup: try setup()) }
        func write(_ name: String, _ text: String) throws {
            try text.write(to: folder.appendingPathComponent(name), atomically: true, encoding: .utf8)
        }
        var files: [String] { (try? FileManager.default.contentsOfDirectory(atPath: folder.appendingPathComponent("apps").path))?.sorted() ?? [] }

        func addresses() throws -> [String: String] {
            let directory = try setup().directory()
            return Dictionary(uniqueKeysWithValues: directory.hooks.map { ($0.hook.eventName, $0.current.token) })
        }
    }

    private func text(
        _ version: String, app: String = "s", hooks: [String] = ["a"], title: String = "S", more: String = ""
    ) -> [UInt8] {
        let list = hooks.map { #"{"eventName":"kustomer.app.\#(app).\#($0)","type":"email"}"# }.joined(separator: ",")
        return Array(#"{"app":"\#(app)","version":"\#(version)","title":"\#(title)","hooks":[\#(list)]\#(more)}"#.utf8)
    }

    private func install(_ place: Place, _ text: [UInt8], isTrial: Bool = false) throws -> AppChange {
        try place.manager().install(text, file: "f.json", isTrial: isTrial, now: now)
    }

    private func upgrade(_ place: Place, _ text: [UInt8], isTrial: Bool = false) throws -> AppChange {
        try place.manager().upgrade(text, file: "f.json", isTrial: isTrial, now: now)
    }

    private func refusal(_ body: () throws -> AppChange) -> AppError? {
        do {
            let change = try body()
            Issue.record("not refused: \(change.report)")
            return nil
        } catch {
            return error as? AppError
        }
    }

    @Test func addressesSurviveUpgradesAndRemovals() throws {
        let place = try Place()
        #expect(try install(place, text("1.0.0", hooks: ["a", "b"])).isChanged)
        #expect(place.files == ["s.json"])
        let first = try place.addresses()
        #expect(first.count == 2)
        let change = try upgrade(place, text("1.1.0", hooks: ["a", "c"]))
        #expect(
            change.report == [
                "s 1.0.0 -> 1.1.0", "= kustomer.app.s.a keeps its address", "+ kustomer.app.s.c (email)",
                "- kustomer.app.s.b: its address is unknown from now on",
            ])
        let second = try place.addresses()
        #expect(second["kustomer.app.s.a"] == first["kustomer.app.s.a"] && second["kustomer.app.s.b"] == nil)
        #expect(try place.manager().uninstall("s", now: now).isChanged)
        #expect(try place.addresses().isEmpty && place.files.isEmpty)
        // The newest version may come back, and nothing older.
        #expect(refusal { try install(place, text("1.0.0", hooks: ["a", "b"])) }?.description.contains("newer") == true)
        #expect(try install(place, text("1.1.0", hooks: ["a", "c"])).isChanged)
        #expect(try place.addresses() == second)
    }

    @Test func versionsNeverChangeAndRise() throws {
        let place = try Place()
        _ = try install(place, text("1.0.0"))
        // White space is no other content.
        #expect(try !install(place, text("1.0.0") + [10]).isChanged)
        #expect(try !upgrade(place, text("1.0.0")).isChanged)
        let other = refusal { try install(place, text("1.0.1")) }
        #expect(other?.exitStatus == 65 && other?.description.contains("apps upgrade") == true)
        let same = refusal { try upgrade(place, text("1.0.0", title: "T")) }
        #expect(same?.exitStatus == 65 && same?.description.contains("never changes") == true)
        #expect(refusal { try upgrade(place, text("1.0.0+build", title: "T")) }?.description.contains("never changes") == true)
        #expect(refusal { try upgrade(place, text("1.0.0-rc.1")) }?.description.contains("newer than 1.0.0-rc.1") == true)
        #expect(refusal { try upgrade(place, text("2.0.0", app: "t")) }?.description.contains("not installed") == true)
        #expect(try upgrade(place, text("1.10.0")).isChanged)
        #expect(refusal { try upgrade(place, text("1.9.0")) } != nil)
        let roles = #","roles":["org.user"]"#
        #expect(refusal { try upgrade(place, text("1.11.0", more: roles)) }?.description.contains("major") == true)
        #expect(try upgrade(place, text("2.0.0", more: roles)).isChanged)
        #expect(try place.setup().records.map { $0.versions.map(\.version.description) } == [["1.0.0", "1.10.0", "2.0.0"]])
    }

    @Test func nothingIsWrittenUnlessAllIsWell() throws {
        let place = try Place()
        _ = try install(place, text("1.0.0"))
        let clash = #","hooks":[{"eventName":"kustomer.app.s.a","type":"form"}]}"#
        let thief = Array((String(decoding: text("1.0.0", app: "t", hooks: []), as: UTF8.self).replacing(#","hooks":[]}"#, with: clash)).utf8)
        let refused = refusal { try install(place, thief) }
        #expect(refused?.diagnostics.contains { $0.reason.contains("is declared in") } == true)
        #expect(refusal { try upgrade(place, Array(#"{"app":"s"}"#.utf8)) }?.diagnostics.isEmpty == false)
        #expect(try !upgrade(place, text("3.0.0"), isTrial: true).isChanged)
        #expect(try !install(place, text("1.0.0", app: "u"), isTrial: true).isChanged)
        #expect(place.files == ["s.json"])
        #expect(try place.setup().definitions.map(\.version.description) == ["1.0.0"])
        #expect(try place.setup().records.map { $0.versions.count } == [1])
    }

    @Test func disabledAppsRefuse() throws {
        let place = try Place()
        _ = try install(place, text("1.0.0"))
        _ = try install(place, text("1.0.0", app: "t"))
        #expect(refusal { try place.manager().setState(.disabled, of: "tt") }?.exitStatus == 1)
        #expect(try place.manager().setState(.disabled, of: "s").isChanged)
        #expect(try !place.manager().setState(.disabled, of: "s").isChanged)
        let states = { try place.setup().directory().hooks.map(\.hook.policy.state) }
        #expect(try states() == [.disabled, .active])
        #expect(AppListing.text(try place.setup()).contains("s 1.0.0 disabled, 1 hook"))
        // An upgrade leaves it as it is.
        #expect(try upgrade(place, text("1.1.0")).isChanged)
        #expect(try states() == [.disabled, .active])
        #expect(try place.manager().setState(.enabled, of: "s").isChanged)
        #expect(try states() == [.active, .active])
    }

    @Test func filesChangedByHandAreToldAndLoad() throws {
        let place = try Place()
        try place.write("apps/mine.json", String(decoding: text("1.2.0"), as: UTF8.self))
        try AppRegistry(dataFolder: place.folder.appendingPathComponent("data").path).remember(place.setup().definitions, now: now)
        #expect(try place.setup().warnings.isEmpty)
        try place.write("apps/mine.json", String(decoding: text("1.2.0", title: "T"), as: UTF8.self))
        #expect(try place.setup().warnings.map(\.reason) == ["1.2.0 of s had other content before"])
        try place.write("apps/mine.json", String(decoding: text("1.1.0"), as: UTF8.self))
        #expect(try place.setup().warnings.map(\.reason) == ["s was at 1.2.0 before, which is newer than 1.1.0"])
        // Commands go on with the file that holds the app.
        #expect(try upgrade(place, text("1.3.0")).isChanged)
        #expect(place.files == ["mine.json"])
        #expect(try place.setup().warnings.isEmpty)
    }

    @Test func anUpgradeThatBrokeOffCanBeRepeated() throws {
        let place = try Place()
        _ = try install(place, text("1.0.0"))
        let next = text("1.1.0")
        var reader = AppDefinitionReader(file: "f.json", bytes: next)
        // What stands on the disk between the two steps of an upgrade.
        let read = reader.read()
        try AppRegistry(dataFolder: place.folder.appendingPathComponent("data").path).remember([#require(read)], now: now)
        #expect(try upgrade(place, next).isChanged)
        #expect(try place.setup().definitions.map(\.version.description) == ["1.1.0"])
    }

    @Test func aDamagedRegistryIsAnError() throws {
        let place = try Place()
        _ = try install(place, text("1.0.0"))
        for damage in ["{", "{}", #"{"apps":[{"app":"s","state":"odd","versions":[]}]}"#, #"{"apps":[{"app":"s","state":"enabled","versions":[{}]}]}"#] {
            try place.write("data/apps/registry.json", damage)
            guard case .failure(let failure) = Setup.load(place.request) else {
                Issue.record("loaded \(damage)")
                continue
            }
            #expect(failure.diagnostics.contains { $0.severity == .error && $0.file.hasSuffix("registry.json") })
        }
    }

    @Test func dependenciesAreTold() throws {
        let place = try Place()
        _ = try install(place, text("1.0.0", app: "t"))
        let change = try install(place, text("1.0.0", more: #","dependencies":["t-^2.0.0","u-^1.0.0","t-^1.0.0"]"#))
        #expect(change.report.count { $0.contains("warning: dependencies: needs") } == 2)
        #expect(change.report.contains { $0.contains("needs t ^2.0.0, but 1.0.0 is here") })
    }

    @Test func oneFileInsteadOfAFolder() throws {
        let place = try Place(apps: "one.json")
        try place.write("one.json", String(decoding: text("1.0.0"), as: UTF8.self))
        #expect(refusal { try install(place, text("1.0.0", app: "t")) }?.description.contains("is no folder") == true)
        #expect(refusal { try place.manager().uninstall("s", now: now) } != nil)
        #expect(try upgrade(place, text("1.1.0")).isChanged)
        #expect(try place.setup().definitions.map(\.version.description) == ["1.1.0"])
    }

    @Test func statesOfHooksAreConfigured() throws {
        let place = try Place("hooks:\n  kustomer.app.s.a: { state: paused }\n  kustomer.app.s.b: { state: disabled }\n")
        _ = try install(place, text("1.0.0", hooks: ["a", "b", "c"]))
        let setup = try place.setup()
        #expect(try setup.directory().hooks.map(\.hook.policy.state) == [.paused, .disabled, .active])
        let text = try HookListing.text(setup.directory(), setup)
        #expect(text.contains("state        paused") && text.contains("state        disabled") && !text.contains("state        active"))
    }
}
