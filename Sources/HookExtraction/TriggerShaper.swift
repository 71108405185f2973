// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What triggers make of events: the output of a template, checked against its schema. An output
// that can't be had never costs the event: it goes without, and says so.

public import HookModel
import JSONLD
public import JSONSchema

/// The triggers of all hooks, compiled.
public struct TriggerShaper: Sendable {
    private struct Trigger: Sendable {
        var template: TriggerTemplate
        /// nil: anything goes.
        var schema: Schema?
    }

    private enum Schema: Sendable {
        case compiled(CompiledSchema)
        /// A schema that can't be compiled lets nothing through; the check of the definition tells it first.
        case unusable
    }

    enum Output: Sendable, Hashable {
        /// The hook has no template.
        case none
        /// JSON on one line.
        case made([UInt8])
        case failed(TriggerFailure.Code, reason: String)
    }

    /// An output is checked while its sender waits.
    private static let schemaLimits = SchemaLimits(work: 1_000_000)

    /// By event name.
    private let triggers: [String: Trigger]

    public init(_ hooks: [Hook]) {
        var triggers: [String: Trigger] = [:]
        for hook in hooks {
            guard let text = hook.trigger?.outputTemplate, let template = try? JSONDocument(text) else { continue }
            let schema = hook.trigger?.outputSchema.map { text -> Schema in
                (try? Self.compile(text)).map(Schema.compiled) ?? .unusable
            }
            triggers[hook.eventName] = Trigger(template: TriggerTemplate(template.root), schema: schema)
        }
        self.triggers = triggers
    }

    /// A schema that does not say its draft is of draft 2020-12, or else of draft 7: definitions older than the one are
    /// written in the other, and what differs mostly does not compile.
    ///
    /// - Throws: `SchemaError` about draft 2020-12, or `JSONError`.
    public static func compile(_ text: [UInt8]) throws -> CompiledSchema {
        let document = try JSONDocument(text)
        do {
            return try SchemaCompiler.compile(document)
        } catch {
            guard document.root["$schema"] == nil,
                let older = try? SchemaCompiler.compile(document, options: SchemaOptions(draft: .draft7))
            else { throw error }
            return older
        }
    }

    func shapes(_ eventName: String) -> Bool { triggers[eventName] != nil }

    /// - Parameter data: the event's data, of at most `depth` levels.
    func output(eventName: String, id: String, time: Timestamp, data: JSONValue, depth: Int) -> Output {
        guard let trigger = triggers[eventName] else { return .none }
        let source = TriggerTemplate.Source(data: data, id: id, name: eventName, createdAt: time.rfc3339)
        guard case .output(let output) = trigger.template.fill(from: source) else {
            return .failed(.outputTooCostly, reason: "making the output takes more room or work than is allowed")
        }
        return check(output, trigger.schema, depth: depth)
    }

    private func check(_ output: [UInt8], _ schema: Schema?, depth: Int) -> Output {
        guard let schema else { return .made(output) }
        guard case .compiled(let compiled) = schema else {
            return .failed(.outputInvalid, reason: "the trigger's outputSchema cannot be compiled")
        }
        // A template has 128 levels at most, and puts the data below them.
        guard let document = try? JSONDocument(output, limits: JSONLimits(depth: depth + 128)) else {
            return .failed(.outputTooCostly, reason: "the output has more levels than is allowed")
        }
        let result = compiled.validate(document.root, limits: Self.schemaLimits)
        switch result.outcome {
        case .valid: return .made(output)
        case .workLimitReached, .depthLimitReached:
            return .failed(.outputTooCostly, reason: "checking the output takes more work than is allowed")
        case .invalid: return .failed(.outputInvalid, reason: DocumentShaper.text(of: result.violations, whole: "the output"))
        }
    }
}

/// The outputs of one message's events, with what failed. One that costs too much is an attack, and there may be a
/// hundred of them: the rest is not tried.
struct TriggerRun {
    private let shaper: TriggerShaper
    private let depth: Int
    private(set) var failures: [TriggerFailure] = []
    private var isExhausted = false

    /// - Parameter depth: levels the data may have.
    init(_ shaper: TriggerShaper, depth: Int) {
        self.shaper = shaper
        self.depth = depth
    }

    /// What the event says: its output, or why it has none; both nil where its hook asks for none.
    ///
    /// - Parameters:
    ///   - data: what was sent.
    ///   - shaped: the event's data as JSON text, where it is not as it was sent.
    mutating func run(
        eventName: String, id: String, time: Timestamp, data: JSONValue?, shaped: ArraySlice<UInt8>?
    ) -> (output: [UInt8]?, failure: String?) {
        guard shaper.shapes(eventName) else { return (nil, nil) }
        if isExhausted {
            return fail(id, .outputTooCostly, "an earlier document of the message took more work than is allowed")
        }
        let limits = JSONLimits(depth: depth)
        guard let value = shaped == nil ? data : (try? JSONDocument(Array(shaped ?? []), limits: limits))?.root else {
            return fail(id, .outputTooCostly, "the data has more levels than is allowed")
        }
        switch shaper.output(eventName: eventName, id: id, time: time, data: value, depth: depth) {
        case .none: return (nil, nil)
        case .made(let output): return (output, nil)
        case .failed(let code, let reason):
            isExhausted = code == .outputTooCostly
            return fail(id, code, reason)
        }
    }

    private mutating func fail(
        _ id: String, _ code: TriggerFailure.Code, _ reason: String
    ) -> (output: [UInt8]?, failure: String?) {
        failures.append(TriggerFailure(eventID: id, code: code, reason: reason))
        return (nil, "\(code.rawValue): \(reason)")
    }
}
