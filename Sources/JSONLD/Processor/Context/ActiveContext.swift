// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// How names and values are understood at one place of a document (JSON-LD API, section 4.1).

/// An active context. Once made it stays as it is; what it has worked out it remembers for the rest of the run.
final class ActiveContext {
    private(set) var terms: TermTable {
        didSet { layers = terms.layers }
    }
    /// The definitions of `terms`, for looking up.
    private(set) var layers: TermLayers
    var base: Symbol?
    let originalBase: Symbol?
    var vocab: Symbol?
    var language: Symbol?
    /// `ltr` or `rtl`.
    var direction: Symbol?
    var previous: ActiveContext?

    /// Results of IRI expansion that took work, by the string: vocabulary-relative, and document-relative.
    let expandedVocabulary = SymbolIndex()
    let expandedDocument = SymbolIndex()
    /// Parts of the inverse context (section 4.3), by IRI, as they are needed.
    var inverse: [Symbol: InverseEntry] = [:]
    /// Results of IRI compaction without a value: vocabulary-relative, and document-relative.
    var compactedVocabulary = SymbolMap()
    var compactedDocument = SymbolMap()
    /// The terms that can be prefixes, as soon as they were needed.
    var prefixTerms: [Symbol]?
    /// The terms that stand for `@type`. Known when the context is finished.
    private(set) lazy var typeTerms: [Symbol] = terms.typeTermsOfAllLayers()

    init(terms: TermTable, base: Symbol?, originalBase: Symbol?) {
        self.terms = terms
        layers = terms.layers
        self.base = base
        self.originalBase = originalBase
    }

    deinit {
        expandedVocabulary.deallocate()
        expandedDocument.deallocate()
    }

    // Section 4.1.2, step 1.
    /// A context that says the same and can be changed, without an inverse context.
    func clone() -> ActiveContext {
        let clone = ActiveContext(terms: terms, base: base, originalBase: originalBase)
        clone.vocab = vocab
        clone.language = language
        clone.direction = direction
        clone.previous = previous
        return clone
    }

    /// Takes a layer of its own for new terms; returns how many definitions had to be copied.
    func addLayer(in tree: Tree) -> Int {
        let layered = terms.layered(on: tree)
        terms = layered.table
        return layered.copied
    }

    func use(_ terms: TermTable) {
        self.terms = terms
    }

    /// As it is at the beginning: nothing but bases.
    var isPristine: Bool {
        terms.parent == nil && terms.count == 0 && vocab == nil && language == nil && direction == nil && previous == nil
    }
}
