// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Line and column of what a finding names by its place (`hooks.shop.order.aliases`), for findings
// that are made after the file was read, when the configuration is a value without lines.

struct ConfigurationPlaces: Sendable {
    private let file: String
    private let root: YAMLNode

    /// nil for a text that is no YAML.
    init?(file: String, _ text: [UInt8]) {
        guard let root = try? YAMLReader.read(text) else { return nil }
        self.file = file
        self.root = root
    }

    /// The same findings, with positions where the file has them.
    func located(_ diagnostics: [Diagnostic]) -> [Diagnostic] {
        diagnostics.map { diagnostic in
            guard diagnostic.position == nil, diagnostic.file == file, !diagnostic.place.isEmpty else {
                return diagnostic
            }
            var located = diagnostic
            located.position = position(of: diagnostic.place)
            return located
        }
    }

    /// Of the innermost node on the way to `place` that is there; nil where nothing of it is.
    func position(of place: String) -> Diagnostic.Position? {
        var node = root
        var rest = place[...]
        var found: Diagnostic.Position?
        while !rest.isEmpty, let step = Self.step(into: node, rest) {
            found = step.position
            node = step.node
            rest = step.rest
        }
        return found
    }

    /// Keys may hold full stops, so the longest one that fits is meant.
    private static func step(
        into node: YAMLNode, _ place: Substring
    ) -> (node: YAMLNode, position: Diagnostic.Position, rest: Substring)? {
        switch node.content {
        case .scalar: return nil
        case .sequence(let items):
            guard place.first == "[", let end = place.firstIndex(of: "]"),
                let index = Int(place[place.index(after: place.startIndex)..<end]), items.indices.contains(index)
            else { return nil }
            let rest = place[place.index(after: end)...]
            return (items[index], items[index].position, rest.first == "." ? rest.dropFirst() : rest)
        case .mapping(let entries):
            let fitting = entries.filter { entry in
                guard let key = entry.key.text, place.hasPrefix(key) else { return false }
                let next = place.dropFirst(key.count).first
                return next == nil || next == "." || next == "["
            }
            guard let entry = fitting.max(by: { $0.key.text?.count ?? 0 < $1.key.text?.count ?? 0 }) else { return nil }
            let rest = place.dropFirst(entry.key.text?.count ?? 0)
            return (entry.value, entry.key.position, rest.first == "." ? rest.dropFirst() : rest)
        }
    }
}
