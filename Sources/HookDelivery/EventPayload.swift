// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What a subscription gets as the data of its events: what was sent, or what the hook's trigger made of it. Pure.

public import HookModel
internal import JSONLD

/// The data that a subscription's events carry.
public enum EventPayload: String, Sendable, Hashable, CaseIterable {
    /// What was sent; what the trigger made of it is beside it, in the attribute `output`.
    case event
    /// What the trigger made of it.
    case trigger

    /// The event as it goes to whoever subscribed in this way.
    ///
    /// A trigger that could not make its output leaves no data at all: who asked for one shape is never handed another.
    /// Events of hooks without a template go as they are.
    public func shaped(_ event: Event) -> Event {
        guard self == .trigger, let root = try? JSONDocument(event.json, limits: EventEnvelope.limits).root,
            root.kind == .object
        else { return event }
        let output = root["output"]?.string
        guard output != nil || root["outputfailure"] != nil else { return event }
        var writer = JSONWriter(capacity: event.json.count)
        writer.beginObject()
        for member in root.members where !["data", "datacontenttype", "output"].contains(member.name) {
            writer.name(member.name)
            writer.raw(member.value.text)
        }
        if let output {
            writer.member("datacontenttype", "application/json")
            writer.name("data")
            writer.raw(output.utf8)
        }
        writer.endObject()
        return Event(id: event.id, type: event.type, json: writer.bytes)
    }
}
