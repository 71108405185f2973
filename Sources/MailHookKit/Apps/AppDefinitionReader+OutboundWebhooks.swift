// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// `outboundWebhooks[]`: where an app wants events sent. Read and checked here; sending is the
// work of HookDelivery.

import JSONLD

/// An entry of `outboundWebhooks[]`.
public struct OutboundWebhook: Sendable, Hashable {
    public struct Header: Sendable, Hashable {
        public var name: String
        public var value: String
    }

    public var name: String
    /// Begins with https://.
    public var url: String
    /// Names of events, at least one.
    public var events: [String]
    /// Sent with each request, in this order.
    public var headers: [Header]
    /// Whether the definition wants it switched on.
    public var isEnabled: Bool
}

extension AppDefinitionReader {
    private static let webhookKeys: Set<String> = ["description", "enabled", "events", "headers", "name", "url"]
    private static let headerKeys: Set<String> = ["name", "value"]
    /// The format's own bounds.
    private static let textLimit = 255
    private static let eventLimit = 12

    mutating func readOutboundWebhooks(_ root: JSONValue) -> [OutboundWebhook] {
        var names: Set<String> = []
        return list("outboundWebhooks", of: root).enumerated().compactMap { index, entry in
            let place = "outboundWebhooks[\(index)]"
            guard let webhook = readWebhook(entry, place: place) else { return nil }
            guard names.insert(webhook.name).inserted else {
                report(.error, at: entry.range.lowerBound, "\(place).name", "'\(webhook.name)' stands here twice")
                return nil
            }
            return webhook
        }
    }

    private mutating func readWebhook(_ entry: JSONValue, place: String) -> OutboundWebhook? {
        guard entry.kind == .object else {
            report(.error, at: entry.range.lowerBound, place, "must be an object")
            return nil
        }
        checkKeys(of: entry, known: Self.webhookKeys, place: place, severity: .warning)
        let name = bounded("name", of: entry, place: place)
        let url = bounded("url", of: entry, place: place)
        let events = readEvents(entry, place: place)
        let headers = readHeaders(entry, place: place)
        if let enabled = entry["enabled"], enabled.booleanValue == nil {
            report(.error, at: enabled.range.lowerBound, "\(place).enabled", "must be true or false")
        }
        guard let name, let url, let events, let headers else { return nil }
        guard Self.isSecureURL(url) else {
            report(
                .error, at: entry["url"]?.range.lowerBound ?? 0, "\(place).url", "must be a URL that begins with https://")
            return nil
        }
        return OutboundWebhook(
            name: name, url: url, events: events, headers: headers, isEnabled: entry["enabled"]?.booleanValue ?? true)
    }

    private mutating func bounded(_ key: String, of entry: JSONValue, place: String) -> String? {
        guard let text = required(key, of: entry, place: place) else { return nil }
        guard text.text.count <= Self.textLimit else {
            report(.error, at: text.offset, "\(place).\(key)", "may have \(Self.textLimit) characters at most")
            return nil
        }
        return text.text
    }

    private mutating func readEvents(_ entry: JSONValue, place: String) -> [String]? {
        let place = "\(place).events"
        guard let list = entry["events"], list.kind == .array, !list.elements.isEmpty else {
            report(.error, at: (entry["events"] ?? entry).range.lowerBound, place, "must be a list of event names")
            return nil
        }
        let events = list.elements
        guard events.count <= Self.eventLimit else {
            report(.error, at: list.range.lowerBound, place, "may hold \(Self.eventLimit) names at most")
            return nil
        }
        var names: [String] = []
        for (index, event) in events.enumerated() {
            if let name = event.string, Self.isEventName(name) {
                names.append(name)
            } else {
                report(.error, at: event.range.lowerBound, "\(place)[\(index)]", "must be the name of an event")
            }
        }
        return names.count == events.count ? names : nil
    }

    private mutating func readHeaders(_ entry: JSONValue, place: String) -> [OutboundWebhook.Header]? {
        guard let list = entry["headers"], !list.isNull else { return [] }
        guard list.kind == .array else {
            report(.error, at: list.range.lowerBound, "\(place).headers", "must be a list of objects with name and value")
            return nil
        }
        var headers: [OutboundWebhook.Header] = []
        for (index, element) in list.elements.enumerated() {
            let place = "\(place).headers[\(index)]"
            checkKeys(of: element, known: Self.headerKeys, place: place, severity: .warning)
            guard let name = element["name"]?.string, let value = element["value"]?.string, Self.isField(name, value) else {
                report(.error, at: element.range.lowerBound, place, "must be an object with the name and value of a header field")
                return nil
            }
            headers.append(.init(name: name, value: value))
        }
        return headers
    }

    /// RFC 9110 sections 5.1 and 5.5.
    private static func isField(_ name: String, _ value: String) -> Bool {
        let marks = Array("!#$%&'*+-.^_`|~".utf8)
        let isToken = !name.isEmpty && name.utf8.allSatisfy { octet in
            (48...57).contains(octet) || (65...90).contains(octet) || (97...122).contains(octet) || marks.contains(octet)
        }
        return isToken && value.utf8.allSatisfy { $0 >= 32 && $0 != 127 || $0 == 9 }
    }

    /// https, a host, and no character that a URL can't have.
    private static func isSecureURL(_ text: String) -> Bool {
        guard text.hasPrefix("https://"), let first = text.dropFirst(8).first else { return false }
        return first != "/" && first != ":" && first != "?" && first != "#"
            && text.utf8.allSatisfy { (33...126).contains($0) && !"\"<>\\^`{|}".utf8.contains($0) }
    }
}
