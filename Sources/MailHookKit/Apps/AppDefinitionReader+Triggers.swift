// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// `triggers[]`: each names an event and may say in which shape its data is handed on.

import HookExtraction
public import HookModel
import JSONLD
import JSONSchema

/// An entry of `triggers[]`.
public struct TriggerDeclaration: Sendable, Hashable {
    public var eventName: String
    public var trigger: HookTrigger
}

extension AppDefinitionReader {
    private static let triggerKeys: Set<String> = [
        "description", "displayName", "eventName", "outputSchema", "outputTemplate", "sampleOutputContext",
        "sampleOutputSchema",
    ]

    mutating func readTriggers(_ root: JSONValue, hooks: [HookDeclaration]) -> [TriggerDeclaration] {
        let known = Set(hooks.map(\.eventName))
        var names: Set<String> = []
        return list("triggers", of: root).enumerated().compactMap { index, entry in
            let place = "triggers[\(index)]"
            guard let trigger = readTrigger(entry, place: place) else { return nil }
            let offset = entry["eventName"]?.range.lowerBound ?? entry.range.lowerBound
            guard names.insert(trigger.eventName).inserted else {
                report(
                    .error, at: offset, "\(place).eventName",
                    "'\(trigger.eventName)' has two triggers; an event has one shape")
                return nil
            }
            if !known.contains(trigger.eventName) {
                report(
                    .note, at: offset, "\(place).eventName",
                    "no hook of this definition makes '\(trigger.eventName)': the trigger has no effect",
                    hint: suggestion(for: trigger.eventName, among: known))
            }
            return trigger
        }
    }

    private mutating func readTrigger(_ entry: JSONValue, place: String) -> TriggerDeclaration? {
        guard entry.kind == .object else {
            report(.error, at: entry.range.lowerBound, place, "must be an object")
            return nil
        }
        checkKeys(of: entry, known: Self.triggerKeys, place: place, severity: .warning)
        let name = required("eventName", of: entry, place: place)
        let description = optional("description", of: entry, place: place)
        let template = readTemplate(entry, place: place)
        let schema = present("outputSchema", of: entry)
        let compiled = schema.flatMap { compile($0, place: place) }
        // The two names of the same thing that the format has known.
        let sample = present("sampleOutputContext", of: entry) ?? present("sampleOutputSchema", of: entry)
        if let sample, let compiled, !compiled.validate(sample).isValid {
            report(
                .warning, at: sample.range.lowerBound, place, "the sample output does not satisfy outputSchema")
        }
        guard let name, let eventName = eventName(name, place: place) else { return nil }
        return TriggerDeclaration(
            eventName: eventName,
            trigger: HookTrigger(
                description: description, outputTemplate: template.map { Array($0.text) },
                outputSchema: schema.map { Array($0.text) }, sampleOutput: sample.map { Array($0.text) }))
    }

    private mutating func readTemplate(_ entry: JSONValue, place: String) -> JSONValue? {
        guard let template = present("outputTemplate", of: entry) else { return nil }
        guard template.kind == .object else {
            report(.error, at: template.range.lowerBound, "\(place).outputTemplate", "must be an object")
            return nil
        }
        for problem in TriggerTemplate(template).problems {
            report(
                .warning, at: problem.offset, "\(place).outputTemplate\(problem.path)",
                "\(problem.reason.description): left out of every output")
        }
        return template
    }

    private mutating func compile(_ schema: JSONValue, place: String) -> CompiledSchema? {
        do {
            return try TriggerShaper.compile(Array(schema.text))
        } catch {
            report(
                .error, at: schema.range.lowerBound, "\(place).outputSchema",
                "is no JSON Schema that can be used: \(error)")
            return nil
        }
    }

    private func present(_ key: String, of entry: JSONValue) -> JSONValue? {
        entry[key].flatMap { $0.isNull ? nil : $0 }
    }
}
