// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What a context says of one term (JSON-LD API, section 4.1), as a plain value.

/// Values of `@container`, as a set.
struct ContainerMapping: OptionSet, Hashable, Sendable, BitwiseCopyable {
    var rawValue: UInt8
    static let graph = ContainerMapping(rawValue: 1)
    static let id = ContainerMapping(rawValue: 2)
    static let index = ContainerMapping(rawValue: 4)
    static let language = ContainerMapping(rawValue: 8)
    static let list = ContainerMapping(rawValue: 16)
    static let set = ContainerMapping(rawValue: 32)
    static let type = ContainerMapping(rawValue: 64)

    init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    init?(_ keyword: Symbol) {
        switch keyword {
        case .graph: self = .graph
        case .id: self = .id
        case .index: self = .index
        case .language: self = .language
        case .list: self = .list
        case .set: self = .set
        case .type: self = .type
        default: return nil
        }
    }

    // Section 4.2.2, step 19.1.
    /// Whether the keywords may stand together.
    var isValid: Bool {
        if contains(.list) { return self == .list }
        let keyed = intersection([.id, .index, .language, .type])
        guard keyed.rawValue.nonzeroBitCount <= 1 else { return false }
        if contains(.graph) { return keyed.isSubset(of: [.id, .index]) }
        return true
    }
}

/// A mapping that can be absent, null, or a string.
enum OptionalMapping: Hashable, Sendable, BitwiseCopyable {
    case absent
    case null
    case some(Symbol)
}

/// The definition of one term.
struct TermDefinition: Sendable, BitwiseCopyable {
    /// IRI, blank node identifier or keyword; nil for a term that stands for nothing.
    var iri: Symbol?
    var type: Symbol?
    var language = OptionalMapping.absent
    var direction = OptionalMapping.absent
    var index: Symbol?
    var nest: Symbol?
    /// The scoped context, a value of the tree of its `TermTable`.
    var localContext: Value?
    /// Address of the document that defined the term, for relative addresses in the scoped context.
    var baseURL: Symbol?
    var container: ContainerMapping = []
    var isPrefix = false
    var isProtected = false
    var isReverse = false
    /// A definition that only hides an older one of the same term.
    var isRemoved = false

    /// Equal but for `isProtected`, and for the scoped context, which is compared by the caller.
    func isSame(as other: TermDefinition) -> Bool {
        iri == other.iri && type == other.type && language == other.language && direction == other.direction
            && index == other.index && nest == other.nest && container == other.container
            && isPrefix == other.isPrefix && isReverse == other.isReverse && baseURL == other.baseURL
            && (localContext == nil) == (other.localContext == nil)
    }
}

/// Definitions by term. A table can stand on another, whose definitions it adds to and hides.
final class TermTable: @unchecked Sendable {
    let parent: TermTable?
    /// The tree that the scoped contexts of this layer are in.
    let tree: Tree
    let depth: Int
    private var map: SymbolMap
    private var terms: [Symbol] = []
    private var definitions: [TermDefinition] = []
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
}
