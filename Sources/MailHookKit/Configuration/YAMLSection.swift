// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Reads a mapping key by key. Unknown keys, wrong kinds and values out of range become
// diagnostics with line and column; reading goes on with the default.

struct YAMLSection {
    let file: String
    /// The place in the document, for example `limits`; empty at the top.
    let place: String
    private let entries: [String: YAMLNode.Entry]
    private let order: [String]

    /// Reads `node` as a mapping whose keys are among `keys`; nil `keys` allows any.
    init(_ node: YAMLNode, file: String, place: String, keys: [String]?, into diagnostics: inout Diagnostics) {
        self.file = file
        self.place = place
        var entries: [String: YAMLNode.Entry] = [:]
        var order: [String] = []
        switch node.content {
        case .mapping(let pairs):
            for pair in pairs {
                guard let name = pair.key.text else { continue }
                if let keys, !keys.contains(name) {
                    let known = suggestion(for: name, among: keys)
                    diagnostics.add(
                        Diagnostic(
                            .error, file: file, position: pair.key.position, place: place,
                            reason: "unknown key '\(name)'", hint: known ?? "known: \(keys.joined(separator: ", "))"))
                    continue
                }
                entries[name] = pair
                order.append(name)
            }
        default:
            if !node.isNull {
                diagnostics.add(
                    Diagnostic(
                        .error, file: file, position: node.position, place: place,
                        reason: "must be a mapping, not \(node.kindName)"))
            }
        }
        self.entries = entries
        self.order = order
    }

    /// The keys that are there, in the order of the file.
    var keys: [String] { order }

    func node(_ key: String) -> YAMLNode? { entries[key]?.value }

    /// The place of a key, for a diagnostic.
    func path(_ key: String) -> String { place.isEmpty ? key : "\(place).\(key)" }

    func complain(
        _ key: String, _ reason: String, hint: String? = nil, isAboutSecret: Bool = false, into diagnostics: inout Diagnostics
    ) {
        var finding = Diagnostic(
            .error, file: file, position: entries[key]?.value.position, place: path(key), reason: reason, hint: hint)
        finding.isAboutSecret = isAboutSecret
        diagnostics.add(finding)
    }

    /// A value made from the scalar at `key`. `expected` says in words what it must be. Nil where the key is absent,
    /// null or wrong.
    func value<Value>(
        _ key: String, expected: String, into diagnostics: inout Diagnostics, _ make: (String) -> Value?
    ) -> Value? {
        guard let node = node(key), !node.isNull else { return nil }
        guard let text = node.text, let value = make(text) else {
            complain(key, "must be \(expected)", into: &diagnostics)
            return nil
        }
        return value
    }

    func string(_ key: String, into diagnostics: inout Diagnostics) -> String? {
        value(key, expected: "a non-empty text", into: &diagnostics) { $0.isEmpty ? nil : $0 }
    }

    func integer(_ key: String, in range: ClosedRange<Int>, into diagnostics: inout Diagnostics) -> Int? {
        let expected = "a whole number from \(range.lowerBound) to \(range.upperBound)"
        return value(key, expected: expected, into: &diagnostics) { Int($0).flatMap { range.contains($0) ? $0 : nil } }
    }

    func duration(_ key: String, into diagnostics: inout Diagnostics) -> Duration? {
        value(key, expected: Self.durationWords, into: &diagnostics, Units.duration)
    }

    func boolean(_ key: String, into diagnostics: inout Diagnostics) -> Bool? {
        value(key, expected: "true or false", into: &diagnostics) { ["true": true, "false": false][$0] }
    }

    static let durationWords = "a time such as 20s, 5m, 2h or 1d"

    func size(_ key: String, into diagnostics: inout Diagnostics) -> Int? {
        value(key, expected: "a size such as 400kB or 25MiB", into: &diagnostics, Units.size)
    }

    func choice<Choice: RawRepresentable & CaseIterable>(
        _ key: String, into diagnostics: inout Diagnostics
    ) -> Choice? where Choice.RawValue == String {
        let words = Choice.allCases.map(\.rawValue).joined(separator: " or ")
        return value(key, expected: words, into: &diagnostics) { Choice(rawValue: $0) }
    }

    /// The items of a list; a single value counts as a list of one.
    func list(_ key: String, into diagnostics: inout Diagnostics) -> [YAMLNode]? {
        guard let node = node(key), !node.isNull else { return nil }
        switch node.content {
        case .sequence(let items): return items
        case .scalar: return [node]
        case .mapping:
            complain(key, "must be a list", into: &diagnostics)
            return nil
        }
    }

    /// A list of values made from scalars.
    func list<Value>(
        _ key: String, of expected: String, into diagnostics: inout Diagnostics, _ make: (String) -> Value?
    ) -> [Value]? {
        guard let items = list(key, into: &diagnostics) else { return nil }
        var values: [Value] = []
        for (index, item) in items.enumerated() {
            if let text = item.text, let value = make(text) {
                values.append(value)
            } else {
                diagnostics.add(
                    Diagnostic(
                        .error, file: file, position: item.position, place: "\(path(key))[\(index)]",
                        reason: "must be \(expected)"))
            }
        }
        return values
    }

    /// A list of non-empty texts.
    func strings(_ key: String, into diagnostics: inout Diagnostics) -> [String]? {
        list(key, of: "a non-empty text", into: &diagnostics) { $0.isEmpty ? nil : $0 }
    }
}

/// Numbers with units, as the configuration and the command line write them.
public enum Units {
    /// `20s`, `5m`, `2h`, `1d`, `250ms`; nil for anything else, and for more than ten years.
    public static func duration(_ text: String) -> Duration? {
        let milliseconds: [(suffix: String, factor: Int64)] = [
            ("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000),
        ]
        guard let (number, factor) = split(text, milliseconds), number <= 315_360_000_000 / factor else { return nil }
        return .milliseconds(number * factor)
    }

    /// `400kB` (1,000), `25MiB` (1,024 squared) or a plain number of octets; nil for anything else.
    public static func size(_ text: String) -> Int? {
        let octets: [(suffix: String, factor: Int64)] = [
            ("KiB", 1024), ("MiB", 1 << 20), ("GiB", 1 << 30), ("kB", 1000), ("MB", 1_000_000), ("GB", 1_000_000_000),
            ("B", 1), ("", 1),
        ]
        guard let (number, factor) = split(text, octets) else { return nil }
        let (product, overflow) = number.multipliedReportingOverflow(by: factor)
        return overflow ? nil : Int(exactly: product)
    }

    private static func split(_ text: String, _ units: [(suffix: String, factor: Int64)]) -> (Int64, Int64)? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let suffix = text[digits.endIndex...].trimmingPrefix { $0 == " " }
        guard let number = Int64(digits), let unit = units.first(where: { $0.suffix == suffix }) else { return nil }
        return (number, unit.factor)
    }
}
