// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Writes a trial for people and for programs. What came by mail is shown without anything
// that could steer a terminal.

import HookDelivery
import HookExtraction
import HookModel
import JSONLD
import MIMEParser

extension Trial {
    public var text: String {
        [partsText, candidatesText, verdictText, eventsText, deliveriesText].filter { !$0.isEmpty }
            .joined(separator: "\n\n")
    }

    /// One object on one line.
    public var json: String {
        var writer = JSONWriter(capacity: 4096)
        writer.beginObject()
        writer.member("recipient", recipient)
        writeParts(&writer)
        writeCandidates(&writer)
        writer.member("outcome", outcome.rawValue)
        writer.member("reply", reply.description)
        if !hints.isEmpty {
            writer.name("hints")
            writer.beginArray()
            hints.forEach { writer.string($0) }
            writer.endArray()
        }
        Self.writeEnd(exitStatus, events, failures, deliveries, to: &writer)
        writer.endObject()
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    private var failures: [TriggerFailure] { processed.verdict.hooks.flatMap(\.failures) }
    private var events: [Event] { processed.verdict.hooks.flatMap(\.events) }
    private var decisions: [CandidateDecision] { processed.decisions.first?.candidates ?? [] }

    // MARK: - For people

    private var partsText: String {
        let rows = processed.mail.parts.map { part in
            let indent = String(repeating: "  ", count: part.depth)
            var words = ["\(indent)\(part.path.isEmpty ? "-" : part.path)", part.typeName]
            if let charset = part.charsetLabel { words.append("charset=\(charset)") }
            if part.encoding != .sevenBit { words.append(part.encoding.rawValue) }
            if let name = part.fileName { words.append("\"\(name)\"") }
            words.append("\(part.body.count) octets")
            return "  " + Terminal.harmless(words.joined(separator: " "))
        }
        let problems = processed.mail.problems.map { "  problem: \($0.code.rawValue) at octet \($0.offset)" }
        return (["Parts"] + rows + problems).joined(separator: "\n")
    }

    private var candidatesText: String {
        guard !processed.candidates.isEmpty else {
            return "Candidates\n  none: no JSON part, no JSON file, no JSON script, and the text is not JSON"
        }
        let rows = processed.candidates.enumerated().map { index, candidate in
            var words = ["part \(candidate.path)"]
            if candidate.origin == .script { words.append("script \(candidate.index)") }
            words.append(candidate.kind.rawValue)
            if let name = candidate.fileName { words.append("\"\(name)\"") }
            if candidate.key != nil { words.append("with a key") }
            if candidate.isMislabelled { words.append("mislabelled") }
            if !candidate.repairs.isEmpty { words.append("mended: \(candidate.repairs.map(\.rawValue).joined(separator: ", "))") }
            let decision = index < decisions.count ? Self.words(decisions[index]) : processed.decisions.isEmpty ? "not judged: no hook" : "not judged"
            words.append("-> \(decision)")
            if let reason = processed.decisions.first?.reasons[index] { words.append("(\(reason))") }
            if let failure = candidate.failure { words.append("(\(failure.code.rawValue): \(failure.reason))") }
            return "  " + Terminal.harmless(words.joined(separator: " "))
        }
        return (["Candidates"] + rows).joined(separator: "\n")
    }

    private static func words(_ decision: CandidateDecision) -> String {
        switch decision {
        case .taken: "taken"
        case .failed: "refused: no document"
        case .attached: "refused: stands in an attached message"
        case .sourceNotAccepted: "refused: the hook takes nothing from there"
        case .typeNotAccepted: "refused: the hook accepts other types"
        case .schemaInvalid: "refused: the hook's schema is not satisfied"
        case .contextUnknown: "refused: a context is not known here"
        case .jsonldInvalid: "refused: no valid JSON-LD"
        case .keyMissing: "refused: the hook requires its key"
        case .keyWrong: "refused: the key is not the hook's"
        }
    }

    private var verdictText: String {
        let hook = processed.verdict.hooks.first
        return """
            Verdict
              recipient  \(recipient.map(Terminal.harmless) ?? "none found; name one with --to")
              hook       \(hook?.eventName ?? "none")
              outcome    \(outcome.rawValue)
              reply      \(reply)
            """ + hints.map { "\n  hint       \($0)" }.joined()
    }

    private var eventsText: String { Self.text(events, failures) }

    /// Events with what their triggers made of them.
    static func text(_ events: [Event], _ failures: [TriggerFailure]) -> String {
        guard !events.isEmpty else { return "" }
        let rows = events.map { event in
            let failure = failures.first { $0.eventID == event.id }
            let output = EventLine(event).output.map { "\n  output     \($0)" }
            return "  \(EventLine(event).text)\n  \(EventLine(event).jsonLine)" + (output ?? "")
                + (failure.map { "\n  no output  \(Terminal.harmless($0.reason)) (\($0.code.rawValue))" } ?? "")
        }
        return (["Events"] + rows).joined(separator: "\n")
    }

    private var deliveriesText: String {
        events.isEmpty ? "" : Self.text(deliveries)
    }

    static func text(_ deliveries: [Delivery]) -> String {
        guard !deliveries.isEmpty else { return "Deliveries\n  none: no subscription asks for these events" }
        let rows = deliveries.map { delivery in
            var lines = ["  \(delivery.eventID) to \(delivery.subscription): \(delivery.sink)"]
            if let request = delivery.request {
                lines.append("    POST \(request.url)")
                lines += request.headers.map { "    \($0.name): \($0.value)" }
            }
            return lines.joined(separator: "\n")
        }
        return (["Deliveries"] + rows).joined(separator: "\n")
    }

    // MARK: - For programs

    private func writeParts(_ writer: inout JSONWriter) {
        writer.name("parts")
        writer.beginArray()
        for part in processed.mail.parts {
            writer.beginObject()
            writer.member("path", part.path)
            writer.member("type", part.typeName)
            writer.member("charset", part.charsetLabel)
            writer.member("encoding", part.encoding.rawValue)
            writer.member("filename", part.fileName)
            writer.name("octets")
            writer.integer(part.body.count)
            writer.endObject()
        }
        writer.endArray()
        writer.name("problems")
        writer.beginArray()
        for problem in processed.mail.problems {
            writer.beginObject()
            writer.member("code", problem.code.rawValue)
            writer.name("offset")
            writer.integer(problem.offset)
            writer.endObject()
        }
        writer.endArray()
    }

    private func writeCandidates(_ writer: inout JSONWriter) {
        writer.name("candidates")
        writer.beginArray()
        for (index, candidate) in processed.candidates.enumerated() {
            writer.beginObject()
            writer.member("path", candidate.path)
            writer.name("index")
            writer.integer(candidate.index)
            writer.member("kind", candidate.kind.rawValue)
            writer.member("origin", candidate.origin.rawValue)
            writer.member("filename", candidate.fileName)
            writer.member("decision", index < decisions.count ? decisions[index].rawValue : nil)
            writer.member("code", candidate.failure?.code.rawValue)
            writer.member("reason", candidate.failure?.reason ?? processed.decisions.first?.reasons[index])
            writer.endObject()
        }
        writer.endArray()
    }

    /// What mails and posts have in common: what came of it.
    static func writeEnd(
        _ exitStatus: Int32, _ events: [Event], _ failures: [TriggerFailure], _ deliveries: [Delivery],
        to writer: inout JSONWriter
    ) {
        writer.name("exitStatus")
        writer.integer(Int(exitStatus))
        writer.name("events")
        writer.beginArray()
        for event in events { writer.raw(event.json) }
        writer.endArray()
        write(failures, to: &writer)
        write(deliveries, to: &writer)
    }

    private static func write(_ failures: [TriggerFailure], to writer: inout JSONWriter) {
        guard !failures.isEmpty else { return }
        writer.name("failures")
        writer.beginArray()
        for failure in failures {
            writer.beginObject()
            writer.member("event", failure.eventID)
            writer.member("code", failure.code.rawValue)
            writer.member("reason", failure.reason)
            writer.endObject()
        }
        writer.endArray()
    }

    private static func write(_ deliveries: [Delivery], to writer: inout JSONWriter) {
        writer.name("deliveries")
        writer.beginArray()
        for delivery in deliveries {
            writer.beginObject()
            writer.member("event", delivery.eventID)
            writer.member("subscription", delivery.subscription)
            writer.member("sink", delivery.sink)
            if let request = delivery.request {
                writer.member("url", request.url)
                writer.name("headers")
                writer.beginObject()
                for (name, value) in request.headers { writer.member(name, value) }
                writer.endObject()
            }
            writer.endObject()
        }
        writer.endArray()
    }
}
