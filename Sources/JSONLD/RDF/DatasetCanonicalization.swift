// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// RDF Dataset Canonicalization (RDFC-1.0): names for blank nodes that depend on the statements
// alone, so that equal datasets have equal bytes. The naming of hard cases is in
// NDegreeHashing.swift.

/// What canonicalization may cost.
public struct CanonicalizationLimits: Sendable, Hashable {
    /// Hashes that may be computed beyond two for each blank node, identifiers copied counted as well. Graphs can be
    /// built on purpose that need a factorial number of them (RDFC-1.0 section 7.1); real data needs a few for each
    /// blank node that looks like another.
    public var operations: Int

    public init(operations: Int = 200_000) {
        self.operations = operations
    }
}

/// Why a dataset has no canonical form here.
public enum CanonicalizationError: Error, Sendable, Hashable {
    /// The dataset needs more work than the limits allow.
    case tooComplex
}

/// A dataset in canonical form.
public struct CanonicalDataset: Sendable, Hashable {
    /// The statements as canonical N-Quads, sorted, each once.
    public let nquads: [UInt8]
    /// The issued identifiers map: canonical label by input label, both without `_:`.
    public let identifiers: [String: String]
}

/// RDFC-1.0.
public enum DatasetCanonicalization {
    /// The canonical form of a dataset (RDFC-1.0 section 4.4.3).
    ///
    /// - Throws: `tooComplex` at the limit.
    public static func canonize(
        _ quads: [RDFQuad], hash: HashAlgorithm = .sha256, limits: CanonicalizationLimits = CanonicalizationLimits()
    ) throws(CanonicalizationError) -> CanonicalDataset {
        let graph = BlankNodeGraph(quads)
        let names = try canonicalNumbers(graph, hash, limits)
        let labels = names.map { "c14n\($0)" }
        var lines = graph.quads.map { $0.line { "_:\(labels[$0])" } }
        lines.sort(by: Lines.precede)
        var identifiers: [String: String] = [:]
        identifiers.reserveCapacity(labels.count)
        for (node, label) in labels.enumerated() { identifiers[graph.labels[node]] = label }
        return CanonicalDataset(nquads: Array(lines.joined()), identifiers: identifiers)
    }

    /// Whether two datasets say the same up to the names of blank nodes.
    ///
    /// - Throws: `tooComplex` where that is too hard to tell within the limits.
    public static func areIsomorphic(
        _ left: [RDFQuad], _ right: [RDFQuad], limits: CanonicalizationLimits = CanonicalizationLimits()
    ) throws(CanonicalizationError) -> Bool {
        try canonize(left, limits: limits).nquads == canonize(right, limits: limits).nquads
    }

    /// The number of each blank node's canonical identifier.
    private static func canonicalNumbers(
        _ graph: BlankNodeGraph, _ hash: HashAlgorithm, _ limits: CanonicalizationLimits
    ) throws(CanonicalizationError) -> [Int] {
        // Step 3: the first degree hash of each blank node.
        var nodesByHash: [[UInt8]: [Int]] = [:]
        let firstDegree = graph.labels.indices.map { firstDegreeHash($0, graph, hash) }
        for node in graph.labels.indices { nodesByHash[firstDegree[node], default: []].append(node) }
        let groups = nodesByHash.sorted { Lines.precede($0.key, $1.key) }.map(\.value)

        // Step 4: hashes that only one node has.
        var canonical = IdentifierIssuer()
        for group in groups where group.count == 1 { canonical.issue(group[0]) }

        // Step 5: the others, told apart by what lies around them.
        var hashing = NDegreeHashing(
            graph: graph, firstDegree: firstDegree, canonical: canonical, algorithm: hash, operations: limits.operations)
        for group in groups where group.count > 1 {
            var paths: [(hash: [UInt8], issuer: IdentifierIssuer)] = []
            for node in group where hashing.canonical.number(of: node) == nil {
                var issuer = IdentifierIssuer()
                issuer.issue(node)
                paths.append(try hashing.hash(node, issuer))
            }
            paths.sort { Lines.precede($0.hash, $1.hash) }
            for path in paths {
                for node in path.issuer.order { hashing.canonical.issue(node) }
            }
        }
        // Every node was in a group, so each has its number.
        return graph.labels.indices.map { hashing.canonical.number(of: $0) ?? 0 }
    }

    /// Section 4.6: the hash of a node's statements with itself called `_:a` and all other blank nodes `_:z`.
    private static func firstDegreeHash(_ node: Int, _ graph: BlankNodeGraph, _ hash: HashAlgorithm) -> [UInt8] {
        var lines = graph.quadsOfNode[node].map { graph.quads[$0].line { $0 == node ? "_:a" : "_:z" } }
        lines.sort(by: Lines.precede)
        return SHA2.hexadecimal(Array(lines.joined()), hash)
    }
}

/// The order of lines and hashes: code point order, which is the order of UTF-8 octets.
enum Lines {
    static func precede(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        left.lexicographicallyPrecedes(right)
    }
}

/// Hands out numbers in the order of asking (section 4.5). The labels are made from the numbers where they are needed.
struct IdentifierIssuer {
    private(set) var order: [Int] = []
    private var numbers: [Int: Int] = [:]

    func number(of node: Int) -> Int? { numbers[node] }

    @discardableResult
    mutating func issue(_ node: Int) -> Int {
        if let number = numbers[node] { return number }
        numbers[node] = order.count
        order.append(node)
        return order.count - 1
    }
}
