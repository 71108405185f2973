// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// One entry of `subscriptions:` to a Subscription.

import HookDelivery
import HookModel

struct SubscriptionReader {
    private let file: String
    private let folder: String
    private(set) var names: Set<String> = []
    private(set) var diagnostics = Diagnostics()

    private static let sinks = ["webhook", "exec", "file", "stdout"]

    init(file: String, folder: String) {
        self.file = file
        self.folder = folder
    }

    /// nil where something is wrong with it.
    mutating func read(_ node: YAMLNode, place: String) -> Subscription? {
        let keys =
            ["name", "events", "filter", "payload", "retry", "concurrency", "rate", "ordered", "breaker", "allowPrivate"]
            + Self.sinks
        let section = YAMLSection(node, file: file, place: place, keys: keys, into: &diagnostics)
        let name = section.value(
            "name", expected: "a word of letters, digits, '-', '_' and '.', at most 64 of them", into: &diagnostics,
            Self.name)
        if section.node("name") == nil { missing("name", "for logs and for the store", section, node) }
        if let name, !names.insert(name).inserted {
            section.complain("name", "another subscription has this name", into: &diagnostics)
        }
        let events = patterns(section)
        if section.node("events") == nil { missing("events", "[\">\"] stands for all events", section, node) }
        let schedule = schedule(section)
        let concurrency = section.integer("concurrency", in: 1...256, into: &diagnostics)
        let rate = section.value("rate", expected: Self.rateWords, into: &diagnostics, Self.rate)
        let isOrdered = section.boolean("ordered", into: &diagnostics) ?? false
        let filter = filter(section)
        let breaker = breaker(section)
        let allowsPrivate = section.boolean("allowPrivate", into: &diagnostics)
        if section.node("webhook") == nil {
            for key in ["allowPrivate", "breaker"] where section.node(key) != nil {
                section.complain(key, "only goes with webhook", into: &diagnostics)
            }
        }
        guard let sink = sink(section, node, allowsPrivate ?? false), let name, let events else { return nil }
        var subscription = Subscription(
            name: name, events: events, sink: sink, schedule: schedule, concurrency: concurrency)
        subscription.payload = section.choice("payload", into: &diagnostics) ?? .event
        subscription.rate = rate
        subscription.isOrdered = isOrdered
        subscription.filter = filter
        if let breaker { subscription.breaker = breaker.settings }
        return subscription
    }

    // MARK: - How

    private static let rateWords = "a number and a time such as 10/s, 600/m or 5000/h"

    private static func rate(_ text: String) -> DeliveryRate? {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let count = Int(parts[0]), (1...1_000_000).contains(count) else { return nil }
        let times: [Substring: Duration] = ["s": .seconds(1), "m": .seconds(60), "h": .seconds(3600), "d": .seconds(86_400)]
        return times[parts[1]].flatMap { DeliveryRate(count: count, per: $0) }
    }

    /// nil where the default holds; no settings where there is to be none.
    private mutating func breaker(_ section: YAMLSection) -> (settings: BreakerSettings?, Void)? {
        guard let node = section.node("breaker"), !node.isNull else { return nil }
        if node.text == "off" { return (nil, ()) }
        let keys = ["failures", "pause", "longestPause"]
        let inner = YAMLSection(node, file: file, place: section.path("breaker"), keys: keys, into: &diagnostics)
        var settings = BreakerSettings()
        settings.failures = inner.integer("failures", in: 1...10_000, into: &diagnostics) ?? settings.failures
        settings.pause = inner.duration("pause", into: &diagnostics) ?? settings.pause
        settings.longestPause = max(
            settings.pause, inner.duration("longestPause", into: &diagnostics) ?? settings.longestPause)
        return (settings, ())
    }

    // MARK: - What

    private mutating func filter(_ section: YAMLSection) -> EventFilter? {
        guard section.node("filter") != nil, let items = section.list("filter", into: &diagnostics) else { return nil }
        var conditions: [EventFilter.Condition] = []
        for (index, item) in items.enumerated() {
            let place = "\(section.path("filter"))[\(index)]"
            let inner = YAMLSection(item, file: file, place: place, keys: ["path", "exists", "equals", "in"], into: &diagnostics)
            if let condition = condition(inner, item) { conditions.append(condition) }
        }
        return EventFilter(conditions)
    }

    private mutating func condition(_ section: YAMLSection, _ node: YAMLNode) -> EventFilter.Condition? {
        guard let path = section.node("path")?.text else {
            missing("path", "a JSON Pointer into the data, such as /customer/country", section, node)
            return nil
        }
        let named = ["exists", "equals", "in"].filter { section.node($0) != nil }
        guard named.count == 1 else {
            section.complain("path", "needs one of exists, equals and in", into: &diagnostics)
            return nil
        }
        let test: EventFilter.Test?
        switch named[0] {
        case "exists": test = section.boolean("exists", into: &diagnostics).map { .exists($0) }
        case "equals": test = section.node("equals").flatMap(Self.scalar).map { .isOne(of: [$0]) }
        default: test = section.list("in", into: &diagnostics).map { .isOne(of: $0.compactMap(Self.scalar)) }
        }
        guard let test else {
            if named[0] == "equals" { section.complain("equals", "must be a single value", into: &diagnostics) }
            return nil
        }
        guard let condition = EventFilter.Condition(pointer: path, test) else {
            section.complain("path", "'\(path)' is no JSON Pointer: it begins with / and names one member after the other", into: &diagnostics)
            return nil
        }
        return condition
    }

    /// As the core schema of YAML 1.2 (section 10.3.2) reads a value; nil for lists and mappings.
    private static func scalar(_ node: YAMLNode) -> EventFilter.Scalar? {
        guard case .scalar(let text, let isPlain) = node.content else { return nil }
        guard isPlain else { return .string(text) }
        if node.isNull { return .null }
        switch text {
        case "true", "True", "TRUE": return .boolean(true)
        case "false", "False", "FALSE": return .boolean(false)
        default: return Double(text) != nil && text.allSatisfy { "0123456789.eE+-".contains($0) } ? .number(text) : .string(text)
        }
    }

    private mutating func missing(_ key: String, _ hint: String, _ section: YAMLSection, _ node: YAMLNode) {
        diagnostics.add(
            Diagnostic(
                .error, file: file, position: node.position, place: section.place, reason: "needs '\(key)'", hint: hint))
    }

    private mutating func patterns(_ section: YAMLSection) -> [EventPattern]? {
        var patterns: [EventPattern] = []
        guard let texts = section.strings("events", into: &diagnostics) else { return nil }
        for text in texts {
            do {
                patterns.append(try EventPattern(text))
            } catch {
                section.complain("events", "'\(text)' is no pattern: \(error.rawValue)", into: &diagnostics)
            }
        }
        return patterns
    }

    private mutating func schedule(_ section: YAMLSection) -> RetrySchedule {
        let delays = section.list("retry", of: YAMLSection.durationWords, into: &diagnostics, Units.duration)
        return delays.map { RetrySchedule(delays: $0) } ?? RetrySchedule()
    }

    private mutating func sink(
        _ section: YAMLSection, _ node: YAMLNode, _ allowsPrivate: Bool
    ) -> SinkConfiguration? {
        let named = Self.sinks.filter { section.node($0) != nil }
        guard named.count == 1, let name = named.first, let node = section.node(name) else {
            diagnostics.add(
                Diagnostic(
                    .error, file: file, position: node.position, place: section.place,
                    reason: "needs one sink: \(Self.sinks.joined(separator: ", "))"))
            return nil
        }
        switch name {
        case "webhook": return webhook(node, place: section.path(name), allowsPrivate).map { .webhook($0) }
        case "stdout":
            _ = YAMLSection(node, file: file, place: section.path(name), keys: [], into: &diagnostics)
            return .standardOutput
        case "exec": return exec(node, place: section.path(name)).map { .exec($0) }
        default: return fileSink(node, place: section.path(name)).map { .file($0) }
        }
    }

    private mutating func webhook(
        _ node: YAMLNode, place: String, _ allowsPrivate: Bool
    ) -> WebhookConfiguration? {
        var reader = WebhookReader(file: file, folder: folder)
        var configuration = reader.read(node, place: place)
        configuration?.allowsPrivate = allowsPrivate
        diagnostics.add(contentsOf: reader.diagnostics)
        return configuration
    }

    private mutating func exec(_ node: YAMLNode, place: String) -> ExecConfiguration? {
        let section = YAMLSection(
            node, file: file, place: place, keys: ["command", "timeout", "folder"], into: &diagnostics)
        let command = section.strings("command", into: &diagnostics) ?? []
        let timeout = section.duration("timeout", into: &diagnostics) ?? .seconds(30)
        let folder = section.string("folder", into: &diagnostics).map { Files.resolve($0, in: self.folder) }
        guard
            let configuration = ExecConfiguration(arguments: command, timeout: timeout, workingDirectory: folder)
        else {
            missing("command", "a list: the program and its arguments", section, node)
            return nil
        }
        return configuration
    }

    private mutating func fileSink(_ node: YAMLNode, place: String) -> FileConfiguration? {
        let section = YAMLSection(node, file: file, place: place, keys: ["path", "rotate"], into: &diagnostics)
        guard let path = section.string("path", into: &diagnostics) else {
            if section.node("path") == nil { missing("path", "events.ndjson", section, node) }
            return nil
        }
        var configuration = FileConfiguration(path: Files.resolve(path, in: folder))
        guard let node = section.node("rotate"), !node.isNull else { return configuration }
        let rotate = YAMLSection(
            node, file: file, place: section.path("rotate"), keys: ["size", "age", "keep"], into: &diagnostics)
        configuration.rotationSize = rotate.size("size", into: &diagnostics)
        configuration.rotationAge = rotate.duration("age", into: &diagnostics)
        configuration.kept = rotate.integer("keep", in: 1...100_000, into: &diagnostics)
        if let age = configuration.rotationAge, age < .seconds(60) {
            rotate.complain("age", "must be 1m or more", into: &diagnostics)
        }
        if configuration.rotationSize == nil, configuration.rotationAge == nil {
            section.complain("rotate", "needs size, age or both", into: &diagnostics)
        }
        return configuration
    }

    private static func name(_ text: String) -> String? {
        let isGood = text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-_.".contains($0)) }
        return isGood && (1...64).contains(text.count) ? text : nil
    }
}
