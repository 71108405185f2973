// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Canonicalization on datasets made here: names do not matter, work is limited, depth costs no
// stack.

import JSONLD
import TestSupport
import Testing

@Suite("Dataset canonicalization")
struct DatasetCanonicalizationTests {
    private static let next = RDFTerm.iri("urn:next")

    private func edge(_ from: Int, _ to: Int, prefix: String = "b") -> RDFQuad {
        RDFQuad(subject: .blankNode("\(prefix)\(from)"), predicate: Self.next, object: .blankNode("\(prefix)\(to)"))
    }

    /// Statements in another order, with other labels.
    private func disguised(_ quads: [RDFQuad], _ generator: inout SplitMix64) -> [RDFQuad] {
        let salt = UInt64.random(in: 0...UInt64.max, using: &generator)
        let rename = { (term: RDFTerm) -> RDFTerm in
            guard case .blankNode(let label) = term else { return term }
            return .blankNode("x\(salt)\(String(label.reversed()))")
        }
        return quads.shuffled(using: &generator).map {
            RDFQuad(
                subject: rename($0.subject), predicate: $0.predicate, object: rename($0.object), graph: $0.graph.map(rename))
        }
    }

    @Test func namesAndOrderDoNotMatter() throws {
        var generator = SplitMix64(state: 3)
        for round in 0..<40 {
            let nodes = 2 + round % 6
            let quads = (0..<(nodes * 2)).map { _ in
                var quad = edge(Int.random(in: 0..<nodes, using: &generator), Int.random(in: 0..<nodes, using: &generator))
                if Bool.random(using: &generator) { quad.graph = .blankNode("b\(Int.random(in: 0..<nodes, using: &generator))") }
                return quad
            }
            let other = disguised(quads, &generator)
            let canonical = try DatasetCanonicalization.canonize(quads)
            #expect(try canonical.nquads == DatasetCanonicalization.canonize(other).nquads)
            #expect(try DatasetCanonicalization.areIsomorphic(quads, other))
            // A canonical form is its own canonical form.
            #expect(try DatasetCanonicalization.canonize(NQuads.read(canonical.nquads)).nquads == canonical.nquads)
            #expect(canonical.identifiers.count == Set(canonical.identifiers.values).count)
            #expect(try !DatasetCanonicalization.areIsomorphic(quads, quads + [edge(0, nodes)]))
        }
    }

    @Test func ringsOfTheSameSizeOnlyAreIsomorphic() throws {
        let ring = { (size: Int, prefix: String) in (0..<size).map { edge($0, ($0 + 1) % size, prefix: prefix) } }
        let sixes = ring(6, "a")
        let threes = ring(3, "a") + ring(3, "b")
        #expect(try !DatasetCanonicalization.areIsomorphic(sixes, threes))
        #expect(try DatasetCanonicalization.areIsomorphic(sixes, ring(6, "z")))
    }

    @Test func repeatedStatementsCountOnce() throws {
        let quad = RDFQuad(subject: .blankNode("a"), predicate: Self.next, object: .literal("\u{1}\u{7F}\"\\\n"))
        let canonical = try DatasetCanonicalization.canonize([quad, quad])
        #expect(String(decoding: canonical.nquads, as: UTF8.self) == "_:c14n0 <urn:next> \"\\u0001\\u007F\\\"\\\\\\n\" .\n")
        #expect(canonical.identifiers == ["a": "c14n0"])
        #expect(try DatasetCanonicalization.canonize([]).nquads.isEmpty)
    }

    /// Everything points at everything: each order of the neighbours must be tried.
    @Test func poisonIsRefused() throws {
        let clique = (0..<10).flatMap { from in (0..<10).filter { $0 != from }.map { edge(from, $0) } }
        #expect(throws: CanonicalizationError.tooComplex) {
            try DatasetCanonicalization.canonize(clique, limits: CanonicalizationLimits(operations: 5_000))
        }
        #expect(throws: CanonicalizationError.tooComplex) {
            try DatasetCanonicalization.canonize([edge(0, 1), edge(1, 0)], limits: CanonicalizationLimits(operations: 0))
        }
    }

    /// Two chains that look the same at each step: the specification's recursion is as deep as they are long.
    @Test func longChainsCostNoStack() throws {
        let length = 500
        let chain = { (prefix: String) in (0..<length).map { edge($0, $0 + 1, prefix: prefix) } }
        let canonical = try DatasetCanonicalization.canonize(chain("a") + chain("b"))
        #expect(canonical.identifiers.count == 2 * (length + 1))
    }
}
