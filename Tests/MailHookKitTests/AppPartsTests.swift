// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Triggers, outbound webhooks, dependencies and versions of app definitions.

import HookModel
import Testing

@testable import MailHookKit

@Suite struct AppPartsTests {
    private func read(_ parts: String) -> (definition: AppDefinition?, findings: [String]) {
        let hook = #"{"eventName":"kustomer.app.s.a","type":"email"}"#
        let text = #"{"app":"s","version":"1.0.0","title":"S","hooks":[\#(hook)],\#(parts)}"#
        var reader = AppDefinitionReader(file: "a.json", bytes: Array(text.utf8))
        let definition = reader.read()
        return (definition, reader.diagnostics.all.map(\.description))
    }

    @Test func triggersAreKeptAsTheyStand() throws {
        let (read, findings) = read(
            #"""
            "triggers":[{"eventName":"a","description":"about a","outputTemplate":{"t": "/#data.x"},
            "outputSchema":{"type":"object"},"sampleOutputContext":{"t":1.10}},{"eventName":"kustomer.app.s.b","description":"b"}]
            """#)
        let definition = try #require(read)
        #expect(findings.count == 2, "\(findings)")
        #expect(findings.contains { $0.contains("note: triggers[0].eventName: 'a' is called kustomer.app.s.a here") })
        #expect(findings.contains { $0.contains("note: triggers[1].eventName: no hook of this definition makes 'kustomer.app.s.b'") })
        let trigger = try #require(definition.trigger(of: "kustomer.app.s.a"))
        #expect(trigger.description == "about a")
        #expect(trigger.outputTemplate == Array(#"{"t": "/#data.x"}"#.utf8))
        #expect(trigger.outputSchema == Array(#"{"type":"object"}"#.utf8))
        #expect(trigger.sampleOutput == Array(#"{"t":1.10}"#.utf8))
    }

    struct Mistake: Sendable, CustomTestStringConvertible {
        var part: String
        var finding: String
        var isError = true
        var testDescription: String { part }
    }

    @Test(arguments: [
        Mistake(part: #""triggers":{}"#, finding: "error: triggers: must be a list"),
        Mistake(part: #""triggers":[7]"#, finding: "error: triggers[0]: must be an object"),
        Mistake(part: #""triggers":[{"description":"x"}]"#, finding: "error: triggers[0]: needs 'eventName'"),
        Mistake(part: #""triggers":[{"eventName":"a b"}]"#, finding: "error: triggers[0].eventName: must be words"),
        Mistake(
            part: #""triggers":[{"eventName":"kustomer.app.s.a"},{"eventName":"kustomer.app.s.a"}]"#,
            finding: "error: triggers[1].eventName: 'kustomer.app.s.a' has two triggers"),
        Mistake(
            part: #""triggers":[{"eventName":"kustomer.app.s.a","outputTemplate":[]}]"#,
            finding: "a.json:1:161: error: triggers[0].outputTemplate: must be an object"),
        Mistake(
            part: #""triggers":[{"eventName":"kustomer.app.s.a","outputTemplate":{"x":["/#fn:y,z"]}}]"#,
            finding: "warning: triggers[0].outputTemplate.x[0]: functions are not evaluated", isError: false),
        Mistake(
            part: #""triggers":[{"eventName":"kustomer.app.s.a","outputSchema":{"type":"objct"}}]"#,
            finding: "error: triggers[0].outputSchema: is no JSON Schema that can be used"),
        Mistake(
            part: #""triggers":[{"eventName":"kustomer.app.s.a","outputSchema":{"type":"array"},"sampleOutputSchema":{}}]"#,
            finding: "warning: triggers[0]: the sample output does not satisfy outputSchema", isError: false),
        Mistake(
            part: #""triggers":[{"eventName":"kustomer.app.s.a","outputTemplat":{}}]"#,
            finding: "warning: triggers[0]: unknown key 'outputTemplat' (did you mean 'outputTemplate'?)", isError: false),
        Mistake(part: #""workflows":[{"name":"w"}],"klasses":[{}],"settings":{}"#, finding: "note: workflows, klasses: not run here", isError: false),
        Mistake(part: #""dependencies":["orders"]"#, finding: "warning: dependencies[0]: 'orders' is not understood", isError: false),
        Mistake(part: #""dependencies":[1]"#, finding: "error: dependencies[0]: must be a text"),
        Mistake(part: #""outboundWebhooks":[{"name":"w","url":"http://x.test","events":["e"]}]"#, finding: "error: outboundWebhooks[0].url: must be a URL that begins with https"),
        Mistake(part: #""outboundWebhooks":[{"name":"w","url":"https://x.test/a b","events":["e"]}]"#, finding: "error: outboundWebhooks[0].url: must be a URL"),
        Mistake(part: #""outboundWebhooks":[{"url":"https://x.test","events":["e"]}]"#, finding: "error: outboundWebhooks[0]: needs 'name'"),
        Mistake(part: #""outboundWebhooks":[{"name":"w","url":"https://x.test","events":[]}]"#, finding: "error: outboundWebhooks[0].events: must be a list of event names"),
        Mistake(part: #""outboundWebhooks":[{"name":"w","url":"https://x.test","events":["a..b"]}]"#, finding: "error: outboundWebhooks[0].events[0]: must be the name"),
        Mistake(
            part: #""outboundWebhooks":[{"name":"w","url":"https://x.test","events":["1","2","3","4","5","6","7","8","9","10","11","12","13"]}]"#,
            finding: "error: outboundWebhooks[0].events: may hold 12 names at most"),
        Mistake(
            part: #""outboundWebhooks":[{"name":"w","url":"https://x.test","events":["e"],"headers":[{"name":"X","value":"a\r\nb"}]}]"#,
            finding: "error: outboundWebhooks[0].headers[0]: must be an object with the name and value of a header field"),
        Mistake(
            part: #""outboundWebhooks":[{"name":"w","url":"https://x.test","events":["e"],"headers":[{"name":"X:","value":"a"}]}]"#,
            finding: "error: outboundWebhooks[0].headers[0]"),
    ])
    func tellsWhatIsWrong(_ mistake: Mistake) {
        let (definition, findings) = read(mistake.part)
        #expect((definition == nil) == mistake.isError)
        #expect(findings.count == 1 && findings[0].contains(mistake.finding), "\(findings)")
    }

    @Test func outboundWebhooksAreKept() throws {
        let (read, findings) = read(
            #""outboundWebhooks":[{"name":"w","url":"https://x.test/in?a=1","events":["kustomer.app.s.a"],"#
                + #""headers":[{"name":"X-Tenant","value":"7"}],"enabled":false}]"#)
        #expect(findings.isEmpty)
        #expect(
            try #require(read).outboundWebhooks == [
                OutboundWebhook(
                    name: "w", url: "https://x.test/in?a=1", events: ["kustomer.app.s.a"],
                    headers: [.init(name: "X-Tenant", value: "7")], isEnabled: false)
            ])
    }

    @Test(arguments: [".", "..", ".a", "a.", "a..b", "a/b", "a\u{0}"]) func namesThatAreNoFiles(name: String) {
        let text = #"{"app":"\#(name)","version":"1.0.0","title":"S","hooks":[]}"#
        var reader = AppDefinitionReader(file: "a.json", bytes: Array(text.utf8))
        #expect(reader.read() == nil)
    }

    @Test func versionsAreOrdered() throws {
        let texts = [
            "0.9.9", "1.0.0-0", "1.0.0-1", "1.0.0-2", "1.0.0-10", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta",
            "1.0.0", "1.0.1", "1.2.0", "1.10.0", "9.0.0", "10.0.0", "100000000000000000000000.0.0",
        ]
        let versions = try texts.map { try #require(SemanticVersion($0)) }
        #expect(versions.shuffled().sorted() == versions)
        let (plain, built) = (try #require(SemanticVersion("1.0.0")), try #require(SemanticVersion("1.0.0+b")))
        #expect(plain.isSamePrecedence(as: built) && plain != built)
    }

    @Test(arguments: [
        ("a-^1.2.3", "1.2.3", true), ("a-^1.2.3", "1.9.0", true), ("a-^1.2.3", "2.0.0", false), ("a-^1.2.3", "1.2.2", false),
        ("a-^0.2.3", "0.2.9", true), ("a-^0.2.3", "0.3.0", false), ("a-^0.0.3", "0.0.4", false), ("a-~1.2.3", "1.2.9", true),
        ("a-~1.2.3", "1.3.0", false), ("a->=1.2.3", "7.0.0", true), ("a-1.2.3", "1.2.3", true), ("a-1.2.3", "1.2.4", false),
    ])
    func ranges(dependency: String, version: String, admits: Bool) throws {
        let range = try #require(AppDependency(dependency))
        #expect(range.app == "a")
        #expect(range.admits(try #require(SemanticVersion(version))) == admits)
    }
}
