// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The term definitions of an active context. Contexts differ little from those they were made
// from, so tables stand on each other in layers instead of being copied.

/// Definitions by term. A table can stand on another, whose definitions it adds to and hides.
final class TermTable: @unchecked Sendable {
    let parent: TermTable?
    /// The tree that the scoped contexts of this layer are in.
    let tree: Tree
    let depth: Int
    private var map: SymbolMap
    private var terms: [Symbol] = []
    private var definitions: [TermDefinition] = []
    /// Terms of this layer that can be the prefix of a compact IRI.
    private var prefixes: [Symbol] = []
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
        depth = (parent?.depth ?? 0) + 1
        map = SymbolMap(minimumCapacity: capacity)
        hasProtectedTerms = parent?.hasProtectedTerms ?? false
    }

    /// A table that says the same and can be added to.
    func layered(on tree: Tree) -> TermTable {
        guard depth >= Self.maximumDepth else { return TermTable(tree: tree, parent: isEmpty ? parent : self) }
        let merged = TermTable(tree: tree)
        for (term, definition) in all() {
            var definition = definition
            definition.localContext = scopedContext(of: term, in: tree)
            merged.set(term, definition)
        }
        merged.hasProtectedTerms = hasProtectedTerms
        return merged
    }

    /// The number of definitions in this layer alone.
    var count: Int { terms.count }

    private var isEmpty: Bool { terms.isEmpty }

    @inline(__always)
    subscript(term: Symbol) -> TermDefinition? {
        var table: TermTable? = self
        while let current = table {
            if let index = current.map[term] {
                let definition = current.definitions[Int(index)]
                return definition.isRemoved ? nil : definition
            }
            table = current.parent
        }
        return nil
    }

    func set(_ term: Symbol, _ definition: TermDefinition) {
        if definition.isProtected { hasProtectedTerms = true }
        if definition.isPrefix { prefixes.append(term) }
        lastByIRI = nil
        if let index = map[term] {
            definitions[Int(index)] = definition
            return
        }
        map.set(term, Int32(truncatingIfNeeded: terms.count))
        terms.append(term)
        definitions.append(definition)
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
            for (term, definition) in zip(current.terms, current.definitions) where seen.insert(term).inserted {
                if !definition.isRemoved { result.append((term, definition)) }
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
        for (index, definition) in definitions.enumerated() {
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
}
