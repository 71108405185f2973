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
