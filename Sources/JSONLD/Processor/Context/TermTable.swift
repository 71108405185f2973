// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The term definitions of an active context. Contexts differ little from those they were made
// from, so tables stand on each other in layers instead of being copied.

/// The definitions of one layer, for looking up without touching its table. Valid as long as the table lives.
struct TermLayer: BitwiseCopyable {
    fileprivate let map: SymbolIndex
    fileprivate let definitions: Pool<TermDefinition>
}

/// Layers of definitions, the one that counts first.
struct TermLayers: BitwiseCopyable {
    fileprivate let layers: Pool<TermLayer>

    @inline(__always)
    subscript(term: Symbol) -> TermDefinition? {
        for layer in layers.elements {
            if let index = layer.map[term] {
                let definition = layer.definitions[Int(index)]
                return definition.isRemoved ? nil : definition
            }
        }
        return nil
    }
}

/// Definitions by term. A table can stand on another, whose definitions it adds to and hides.
final class TermTable: @unchecked Sendable {
    let parent: TermTable?
    /// The tree that the scoped contexts of this layer are in.
    let tree: Tree
    /// This layer and those below.
    let layers: TermLayers
    private let map: SymbolIndex
    private let definitions: Pool<TermDefinition>
    private var terms: [Symbol] = []
    /// Terms of this layer that can be the prefix of a compact IRI.
    private var prefixes: [Symbol] = []
    /// Terms of this layer that stand for `@type`.
    private var typeTerms: [Symbol] = []
    /// For each IRI, the last term of this layer that was given it; made when first needed.
    private var lastByIRI: SymbolMap?
    /// For each term, the one before it with the same IRI, or -1.
    private var previousOfIRI: [Int32] = []
    /// Whether there is, or was, a protected term in this table or one below.
    private(set) var hasProtectedTerms: Bool

    /// Chains of layers are searched one by one; longer ones are merged.
    private static let maximumDepth = 6

    init(tree: Tree, parent: TermTable? = nil, capacity: Int = 0) {
        self.tree = tree
        self.parent = parent
        map = SymbolIndex(minimumCapacity: capacity)
        definitions = Pool(capacity: capacity)
        let all = Pool<TermLayer>(capacity: 8)
        all.append(TermLayer(map: map, definitions: definitions))
        if let parent { all.append(contentsOf: parent.layers.layers.elements) }
        layers = TermLayers(layers: all)
        hasProtectedTerms = parent?.hasProtectedTerms ?? false
    }

    deinit {
        map.deallocate()
        definitions.deallocate()
        layers.layers.deallocate()
    }

    /// A table that says the same and can be added to, and how many definitions had to be copied for it.
    func layered(on tree: Tree) -> (table: TermTable, copied: Int) {
        guard layers.layers.count >= Self.maximumDepth else {
            return (TermTable(tree: tree, parent: terms.isEmpty ? parent : self), 0)
        }
        // The lowest layer, often by far the largest, stays as it is; those above become one.
        var upper: [TermTable] = []
        var lowest = self
        while let next = lowest.parent {
            upper.append(lowest)
            lowest = next
        }
        let merged = TermTable(tree: tree, parent: lowest)
        var copied = 0
        for table in upper.reversed() {
            for (term, definition) in zip(table.terms, table.definitions.elements) {
                var definition = definition
                definition.localContext = table.scopedContext(of: term, in: tree)
                merged.set(term, definition)
            }
            copied += table.count
        }
        merged.hasProtectedTerms = hasProtectedTerms
        return (merged, copied)
    }

    /// The number of definitions in this layer alone.
    var count: Int { terms.count }

    @inline(__always)
    subscript(term: Symbol) -> TermDefinition? { layers[term] }

    func set(_ term: Symbol, _ definition: TermDefinition) {
        if definition.isProtected { hasProtectedTerms = true }
        if definition.isPrefix { prefixes.append(term) }
        if definition.iri == .type { typeTerms.append(term) }
        lastByIRI = nil
        if let index = map[term] {
            definitions[Int(index)] = definition
            return
        }
        map.set(term, Int32(truncatingIfNeeded: definitions.append(definition)))
        terms.append(term)
    }

    func remove(_ term: Symbol) {
        guard self[term] != nil else { return }
        var hidden = TermDefinition()
        hidden.isRemoved = true
        set(term, hidden)
    }

    /// The scoped context of a term as a value of `tree`.
    func scopedContext(of term: Symbol, in tree: Tree) -> Value? {
        var table: TermTable? = self
        while let current = table {
            if let index = current.map[term] {
                guard let context = current.definitions[Int(index)].localContext else { return nil }
                return current.tree === tree ? context : tree.copy(context, from: current.tree)
            }
            table = current.parent
        }
        return nil
    }

    /// All definitions that are not hidden, in no particular order.
    func all() -> [(term: Symbol, definition: TermDefinition)] {
        var seen: Set<Symbol> = []
        var result: [(Symbol, TermDefinition)] = []
        var table: TermTable? = self
        while let current = table {
            for (term, definition) in zip(current.terms, current.definitions.elements)
            where seen.insert(term).inserted && !definition.isRemoved {
                result.append((term, definition))
            }
            table = current.parent
        }
        return result
    }

    // MARK: from IRI to terms

    /// Makes what `terms(for:)` needs. Has to be done before a table is shared.
    func indexIRIs() {
        parent?.indexIRIs()
        guard lastByIRI == nil else { return }
        var last = SymbolMap(minimumCapacity: terms.count)
        previousOfIRI = []
        for (index, definition) in definitions.elements.enumerated() {
            guard let iri = definition.iri else {
                previousOfIRI.append(-1)
                continue
            }
            previousOfIRI.append(last[iri] ?? -1)
            last.set(iri, Int32(truncatingIfNeeded: index))
        }
        lastByIRI = last
    }

    /// The terms that stand for an IRI or a keyword, in no particular order.
    func terms(for iri: Symbol) -> [Symbol] {
        indexIRIs()
        var result: [Symbol] = []
        var table: TermTable? = self
        while let current = table {
            var index = current.lastByIRI?[iri] ?? -1
            while index >= 0 {
                let term = current.terms[Int(index)]
                // A layer above can say otherwise.
                if self[term]?.iri == iri, !result.contains(term) { result.append(term) }
                index = current.previousOfIRI[Int(index)]
            }
            table = current.parent
        }
        return result
    }

    /// The terms that can be prefixes, in no particular order; some of them maybe twice.
    func prefixTerms() -> [Symbol] {
        var result: [Symbol] = []
        var table: TermTable? = self
        while let current = table {
            for term in current.prefixes where self[term]?.isPrefix == true { result.append(term) }
            table = current.parent
        }
        return result
    }

    /// The terms that stand for `@type`, some of them maybe twice.
    func typeTermsOfAllLayers() -> [Symbol] {
        var result: [Symbol] = []
        var table: TermTable? = self
        while let current = table {
            for term in current.typeTerms where self[term]?.iri == .type { result.append(term) }
            table = current.parent
        }
        return result
    }
}
