// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Hash N-Degree Quads (RDFC-1.0 section 4.8): tells blank nodes apart whose own statements look
// alike, by walking their neighbours in every order. The specification's recursion is a stack of
// frames here, since the dataset's author chooses its depth; all work is counted.

struct NDegreeHashing {
    let graph: BlankNodeGraph
    let firstDegree: [[UInt8]]
    var canonical: IdentifierIssuer
    let algorithm: HashAlgorithm
    /// What may still be done.
    private var operations: Int
    private var frames: [Frame] = []

    init(
        graph: BlankNodeGraph, firstDegree: [[UInt8]], canonical: IdentifierIssuer, algorithm: HashAlgorithm, operations: Int
    ) {
        self.graph = graph
        self.firstDegree = firstDegree
        self.canonical = canonical
        self.algorithm = algorithm
        self.operations = operations
    }

    /// One call of the algorithm for one node.
    private struct Frame {
        /// `issuer` of the specification.
        var issuer: IdentifierIssuer
        /// `Hn`, sorted by hash, the first one last.
        var groups: [(hash: [UInt8], nodes: [Int])]
        /// `data to hash`.
        var data: [UInt8] = []
        var chosenPath: [UInt8] = []
        var chosenIssuer = IdentifierIssuer()
        /// The permutation being tried; empty between groups.
        var permutation: [Int] = []
        var path: [UInt8] = []
        /// `issuer copy`.
        var issuerCopy = IdentifierIssuer()
        /// `recursion list`, the next one last.
        var recursion: [Int] = []

        /// Whether the path cannot become the smallest any more (steps 5.4.4.3 and 5.4.5.5).
        var isPathTooLarge: Bool {
            !chosenPath.isEmpty && path.count >= chosenPath.count && Lines.precede(chosenPath, path)
        }
    }

    /// The hash of what lies around a node, and the identifiers issued on the way.
    mutating func hash(
        _ node: Int, _ issuer: IdentifierIssuer
    ) throws(CanonicalizationError) -> (hash: [UInt8], issuer: IdentifierIssuer) {
        frames = [try frame(node, issuer)]
        var returned: (hash: [UInt8], issuer: IdentifierIssuer)?
        while var frame = frames.popLast() {
            if let result = returned {
                resume(&frame, with: result)
                returned = nil
            }
            if let related = frame.recursion.last {
                // Step 5.4.5.1: the issuer moves down and comes back with the result.
                let issuer = frame.issuerCopy
                frame.issuerCopy = IdentifierIssuer()
                frames.append(frame)
                frames.append(try self.frame(related, issuer))
            } else if try advance(&frame) {
                frames.append(frame)
            } else {
                returned = (SHA2.hexadecimal(frame.data, algorithm), frame.issuer)
                if frames.isEmpty { break }
            }
        }
        // The loop ends with the result of the first frame.
        return returned ?? ([], issuer)
    }

    /// Takes the result for the last of the recursion list. Steps 5.4.5.2 to 5.4.5.5.
    private func resume(_ frame: inout Frame, with result: (hash: [UInt8], issuer: IdentifierIssuer)) {
        guard let related = frame.recursion.popLast() else { return }
        frame.issuerCopy = result.issuer
        append(number: frame.issuerCopy.issue(related), prefix: "_:b", to: &frame.path)
        frame.path.append(UInt8(ascii: "<"))
        frame.path.append(contentsOf: result.hash)
        frame.path.append(UInt8(ascii: ">"))
        if frame.isPathTooLarge { abandon(&frame) }
    }

    private func abandon(_ frame: inout Frame) {
        frame.recursion = []
        frame.path = []
    }

    /// Ends a permutation and begins the next, or the next group's first. False when all are done.
    private mutating func advance(_ frame: inout Frame) throws(CanonicalizationError) -> Bool {
        if !frame.path.isEmpty, frame.chosenPath.isEmpty || Lines.precede(frame.path, frame.chosenPath) {
            // Step 5.4.6
            frame.chosenPath = frame.path
            frame.chosenIssuer = frame.issuerCopy
        }
        if frame.permutation.isEmpty || !Self.permute(&frame.permutation) {
            if !frame.permutation.isEmpty {
                // Steps 5.5 and 5.6
                frame.data.append(contentsOf: frame.chosenPath)
                frame.issuer = frame.chosenIssuer
                frame.permutation = []
            }
            guard let group = frame.groups.popLast() else { return false }
            // Steps 5.1 to 5.3
            frame.data.append(contentsOf: group.hash)
            frame.chosenPath = []
            frame.chosenIssuer = IdentifierIssuer()
            frame.permutation = group.nodes.sorted()
        }
        try beginPermutation(&frame)
        return true
    }

    // Steps 5.4.1 to 5.4.4.
    private mutating func beginPermutation(_ frame: inout Frame) throws(CanonicalizationError) {
        frame.path = []
        frame.issuerCopy = frame.issuer
        frame.recursion = []
        try spend(frame.permutation.count + (frame.permutation.count > 1 ? frame.issuer.order.count : 0))
        if frame.permutation.count == 1 {
            // There is no other permutation that would start from it, so it need not be copied.
            frame.issuer = IdentifierIssuer()
        }
        for related in frame.permutation {
            if let number = canonical.number(of: related) {
                append(number: number, prefix: "_:c14n", to: &frame.path)
            } else {
                if frame.issuerCopy.number(of: related) == nil { frame.recursion.append(related) }
                append(number: frame.issuerCopy.issue(related), prefix: "_:b", to: &frame.path)
            }
            if frame.isPathTooLarge { return abandon(&frame) }
        }
        frame.recursion.reverse()
    }

    /// Steps 1 to 3: the related blank nodes of a node, by their hashes.
    private mutating func frame(_ node: Int, _ issuer: IdentifierIssuer) throws(CanonicalizationError) -> Frame {
        var groups: [[UInt8]: [Int]] = [:]
        for index in graph.quadsOfNode[node] {
            let quad = graph.quads[index]
            for (related, position) in quad.blankNodes where related != node {
                try spend(1)
                let hash = relatedHash(related, quad, issuer, position)
                // Once for each statement: the specification makes a list of it, not a set.
                groups[hash, default: []].append(related)
            }
        }
        return Frame(
            issuer: issuer, groups: groups.sorted { Lines.precede($1.key, $0.key) }.map { ($0.key, $0.value) })
    }

    // Section 4.7.3.
    private func relatedHash(
        _ related: Int, _ quad: BlankNodeGraph.Quad, _ issuer: IdentifierIssuer, _ position: BlankNodeGraph.Position
    ) -> [UInt8] {
        var input: [UInt8] = [position.rawValue]
        if position != .graph {
            switch quad.predicate {
            case .ground(let spelling): input.append(contentsOf: spelling)
            case .blankNode: input.append(contentsOf: "_:".utf8)
            }
        }
        if let number = canonical.number(of: related) {
            append(number: number, prefix: "_:c14n", to: &input)
        } else if let number = issuer.number(of: related) {
            append(number: number, prefix: "_:b", to: &input)
        } else {
            input.append(contentsOf: firstDegree[related])
        }
        return SHA2.hexadecimal(input, algorithm)
    }

    private func append(number: Int, prefix: String, to bytes: inout [UInt8]) {
        bytes.append(contentsOf: prefix.utf8)
        bytes.append(contentsOf: String(number).utf8)
    }

    private mutating func spend(_ amount: Int) throws(CanonicalizationError) {
        operations -= amount
        guard operations >= 0 else { throw .tooComplex }
    }

    /// The next permutation in lexicographic order; false, and unchanged, after the last.
    private static func permute(_ nodes: inout [Int]) -> Bool {
        guard let ascent = nodes.indices.dropLast().last(where: { nodes[$0] < nodes[$0 + 1] }),
            let larger = nodes.lastIndex(where: { $0 > nodes[ascent] })
        else { return false }
        nodes.swapAt(ascent, larger)
        nodes[(ascent + 1)...].reverse()
        return true
    }
}
