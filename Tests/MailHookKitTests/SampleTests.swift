// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Examples: values made from schemas satisfy them, and data made from a trigger gives its sample.

import Foundation
import HookExtraction
import HookModel
import JSONLD
import JSONSchema
import Testing

@testable import MailHookKit

@Suite struct SampleTests {
    @Test(arguments: [
        #"{"type":"string"}"#, #"{"type":"integer","minimum":5,"multipleOf":4}"#, #"{"type":"integer","exclusiveMinimum":5,"maximum":6}"#,
        #"{"type":"number","exclusiveMaximum":0}"#, #"{"type":["null","boolean"]}"#, #"{"type":"null"}"#, #"{"const":{"a":1.10}}"#,
        #"{"enum":["x","y"]}"#, #"{"type":"string","default":"d"}"#, #"{"examples":[7],"type":"integer"}"#,
        #"{"type":"string","minLength":20,"maxLength":21}"#, #"{"type":"string","maxLength":2}"#,
        #"{"type":"string","format":"date-time"}"#, #"{"type":"string","format":"email"}"#, #"{"type":"string","format":"uuid"}"#,
        #"{"type":"string","format":"uri"}"#, #"{"type":"string","format":"ipv6"}"#, #"{"type":"string","format":"time"}"#,
        #"{"type":"array","items":{"type":"integer"},"minItems":3,"uniqueItems":false}"#,
        #"{"type":"array","minItems":2,"uniqueItems":true,"items":{"type":"string"}}"#, #"{"type":"array","maxItems":0}"#,
        #"{"prefixItems":[{"type":"integer"},{"type":"boolean"}],"items":false}"#,
        #"{"type":"object","properties":{"a":{"type":"object","properties":{"b":{"type":"integer"}},"required":["b"]}},"required":["a","c"]}"#,
        ##"{"properties":{"a":{"$ref":"#/$defs/x~1y"}},"$defs":{"x/y":{"type":"integer"}},"required":["a"]}"##,
        #"{"allOf":[{"required":["a"]},{"properties":{"a":{"type":"integer"}}}]}"#,
        #"{"oneOf":[{"type":"integer"},{"type":"string"}]}"#, #"{"anyOf":[{"required":["a"]},{"required":["b"]}]}"#,
        ##"{"type":"object","properties":{"a":{"$ref":"#"}}}"##, ##"{"properties":{"a":false,"b":true}}"##,
        #"{"type":"object","additionalProperties":false}"#, "true", "{}",
    ])
    func samplesSatisfyTheirSchema(schema: String) throws {
        let document = try JSONDocument(Array(schema.utf8))
        let sample = SchemaSample(schema: document.root).json()
        let value = try JSONDocument(sample).root
        let options = SchemaOptions(assertsFormats: true)
        let result = try SchemaCompiler.compile(document, options: options).validate(value)
        #expect(result.isValid, "\(String(decoding: sample, as: UTF8.self)): \(result.violations.map(\.message))")
    }

    /// Schemas that refer to themselves in every way end.
    @Test(arguments: [
        ##"{"$ref":"#"}"##, ##"{"allOf":[{"$ref":"#"},{"$ref":"#"}]}"##, ##"{"type":"array","items":{"$ref":"#"},"minItems":1}"##,
        ##"{"type":"object","properties":{"a":{"$ref":"#"},"b":{"$ref":"#"}},"required":["a"]}"##,
    ])
    func selfReferenceEnds(schema: String) throws {
        let sample = SchemaSample(schema: try JSONDocument(Array(schema.utf8)).root).json()
        #expect(sample.count < 1 << 20)
        _ = try JSONDocument(sample)
    }

    private func hook(_ trigger: HookTrigger?, type: HookType = .form, policy: HookPolicy = HookPolicy()) -> Hook {
        Hook(app: "a", eventName: "e", type: type, policy: policy, trigger: trigger)
    }

    private func data(_ hook: Hook) -> String { String(decoding: HookSample(of: hook, number: "7").data, as: UTF8.self) }

    @Test(arguments: [
        // The trigger's own sample, put back where the template takes it from.
        (#"{"t":"/#data.a.b","w":{"x":["/#attributes.data.l.1.c"]}}"#, #"{"t":1.10,"w":{"x":[{"z":2}]}}"#, nil, #"{"a":{"b":1.10},"l":[{},{"c":{"z":2}}]}"#),
        // Made from the schema.
        (#"{"t":"/#data.no"}"#, nil, #"{"properties":{"t":{"type":"string","format":"date"}},"required":["t"]}"#, #"{"no":"2026-03-02"}"#),
        // From the paths alone.
        (#"{"t":"/#data.no","n":"/#data.l.length","i":"/#id","s":"text"}"#, nil, nil, #"{"no":"no"}"#),
        (#"{"t":"/#data.a.b","u":"/#data.a"}"#, nil, nil, #"{"a":{"b":"b"}}"#),
    ] as [(String, String?, String?, String)])
    func dataFollowsFromTheTemplate(template: String, sample: String?, schema: String?, data: String) {
        let trigger = HookTrigger(
            outputTemplate: Array(template.utf8), outputSchema: schema.map { Array($0.utf8) }, sampleOutput: sample.map { Array($0.utf8) })
        #expect(self.data(hook(trigger)) == data)
    }

    @Test func withoutATrigger() {
        #expect(data(hook(nil)) == #"{"name":"Ines Example","email":"ines@example.test","message":"A test, number 7"}"#)
        #expect(data(hook(nil, type: .web)).contains("7"))
        #expect(data(hook(nil, type: .email)).contains(#""@type":"Order","orderNumber":"7""#))
        #expect(data(hook(nil, type: .email, policy: HookPolicy(acceptTypes: ["ParcelDelivery"]))).contains(#""@type":"ParcelDelivery""#))
        let schema = Array(#"{"properties":{"n":{"type":"integer"}},"required":["n"]}"#.utf8)
        #expect(data(hook(nil, policy: HookPolicy(schema: schema))) == #"{"n":1}"#)
    }
}
