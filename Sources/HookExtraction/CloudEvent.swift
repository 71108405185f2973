// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Writes the CloudEvents 1.0 JSON of one document (JSON event format, section 3). The document
// is spliced in as it was sent: its numbers, the order of its members and what nobody here
// understands survive.

import HookModel
import JSONLD

struct CloudEvent {
    var id: String
    /// URI of this installation and the app (CloudEvents section 3.1.1, "source").
    var source: String
    var type: String
    var hookType: HookType
    var time: Timestamp
    var candidate: Candidate
    var document: JSONDocument
    /// What the event carries instead of the document as it was sent, and the name of that form.
    var shaped: (data: [UInt8], form: String)?
    var envelope: Envelope
    /// What stood behind the `+` of the recipient's local part.
    var tag: String?
    var messageID: String?
    var subjectField: String?
    /// The document carried the hook's key.
    var isKeyed: Bool

    /// Longest value of an attribute, in octets: the whole event should stay small beside its data.
    private static let attributeLimit = 2048

    /// On one line, UTF-8.
    func json() -> [UInt8] {
        let data = shaped?.data[...] ?? document.root.text
        var writer = JSONWriter(capacity: data.count + 1024)
        writer.beginObject()
        writer.member("specversion", "1.0")
        writer.member("id", id)
        writer.member("source", source)
        writer.member("type", type)
        writer.member("subject", Self.bounded(document.root["@id"]?.string))
        writer.member("time", time.rfc3339)
        writer.member("datacontenttype", shaped == nil ? candidate.kind.mediaType : Candidate.Kind.jsonLD.mediaType)
        writeExtensions(&writer)
        writer.name("data")
        writer.raw(JSONDocument.onOneLine(data))
        writer.endObject()
        return writer.bytes
    }

    /// Extension attributes: lower-case letters and digits, values are strings (CloudEvents section 3.1).
    private func writeExtensions(_ writer: inout JSONWriter) {
        writer.member("hooktype", hookType.rawValue)
        writer.member("intake", envelope.source.rawValue)
        writer.member("messageid", Self.bounded(messageID))
        writer.member("mailfrom", Self.bounded(envelope.mailFrom))
        writer.member("mailsubject", Self.bounded(subjectField))
        writer.member("partpath", candidate.path)
        writer.member("partindex", candidate.origin == .script ? String(candidate.index) : nil)
        writer.member("partorigin", candidate.origin.rawValue)
        writer.member("filename", Self.bounded(candidate.fileName))
        writer.member("placement", candidate.placement?.rawValue)
        writer.member("mislabelled", candidate.isMislabelled ? "true" : nil)
        writer.member("repairs", candidate.repairs.isEmpty ? nil : candidate.repairs.map(\.rawValue).joined(separator: ","))
        writer.member("form", shaped?.form)
        writer.member("recipienttag", Self.bounded(tag))
        writer.member("trust", isKeyed ? "key" : "none")
    }

    /// nil where there is nothing to say: CloudEvents attributes are never empty (section 3.1, "String").
    private static func bounded(_ value: String?) -> String? {
        guard let value, !value.isEmpty else { return nil }
        guard value.utf8.count > attributeLimit else { return value }
        var kept = ""
        for character in value {
            guard kept.utf8.count + character.utf8.count <= attributeLimit else { break }
            kept.append(character)
        }
        return kept
    }
}
