// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// App definitions, good and bad, with the findings they lead to.

import HookModel
import Testing

@testable import MailHookKit

@Suite struct AppDefinitionTests {
    private func read(_ text: String) -> (definition: AppDefinition?, findings: [String]) {
        var reader = AppDefinitionReader(file: "a.json", bytes: Array(text.utf8))
        let definition = reader.read()
        return (definition, reader.diagnostics.all.map(\.description))
    }

    private func withHooks(_ hooks: String) -> String { #"{"app":"s","version":"1.0.0","title":"S","hooks":[\#(hooks)]}"# }

    @Test func readsAWholeDefinition() throws {
        let (read, findings) = read(
            withHooks(
                #"{"eventName":"kustomer.app.s.a","displayEventName":"A","description":"about a","type":"email"},"#
                    + #"{"eventName":"kustomer.app.s.b","type":"form"},{"eventName":"kustomer.app.s.c","type":"web"}"#))
        #expect(findings.isEmpty)
        let definition = try #require(read)
        #expect(definition.app == "s" && definition.version.description == "1.0.0" && definition.title == "S")
        #expect(definition.hooks.map(\.eventName) == ["kustomer.app.s.a", "kustomer.app.s.b", "kustomer.app.s.c"])
        #expect(definition.hooks.map(\.type) == [.email, .form, .web])
        #expect(definition.hooks.first?.displayEventName == "A" && definition.hooks.first?.description == "about a")
    }

    @Test func documentedKeysLoadWithoutEffect() {
        let text = #"{"app":"s","version":"2.1.0-beta.1","title":"S","identifier":"x","visibility":"public","iconUrl":"u","#
            + #""appDetails":{},"dependencies":[],"roles":[],"triggers":[],"actions":[],"workflows":[],"outboundWebhooks":[],"#
            + #""settings":{},"i18n":{},"klasses":[],"kviews":[],"widgets":[],"commands":[],"templates":[],"hooks":[]}"#
        #expect(read(text).definition != nil)
        #expect(read(text).findings.isEmpty)
    }

    struct Mistake: Sendable, CustomTestStringConvertible {
        var text: String
        var finding: String
        var testDescription: String { text }
    }

    @Test(arguments: [
        Mistake(text: "{", finding: "a.json:1:2: error: the text ends too early"),
        Mistake(text: "[]", finding: "a.json:1:1: error: must be a JSON object"),
        Mistake(text: #"{"version":"1.0.0","title":"S","hooks":[]}"#, finding: "a.json:1:1: error: needs 'app'"),
        Mistake(text: #"{"app":"s","title":"S","hooks":[]}"#, finding: "a.json:1:1: error: needs 'version'"),
        Mistake(text: #"{"app":"s","version":"1.0.0","hooks":[]}"#, finding: "a.json:1:1: error: needs 'title'"),
        Mistake(text: #"{"app":"s-t","version":"1.0.0","title":"S","hooks":[]}"#, finding: "a.json:1:8: error: app: must be a word"),
        Mistake(text: #"{"app":"s","version":"1.0","title":"S","hooks":[]}"#, finding: "a.json:1:22: error: version: must be a semantic version"),
        Mistake(text: #"{"app":"s","version":"1.0.0","title":7,"hooks":[]}"#, finding: "a.json:1:38: error: title: must be a non-empty text"),
        Mistake(text: "{\"app\":\"s\",\n \"version\":\"1.0.0\",\n \"title\":\"S\",\n \"hoks\":[],\n \"hooks\":[]}",
            finding: "a.json:4:2: error: unknown key 'hoks' (did you mean 'hooks'?)"),
        Mistake(text: #"{"app":"s","app":"t","version":"1.0.0","title":"S","hooks":[]}"#, finding: "a.json:1:12: error: the key 'app' stands here twice"),
        Mistake(text: #"{"app":"s","version":"1.0.0","title":"S","hooks":{}}"#, finding: "a.json:1:50: error: hooks: must be a list"),
    ])
    func tellsWhatIsWrong(_ mistake: Mistake) {
        let (definition, findings) = read(mistake.text)
        #expect(definition == nil)
        #expect(findings.count == 1, "\(findings)")
        #expect(findings.first?.hasPrefix(mistake.finding) == true, "\(findings)")
    }

    @Test(arguments: [
        Mistake(text: #"{"type":"email"}"#, finding: "error: hooks[0]: needs 'eventName'"),
        Mistake(text: #"{"eventName":"kustomer.app.s.a"}"#, finding: "error: hooks[0]: needs 'type'"),
        Mistake(text: #"{"eventName":"kustomer.app.s.a","type":"emial"}"#,
            finding: "error: hooks[0].type: must be email, form, web, not 'emial' (did you mean 'email'?)"),
        Mistake(text: #"{"eventName":"kustomer.app.s. a","type":"email"}"#, finding: "error: hooks[0].eventName: must be words"),
        Mistake(text: #"{"eventName":"kustomer.app..a","type":"email"}"#, finding: "error: hooks[0].eventName: must be words"),
        Mistake(text: #""kustomer.app.s.a""#, finding: "error: hooks[0]: must be an object"),
        Mistake(text: #"{"eventName":"kustomer.app.s.a","type":"email"},{"eventName":"kustomer.app.s.a","type":"web"}"#,
            finding: "error: hooks[1].eventName: 'kustomer.app.s.a' is declared twice"),
        Mistake(text: #"{"eventName":"kustomer.app.s.a","type":"email","description":7}"#, finding: "error: hooks[0].description: must be a text"),
    ])
    func tellsWhatIsWrongWithAHook(_ mistake: Mistake) {
        let (definition, findings) = read(withHooks(mistake.text))
        #expect(definition == nil)
        #expect(findings.count == 1, "\(findings)")
        #expect(findings.first?.contains(mistake.finding) == true, "\(findings)")
    }

    @Test(arguments: [
        ("my.order", "kustomer.app.s.my.order", "note: hooks[0].eventName: 'my.order' is called kustomer.app.s.my.order here"),
        ("s.order", "kustomer.app.s.order", "note: hooks[0].eventName: 's.order' is called kustomer.app.s.order here"),
        ("kustomer.app.other.order", "kustomer.app.other.order", nil),
        ("kustomer.hooks.email.1.receive", "kustomer.hooks.email.1.receive", "warning: hooks[0].eventName: 'kustomer.hooks.email.1.receive' does not begin with kustomer.app"),
    ])
    func namesAreCompleted(name: String, full: String, finding: String?) {
        let (definition, findings) = read(withHooks(#"{"eventName":"\#(name)","type":"email"}"#))
        #expect(definition?.hooks.map(\.eventName) == [full])
        #expect(findings.count == (finding == nil ? 0 : 1))
        #expect(finding.map { findings.first?.contains($0) == true } ?? true, "\(findings)")
    }

    @Test func deepTextsAreRefused() {
        let (definition, findings) = read(#"{"app":"s","title":"# + String(repeating: "[", count: 1_000_000))
        #expect(definition == nil && findings.count == 1 && findings[0].hasSuffix("error: nested too deeply"), "\(findings)")
    }

    @Test(arguments: ["1.0.0", "0.3.0", "10.20.30-alpha.1+build.5", "1.0.0-0a"]) func versions(text: String) {
        #expect(SemanticVersion(text)?.description == text)
    }

    @Test(arguments: ["", "1", "1.0", "01.0.0", "1.0.0-", "1.0.0-01", "1.0.0+", "v1.0.0", "1.0.0.0"]) func noVersions(text: String) {
        #expect(SemanticVersion(text) == nil)
    }
}
