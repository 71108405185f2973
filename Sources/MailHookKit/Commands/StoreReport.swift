// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// `mailhookd store`: how much there is of what, in words and as JSON.

import HookModel
import HookStore
import JSONLD

public enum StoreReport {
    /// A few lines for people.
    public static func text(_ setup: Setup) throws(SetupError) -> String {
        let configuration = setup.configuration
        let (path, summary) = try read(configuration)
        let free = FreeSpace.octets(at: configuration.data)
        func since(_ moment: Timestamp?) -> String { moment.map { ", oldest \($0.rfc3339WholeSeconds)" } ?? "" }
        let deliveries = [
            "\(summary.deliveriesWaiting) waiting", "\(summary.deliveriesLeased) being tried",
            "\(summary.deliveriesDelivered) delivered", "\(summary.deliveriesDead) dead",
        ]
        let policy = configuration.retentionPolicy
        let retention = [
            "messages \(words(policy.ages.messages))", "events \(words(policy.ages.events))",
            "delivered \(words(policy.delivered))", "dead \(words(policy.dead))",
            "duplicates \(words(policy.duplicates))", "size \(policy.size.map(words) ?? "unlimited")",
        ]
        let hooks = policy.hooks.sorted { $0.key < $1.key }.map { name, ages in
            "\n              \(name): messages \(words(ages.messages)), events \(words(ages.events))"
        }
        return """
            store         \(path), schema \(summary.schema)
            size          \(words(summary.usedOctets)) in use, file \(words(summary.fileOctets)), log \(words(summary.logOctets)), journal \(words(summary.journalOctets))
            disk          \(free.map(words) ?? "?") free; mail is refused below \(words(configuration.limits.freeSpace))
            messages      \(summary.messages), of them \(summary.duplicates) duplicates\(since(summary.oldestMessage))
            raw messages  \(summary.rawMessages) in \(words(summary.rawOctets))\(since(summary.oldestRawMessage))
            events        \(summary.events)\(since(summary.oldestEvent)); \(summary.erasedEvents) more are known by their id
            deliveries    \(deliveries.joined(separator: ", "))\(since(summary.oldestWaiting))
            retention     \(retention.joined(separator: ", "))\(hooks.joined())
            """
    }

    /// One JSON object.
    public static func json(_ setup: Setup) throws(SetupError) -> String {
        let (path, summary) = try read(setup.configuration)
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("path", path)
        let numbers: [(String, Int?)] = [
            ("schema", summary.schema), ("fileOctets", summary.fileOctets), ("usedOctets", summary.usedOctets),
            ("logOctets", summary.logOctets), ("journalOctets", summary.journalOctets),
            ("freeOctets", FreeSpace.octets(at: setup.configuration.data)),
            ("messages", summary.messages), ("duplicates", summary.duplicates), ("rawMessages", summary.rawMessages),
            ("rawOctets", summary.rawOctets), ("events", summary.events), ("erasedEvents", summary.erasedEvents),
            ("deliveriesWaiting", summary.deliveriesWaiting), ("deliveriesLeased", summary.deliveriesLeased),
            ("deliveriesDelivered", summary.deliveriesDelivered), ("deliveriesDead", summary.deliveriesDead),
        ]
        for case (let name, let number?) in numbers {
            writer.name(name)
            writer.integer(number)
        }
        writer.member("oldestMessage", summary.oldestMessage?.rfc3339)
        writer.member("oldestRawMessage", summary.oldestRawMessage?.rfc3339)
        writer.member("oldestEvent", summary.oldestEvent?.rfc3339)
        writer.member("oldestWaiting", summary.oldestWaiting?.rfc3339)
        writer.endObject()
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    private static func read(_ configuration: Configuration) throws(SetupError) -> (String, StoreSummary) {
        let path = StorePath.inFolder(configuration.data)
        try StoreCare.requireStore(path)
        do throws(StoreError) {
            return (path, try StoreSummary.read(path))
        } catch {
            throw SetupError(storeError: error, dataFolder: configuration.data)
        }
    }

    static func words(_ octets: Int) -> String {
        let units = ["B", "KiB", "MiB", "GiB", "TiB"]
        var value = Double(octets)
        var unit = 0
        while value >= 1024, unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        let tenths = Int((value * 10).rounded())
        return unit == 0 || tenths % 10 == 0 ? "\(tenths / 10) \(units[unit])" : "\(tenths / 10).\(tenths % 10) \(units[unit])"
    }

    /// As the configuration writes it.
    private static func words(_ time: Duration?) -> String {
        guard let time else { return "unlimited" }
        let seconds = time.components.seconds
        for (unit, length) in [("d", Int64(86_400)), ("h", 3600), ("m", 60)] where seconds % length == 0 {
            return "\(seconds / length)\(unit)"
        }
        return "\(seconds)s"
    }
}
