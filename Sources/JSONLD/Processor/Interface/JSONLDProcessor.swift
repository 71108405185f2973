// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The operations (JSON-LD API, section 9.1; Framing, section 5.1), as functions without state. Each
// call is a run of its own; what runs share is the context library, which is never changed.

/// Does what JSON-LD 1.1 processors do. A value: copy it, change its options, use it from any number of threads.
public struct JSONLDProcessor: Sendable {
    public var options: JSONLDOptions
    public var loader: any DocumentLoader
    public var contexts: ContextLibrary
    /// Finds scripts where the input is HTML. Nil: HTML is refused with `loading document failed`.
    public var htmlReader: (any HTMLScriptReader)?

    /// - Parameters:
    ///   - loader: Answers for documents and contexts that `contexts` doesn't know. The default knows none.
    ///   - contexts: Contexts at hand; the default is schema.org.
    public init(
        options: JSONLDOptions = JSONLDOptions(), loader: any DocumentLoader = NoDocuments(),
        contexts: ContextLibrary = .standard, htmlReader: (any HTMLScriptReader)? = nil
    ) {
        self.options = options
        self.loader = loader
        self.contexts = contexts
        self.htmlReader = htmlReader
    }

    /// The document with all contexts applied and removed: an array of node objects.
    public func expand(_ input: JSONLDInput) throws(JSONLDError) -> JSONLDResult {
        let run = makeRun()
        let expanded = try run.expand(input)
        return run.result(.array(expanded.nodes))
    }

    /// The document in the terms of a context.
    /// - Parameter context: JSON text of a context, or of an object with `@context`.
    public func compact(_ input: JSONLDInput, context: [UInt8]) throws(JSONLDError) -> JSONLDResult {
        let run = makeRun()
        let expanded = try run.expand(input)
        let context = run.context(in: try run.session.read(context, .invalidLocalContext))
        return run.result(try run.compact(.array(expanded.nodes), context, base: expanded.base))
    }

    /// All nodes side by side, each with all its properties.
    /// - Parameter context: As for `compact(_:context:)`; nil leaves the result expanded.
    public func flatten(_ input: JSONLDInput, context: [UInt8]? = nil) throws(JSONLDError) -> JSONLDResult {
        let run = makeRun()
        let expanded = try run.expand(input)
        let flattened = try run.flatten(expanded.nodes)
        guard let context else { return run.result(.array(flattened)) }
        let value = run.context(in: try run.session.read(context, .invalidLocalContext))
        return run.result(try run.compact(.array(flattened), value, base: expanded.base, keepsGraph: true))
    }

    /// The nodes of a document that a frame asks for, laid out as it says and in the terms of its context.
    public func frame(_ input: JSONLDInput, frame: JSONLDInput) throws(JSONLDError) -> JSONLDResult {
        let run = makeRun()
        return run.result(try run.frame(input, frame))
    }

    /// The statements of a document.
    public func toRDF(_ input: JSONLDInput) throws(JSONLDError) -> RDFDataset {
        let run = makeRun(extractsAllScripts: true)
        let expanded = try run.expand(input)
        var generator = NodeMapGenerator(run.session, isSorted: options.isOrdered)
        try generator.add(expanded.nodes)
        var converter = RDFConverter(run.session, issuer: generator.issuer)
        let quads = try converter.convert(generator.map)
        return RDFDataset(tree: run.tree, list: quads, limits: options.limits)
    }

    /// An expanded document that says what the statements say.
    public func fromRDF(_ quads: [RDFQuad]) throws(JSONLDError) -> JSONLDResult {
        let run = makeRun()
        var reader = RDFReader(run.session)
        return run.result(.array(try reader.read(quads)))
    }

    private func makeRun(extractsAllScripts: Bool = false) -> Run {
        let session = Session(options: options, loader: loader, compiled: contexts.compiled)
        session.htmlReader = htmlReader
        session.extractsAllScripts = options.extractsAllScripts ?? extractsAllScripts
        return Run(session: session)
    }
}

/// A session and the steps that several operations have in common.
struct Run {
    let session: Session

    struct Expanded {
        var nodes: ArrayID
        /// The document as it was read.
        var source: LoadedDocument
        var base: Symbol?
    }

    var tree: Tree { session.tree }

    func result(_ value: Value) -> JSONLDResult {
        JSONLDResult(tree: tree, value: value, limits: session.limits)
    }

    /// Brings an input into the tree.
    func load(_ input: JSONLDInput) throws(JSONLDError) -> LoadedDocument {
        switch input {
        case .json(let bytes):
            return LoadedDocument(value: try session.read(bytes, .loadingDocumentFailed), documentIRI: "")
        case .document(let document):
            return LoadedDocument(value: try session.read(document), documentIRI: "")
        case .remote(let document):
            let (address, fragment) = Session.splitFragment(document.documentIRI)
            var document = document
            document.documentIRI = address
            return try session.interpret(document, fragment: fragment)
        case .iri(let iri):
            return try session.load(iri)
        }
    }

    // Section 9.1, expand().
    /// - Parameter outerBase: The base of an input that has no address.
    func expand(
        _ input: JSONLDInput, isFrame: Bool = false, outerBase: Symbol? = nil
    ) throws(JSONLDError) -> Expanded {
        let source = try load(input)
        // Steps 3 and 4. The option wins over the address of the document.
        let address = source.documentIRI.isEmpty ? outerBase : session.symbols.intern(source.documentIRI)
        let base = (source.baseIRI ?? session.options.base).map { session.symbols.intern($0) } ?? address
        var active = session.initialContext(base: base)
        // Step 5.
        if !isFrame, let text = session.options.expandContext {
            let value = try session.read(text, .invalidLocalContext)
            active = try session.process(context(in: value), active, ContextUse(baseURL: address ?? base))
        }
        // Step 6.
        if let iri = source.contextIRI {
            let context = Value.string(session.symbols.intern(iri))
            active = try session.process(context, active, ContextUse(baseURL: address ?? base))
        }
        session.resetPath()
        // Steps 7 to 9.
        let expander = Expander(session, baseURL: address ?? base, isFrame: isFrame)
        var value = try expander.expand(source.value, active, nil)
        if case .object(let object) = value, tree.count(object) == 1, let graph = tree[object, .graph] { value = graph }
        let nodes = value.isNull ? tree.makeArray() : tree.asArray(value)
        return Expanded(nodes: nodes, source: source, base: base)
    }

    /// The context itself, where it may be given as an object with `@context`.
    func context(in value: Value) -> Value {
        if case .object(let object) = value, let context = tree[object, .context] { context } else { value }
    }

    // Section 9.1, compact(), from step 5 on.
    /// - Parameters:
    ///   - keepsGraph: Whether a result of one node stays inside of `@graph` (flatten() step 6).
    ///   - keepsEmptyGraph: Whether a result of no node is an empty `@graph` (Framing, section 5.1 step 20).
    func compact(
        _ expanded: Value, _ context: Value, base: Symbol?, keepsGraph: Bool = false, keepsEmptyGraph: Bool = false
    ) throws(JSONLDError) -> Value {
        session.resetPath()
        var active = try session.process(context, session.initialContext(base: base), ContextUse(baseURL: base))
        // Step 7.
        if session.options.base == nil, !session.options.compactsToRelative {
            active = active.clone()
            active.base = nil
        }
        // Step 8.
        var compacted = try Compactor(session).compact(expanded, active, nil)
        if keepsGraph, case .object(let object) = compacted, tree.count(object) > 0 {
            compacted = .array(tree.makeArray(compacted))
        }
        // Step 9.
        let content: ObjectID
        switch compacted {
        case .object(let object): content = object
        case .array(let nodes) where tree.count(nodes) == 0 && !keepsEmptyGraph: content = tree.makeObject()
        default: content = tree.makeObject(try session.compactIRI(.graph, active), .array(tree.asArray(compacted)))
        }
        return .object(withContext(context, content))
    }

    // Section 9.1, compact() step 10.
    /// An object with the context before everything else, unless that is empty.
    func withContext(_ context: Value, _ content: ObjectID) -> ObjectID {
        switch context {
        case .null: return content
        case .array(let contexts) where tree.count(contexts) == 0: return content
        case .object(let object) where tree.count(object) == 0: return content
        default: break
        }
        let result = tree.makeObject(.context, context)
        for member in tree.members(content) { tree.set(member.key, member.value, in: result) }
        return result
    }
}
