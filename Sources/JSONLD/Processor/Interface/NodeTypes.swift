// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Which types the nodes of an expanded document have, for whoever chooses documents by type.

extension JSONLDResult {
    /// The types of the nodes at the top of an expanded document, those inside of a graph at the top included; each
    /// once, in the order of the document, spelled by `NodeTypes.normal`.
    public var topTypes: [String] {
        var types: [String] = []
        var known: Set<String> = []
        for node in root.kind == .array ? root.elements : [root] {
            for member in [node] + (node["@graph"]?.elements ?? []) {
                for type in member.types.map(NodeTypes.normal) where known.insert(type).inserted { types.append(type) }
            }
        }
        return types
    }
}

extension JSONLDProcessor {
    /// The types of the nodes at the top of a document.
    public func topTypes(_ input: JSONLDInput) throws(JSONLDError) -> [String] {
        try expand(input).topTypes
    }
}

/// Types as people write them: schema.org's addresses with http and https, with `www.` and without, are the same.
public enum NodeTypes {
    private static let base = "http://schema.org/"
    private static let others = ["https://schema.org/", "http://www.schema.org/", "https://www.schema.org/"]

    /// The spelling by which types are compared: schema.org's as the context has them, others as they are.
    public static func normal(_ type: String) -> String {
        for other in others where type.hasPrefix(other) { return base + type.dropFirst(other.count) }
        return type
    }

    /// Whether a document with these types is one that a list of accepted types means. A name without a colon is one of
    /// schema.org.
    public static func accepts(_ accepted: [String], _ types: [String]) -> Bool {
        let wanted = accepted.map { $0.utf8.contains(UInt8(ascii: ":")) ? normal($0) : base + $0 }
        return types.contains { wanted.contains(normal($0)) }
    }
}
