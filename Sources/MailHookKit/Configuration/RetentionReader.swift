// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The section `retention` of the configuration, and the same of a hook.

import HookStore

enum RetentionReader {
    private static let keys = ["messages", "events", "delivered", "dead", "duplicates", "size"]
    private static let leastSize = 1 << 20

    static func read(
        _ top: YAMLSection, file: String, into configuration: inout Configuration, _ diagnostics: inout Diagnostics
    ) {
        guard let node = top.node("retention") else { return check(configuration, top, &diagnostics) }
        let section = YAMLSection(node, file: file, place: "retention", keys: keys, into: &diagnostics)
        var retention = configuration.retention
        retention.ages.messages = time(section, "messages", &diagnostics) ?? retention.ages.messages
        retention.ages.events = time(section, "events", &diagnostics) ?? retention.ages.events
        retention.delivered = time(section, "delivered", &diagnostics) ?? retention.delivered
        retention.dead = time(section, "dead", &diagnostics) ?? retention.dead
        retention.duplicates = time(section, "duplicates", &diagnostics) ?? retention.duplicates
        retention.size = size(section, &diagnostics) ?? retention.size
        configuration.retention = retention
        check(configuration, section, &diagnostics)
    }

    /// Of one hook.
    static func read(
        _ node: YAMLNode, file: String, place: String, into retention: inout Configuration.HookRetention,
        _ diagnostics: inout Diagnostics
    ) {
        let section = YAMLSection(node, file: file, place: place, keys: ["messages", "events"], into: &diagnostics)
        if let messages = time(section, "messages", &diagnostics) { retention.messages = messages }
        if let events = time(section, "events", &diagnostics) { retention.events = events }
    }

    /// Outer nil where the key is absent or wrong, inner nil for `unlimited`.
    private static func time(_ section: YAMLSection, _ key: String, _ diagnostics: inout Diagnostics) -> Duration?? {
        let read: Duration?? = section.value(
            key, expected: "\(YAMLSection.durationWords), or unlimited", into: &diagnostics
        ) { text in
            text == "unlimited" ? .some(nil) : Units.duration(text).map { .some($0) }
        }
        if case .some(.some(let time)) = read, time < .seconds(1) {
            section.complain(key, "must be 1s or more", into: &diagnostics)
        }
        return read
    }

    private static func size(_ section: YAMLSection, _ diagnostics: inout Diagnostics) -> Int?? {
        let expected = "a size such as 10GiB, 1MiB or more, or unlimited"
        return section.value("size", expected: expected, into: &diagnostics) { text -> Int?? in
            if text == "unlimited" { return .some(nil) }
            return Units.size(text).flatMap { $0 >= leastSize ? .some($0) : nil }
        }
    }

    /// A message is known again by what is left of it: that goes last.
    private static func check(
        _ configuration: Configuration, _ section: YAMLSection, _ diagnostics: inout Diagnostics
    ) {
        guard let duplicates = configuration.retention.duplicates else { return }
        let policy = configuration.retentionPolicy
        let ages = ([policy.ages] + policy.hooks.values).flatMap { [$0.messages, $0.events] }
        guard ages.contains(where: { $0.map { $0 > duplicates } ?? false }) else { return }
        diagnostics.add(
            Diagnostic(
                .error, file: section.file, position: section.node("duplicates")?.position, place: "retention.duplicates",
                reason: "must not be shorter than messages and events, of single hooks too"))
    }
}

extension Configuration {
    /// What is to be kept for how long, with what single hooks say.
    var retentionPolicy: RetentionPolicy {
        var policy = retention
        func ages(_ own: HookRetention) -> RetentionPolicy.Ages {
            .init(messages: own.messages ?? retention.ages.messages, events: own.events ?? retention.ages.events)
        }
        if let all = hooks["*"] { policy.ages = ages(all.retention) }
        for (name, settings) in hooks where name != "*" && settings.retention != HookRetention() {
            policy.hooks[name] = ages(settings.retention)
        }
        return policy
    }
}
