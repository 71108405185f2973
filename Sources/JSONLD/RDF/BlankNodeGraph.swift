// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A dataset as canonicalization sees it: each quad once, blank nodes as numbers, everything
// else as its N-Quads spelling.

struct BlankNodeGraph {
    /// A part of a quad.
    enum Component {
        case blankNode(Int)
        /// The spelling in N-Quads.
        case ground([UInt8])
    }

    /// Where a blank node can stand in a quad that is not its predicate (section 4.7.3, `position`).
    enum Position: UInt8 {
        case subject = 0x73
        case object = 0x6F
        case graph = 0x67
    }

    struct Quad {
        var subject: Component
        var predicate: Component
        var object: Component
        var graph: Component?

        /// The quad's line with blank nodes as `name` calls them.
        func line(_ name: (Int) -> String) -> [UInt8] {
            var line: [UInt8] = []
            for component in [subject, predicate, object, graph] {
                switch component {
                case .blankNode(let node): line.append(contentsOf: name(node).utf8)
                case .ground(let spelling): line.append(contentsOf: spelling)
                case nil: continue
                }
                line.append(UInt8(ascii: " "))
            }
            line.append(UInt8(ascii: "."))
            line.append(UInt8(ascii: "\n"))
            return line
        }

        /// Blank nodes and where they stand.
        var blankNodes: [(node: Int, position: Position)] {
            var nodes: [(node: Int, position: Position)] = []
            if case .blankNode(let node) = subject { nodes.append((node, .subject)) }
            if case .blankNode(let node) = object { nodes.append((node, .object)) }
            if case .blankNode(let node) = graph { nodes.append((node, .graph)) }
            return nodes
        }
    }

    private(set) var quads: [Quad] = []
    /// Input labels of the blank nodes, in the order they were met.
    private(set) var labels: [String] = []
    /// Indices of the quads that a blank node stands in.
    private(set) var quadsOfNode: [[Int]] = []
    private var nodes: [[UInt8]: Int] = [:]

    init(_ input: [RDFQuad]) {
        var seen: Set<RDFQuad> = []
        seen.reserveCapacity(input.count)
        for quad in input where seen.insert(quad).inserted {
            add(quad)
        }
    }

    private mutating func add(_ quad: RDFQuad) {
        let converted = Quad(
            subject: component(quad.subject), predicate: component(quad.predicate), object: component(quad.object),
            graph: quad.graph.map { component($0) })
        for (node, _) in converted.blankNodes where quadsOfNode[node].last != quads.count {
            quadsOfNode[node].append(quads.count)
        }
        // Generalized RDF: a predicate counts for the first degree hash of its node, but has no position of its own.
        if case .blankNode(let node) = converted.predicate, quadsOfNode[node].last != quads.count {
            quadsOfNode[node].append(quads.count)
        }
        quads.append(converted)
    }

    private mutating func component(_ term: RDFTerm) -> Component {
        guard case .blankNode(let label) = term else {
            var spelling: [UInt8] = []
            NQuads.append(term, to: &spelling)
            return .ground(spelling)
        }
        let key = Array(label.utf8)
        if let node = nodes[key] { return .blankNode(node) }
        nodes[key] = labels.count
        labels.append(label)
        quadsOfNode.append([])
        return .blankNode(labels.count - 1)
    }
}
