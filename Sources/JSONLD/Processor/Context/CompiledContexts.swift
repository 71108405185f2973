// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Contexts that are read and processed once and then shared by all runs: a table of strings, a
// tree and term definitions that nobody changes any more.

/// What is known before a run begins.
final class CompiledContexts: @unchecked Sendable {
    /// The result of processing a context from nothing.
    struct Ready {
        var terms: TermTable
        var vocab: Symbol?
        var language: Symbol?
        var direction: Symbol?

        /// Gives a context that is still pristine what this one says.
        func apply(to context: ActiveContext) {
            context.use(terms)
            context.vocab = vocab
            context.language = language
            context.direction = direction
        }
    }

    let symbols: SymbolTable
    let tree: Tree
    private var ready: [Symbol: Ready] = [:]
    /// The context of each document, and where it was found.
    private var documents: [Symbol: Session.RemoteContext] = [:]

    /// Knows no context.
    static let none = CompiledContexts()

    private init() {
        symbols = SymbolTable()
        tree = Tree(symbols: symbols, capacity: 8)
    }

    /// Compiles contexts. Those that can't be processed from nothing are kept as documents only.
    init(_ documents: [ContextDocument]) throws(JSONLDError) {
        symbols = SymbolTable(capacity: 8192)
        let session = Session(
            options: JSONLDOptions(), loader: NoDocuments(), compiled: .none, symbols: symbols)
        tree = session.tree
        for document in documents {
            let value = try document.read(into: session.tree)
            guard case .object(let object) = value, let context = session.tree[object, .context] else {
                throw JSONLDError(.invalidRemoteContext, "no object with @context at \(document.iris.first ?? "")")
            }
            for iri in document.iris {
                let iri = symbols.intern(iri)
                let remote = Session.RemoteContext(context: context, documentIRI: iri)
                self.documents[iri] = remote
                session.remoteContexts[iri] = remote
            }
        }
        for document in documents { try? compile(document, in: session) }
    }

    private func compile(_ document: ContextDocument, in session: Session) throws(JSONLDError) {
        guard let first = document.iris.first.map({ symbols.intern($0) }), let remote = documents[first] else { return }
        session.remainingDefinitions = session.limits.termDefinitions
        session.resetPath()
        var use = ContextUse(baseURL: remote.documentIRI)
        use.remoteContexts = [first]
        let active = try session.process(remote.context, session.initialContext(base: nil), use)
        // What sets a base, or doesn't propagate, is not only its terms.
        guard active.previous == nil else { return }
        active.terms.indexIRIs()
        let result = Ready(
            terms: active.terms, vocab: active.vocab, language: active.language, direction: active.direction)
        for iri in document.iris { ready[symbols.intern(iri)] = result }
    }

    /// The context at an address, processed from nothing.
    func context(_ iri: Symbol) -> Ready? {
        guard Int(iri.index) < symbols.count else { return nil }
        return ready[iri]
    }

    func document(_ iri: Symbol) -> Session.RemoteContext? {
        guard Int(iri.index) < symbols.count else { return nil }
        return documents[iri]
    }
}

/// A context document to be compiled.
struct ContextDocument {
    /// All addresses it is known by; the first is the one that counts.
    var iris: [String]
    /// Puts the document into a tree.
    var read: @Sendable (Tree) throws(JSONLDError) -> Value

    func read(into tree: Tree) throws(JSONLDError) -> Value {
        try read(tree)
    }
}
