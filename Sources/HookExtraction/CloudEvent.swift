// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Writes the CloudEvents 1.0 JSON of one document (JSON event format, section 3), by whatever
// road it came. The document is spliced in as it was sent: its numbers, the order of its
// members and what nobody here understands survive.

import HookModel
import JSONLD

struct CloudEvent {
    var id: String
    /// URI of this installation and the app (CloudEvents section 3.1.1, "source").
    var source: String
    var type: String
    var hookType: HookType
    var intake: IntakeSource
    /// What the document is about, where it says so.
    var subject: String?
    var time: Timestamp
    /// Of `data`.
    var mediaType: String
    /// Further attributes in their order: lower-case letters and digits, values are strings (CloudEvents section 3.1).
    var extensions: [(name: String, value: String?)]
    /// JSON that the hook's trigger made of the data; an attribute can only be a text, so it travels as one.
    var output: [UInt8]?
    /// JSON.
    var data: ArraySlice<UInt8>

    /// Longest value of an attribute, in octets: the whole event should stay small beside its data.
    private static let attributeLimit = 2048

    /// On one line, UTF-8.
    func json() -> [UInt8] {
        var writer = JSONWriter(capacity: data.count + 1024)
        writer.beginObject()
        writer.member("specversion", "1.0")
        writer.member("id", id)
        writer.member("source", source)
        writer.member("type", type)
        writer.member("subject", Self.bounded(subject))
        writer.member("time", time.rfc3339)
        writer.member("datacontenttype", mediaType)
        writer.member("hooktype", hookType.rawValue)
        writer.member("intake", intake.rawValue)
        for (name, value) in extensions { writer.member(name, Self.bounded(value)) }
        writer.member("output", output.map(Self.text))
        writer.name("data")
        writer.rawOnOneLine(data)
        writer.endObject()
        return writer.bytes
    }

    /// nil where there is nothing to say: CloudEvents attributes are never empty (section 3.1, "String").
    private static func bounded(_ value: String?) -> String? {
        guard let given = value, !given.isEmpty else { return nil }
        let value = isPlain(given.utf8) ? given : replacing(given) { _ in "\u{FFFD}" }
        guard value.utf8.count > attributeLimit else { return value }
        var kept = ""
        for character in value {
            guard kept.utf8.count + character.utf8.count <= attributeLimit else { break }
            kept.append(character)
        }
        return kept
    }

    // MARK: - Characters that no attribute may have

    // Section 3.1, "String": no control characters and no noncharacters. Mail has them in headers and addresses, and a
    // consumer may refuse an event for them.
    private static func isAllowed(_ scalar: Unicode.Scalar) -> Bool {
        let value = scalar.value
        return value >= 0x20 && !(0x7F...0x9F).contains(value) && !(0xFDD0...0xFDEF).contains(value) && value & 0xFFFE != 0xFFFE
    }

    private static func isPlain(_ octets: some Collection<UInt8>) -> Bool { octets.allSatisfy { (0x20...0x7E).contains($0) } }

    private static func replacing(_ value: String, _ replacement: (Unicode.Scalar) -> String) -> String {
        var kept = String.UnicodeScalarView()
        for scalar in value.unicodeScalars {
            if isAllowed(scalar) { kept.append(scalar) } else { kept += replacement(scalar).unicodeScalars }
        }
        return String(kept)
    }

    /// JSON as a text, in which such characters can be written otherwise.
    private static func text(_ json: [UInt8]) -> String {
        let text = String(decoding: json, as: UTF8.self)
        return isPlain(json) ? text : replacing(text) { scalar in
            // Between values, where only white space can stand.
            guard scalar.value >= 0x20 else { return " " }
            return String(scalar).utf16.map { "\\u" + String(0x10000 + UInt32($0), radix: 16).dropFirst() }.joined()
        }
    }
}

/// What the event of a mail's document says beside the document.
struct MailAttributes {
    var candidate: Candidate
    /// The name of the form the document was brought into, where it is not as it was sent.
    var form: String?
    var envelope: Envelope
    /// What stood behind the `+` of the recipient's local part.
    var tag: String?
    var messageID: String?
    var subjectField: String?
    /// Why there is no output of the hook's trigger, where it has one.
    var outputFailure: String?

    var extensions: [(name: String, value: String?)] {
        let repairs = candidate.repairs.map(\.rawValue).joined(separator: ",")
        return [
            ("messageid", messageID), ("mailfrom", envelope.mailFrom), ("mailsubject", subjectField),
            ("partpath", candidate.path),
            ("partindex", candidate.origin == .script ? String(candidate.index) : nil),
            ("partorigin", candidate.origin.rawValue), ("filename", candidate.fileName),
            ("placement", candidate.placement?.rawValue), ("mislabelled", candidate.isMislabelled ? "true" : nil),
            ("repairs", repairs), ("form", form), ("recipienttag", tag), ("trust", candidate.key == nil ? "none" : "key"),
            ("outputfailure", outputFailure),
        ]
    }
}
