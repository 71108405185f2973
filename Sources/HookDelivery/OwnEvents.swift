// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Events about what went wrong, made by the daemon itself. They hold names, ids and reasons, nothing of a mail.

public import HookModel
internal import JSONLD

/// The daemon's own events. They are only made when somebody subscribes to them.
public enum OwnEvents {
    public static let deliveryDead = "mailhookd.delivery.dead"
    public static let subscriptionDisabled = "mailhookd.subscription.disabled"
    public static let messageRejected = "mailhookd.message.rejected"
    public static let hookSilent = "mailhookd.hook.silent"
    public static let triggerFailed = "mailhookd.trigger.failed"

    public static let names = [deliveryDead, subscriptionDisabled, messageRejected, hookSilent, triggerFailed]

    static let firstSegment = Array("mailhookd".utf8)

    /// Whether an event is one of them. That one could not be delivered makes no further event, or a receiver that is
    /// down would keep the daemon busy with itself.
    public static func isOwn(_ eventType: String) -> Bool {
        let name = eventType.utf8
        return name.starts(with: firstSegment) && name.dropFirst(firstSegment.count).first == UInt8(ascii: ".")
    }

    /// Makes one. The id follows from `identity`, so that what is told twice is one event.
    ///
    /// - Parameters:
    ///   - instance: the host name in the source of events.
    ///   - data: names and values; values that are nil are left out.
    public static func event(
        _ type: String, identity: String, instance: String, at time: Timestamp, data: [(name: String, value: String?)]
    ) -> Event {
        let id = OwnEventIdentity.id(type: type, identity: identity)
        var writer = JSONWriter(capacity: 512)
        writer.beginObject()
        writer.member("specversion", "1.0")
        writer.member("id", id)
        writer.member("source", "mailhookd://\(instance)")
        writer.member("type", type)
        writer.member("time", time.rfc3339)
        writer.member("datacontenttype", "application/json")
        writer.name("data")
        writer.beginObject()
        for (name, value) in data { writer.member(name, value) }
        writer.endObject()
        writer.endObject()
        return Event(id: id, type: type, json: writer.bytes)
    }
}
