// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// An event in the envelope that outbound webhooks of app definitions carry: `id`, `name`, `createdAt`, and the data
// as attributes of a resource. Values are spliced in as they were sent.

internal import HookModel
internal import JSONLD

enum EventEnvelope {
    /// Documents have at most 128 levels, the templates of triggers put them below as many, and an event into one more.
    static let limits = JSONLimits(depth: 320)

    /// One JSON object on one line.
    static func json(of event: Event) -> [UInt8] {
        let root = try? JSONDocument(event.json, limits: limits).root
        let missing = Array("null".utf8)
        let createdAt = (root?["time"]).map { Array($0.text) } ?? missing
        var writer = JSONWriter(capacity: event.json.count + 256)
        writer.beginObject()
        writer.member("id", event.id)
        writer.member("name", event.type)
        writer.name("createdAt")
        writer.raw(createdAt)
        writer.name("data")
        writer.beginObject()
        writer.member("type", "hook_transaction")
        writer.member("id", event.id)
        writer.name("attributes")
        writer.beginObject()
        writer.name("data")
        writer.raw((root?["data"]).map { Array($0.text) } ?? missing)
        writer.name("createdAt")
        writer.raw(createdAt)
        writer.endObject()
        writer.endObject()
        writer.endObject()
        return writer.bytes
    }
}
