// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Context processing (JSON-LD API, section 4.1): from an active context and a local one to the
// next active context.

/// How a local context is to be applied: the optional inputs of section 4.1.2.
struct ContextUse {
    /// Address that relative addresses of contexts are resolved against.
    var baseURL: Symbol?
    /// Contexts that led here, for finding circles.
    var remoteContexts: [Symbol] = []
    var overrideProtected = false
    var propagate = true
    var validateScoped = true

    /// Nothing but the base differs from the defaults.
    var isPlain: Bool { remoteContexts.isEmpty && !overrideProtected && propagate && validateScoped }
}

extension Session {
    /// The active context at the beginning of a run.
    func initialContext(base: Symbol?) -> ActiveContext {
        ActiveContext(terms: TermTable(tree: tree), base: base, originalBase: base)
    }

    // Section 4.1.2.
    func process(_ local: Value, _ active: ActiveContext, _ use: ContextUse) throws(JSONLDError) -> ActiveContext {
        guard case .string(let address) = local, use.isPlain else { return try processAnew(local, active, use) }
        let key = AppliedKey(active: ObjectIdentifier(active), address: address, baseURL: use.baseURL)
        if let known = appliedContexts[key] { return known.result }
        let result = try processAnew(local, active, use)
        appliedContexts[key] = ScopedResult(result: result, active: active, source: active)
        return result
    }

    private func processAnew(
        _ local: Value, _ active: ActiveContext, _ use: ContextUse
    ) throws(JSONLDError) -> ActiveContext {
        var use = use
        // Step 1.
        var result = active.clone()
        // Step 2. Its type is checked in step 5.11.
        if let object = local.object, case .boolean(let propagate) = tree[object, .propagate] {
            use.propagate = propagate
        }
        // Step 3.
        if !use.propagate, result.previous == nil { result.previous = active }
        // Steps 4 and 5.
        guard case .array(let contexts) = local else {
            return try applyOne(local, result, active, &use)
        }
        var index = 0
        for context in tree.elements(contexts) {
            path.append(.index(index))
            result = try applyOne(context, result, active, &use)
            path.removeLast()
            index += 1
        }
        return result
    }

    // Section 4.1.2, one round of step 5.
    private func applyOne(
        _ context: Value, _ result: ActiveContext, _ active: ActiveContext, _ use: inout ContextUse
    ) throws(JSONLDError) -> ActiveContext {
        switch context {
        case .null: return try nullify(result, active, use)
        case .string(let address): return try applyRemote(address, result, &use)
        case .object(let object): return try applyDefinition(object, result, use)
        // Step 5.3.
        default: throw error(.invalidLocalContext, "a context is null, a string or an object")
        }
    }

    // Step 5.1.
    private func nullify(
        _ result: ActiveContext, _ active: ActiveContext, _ use: ContextUse
    ) throws(JSONLDError) -> ActiveContext {
        if !use.overrideProtected, result.terms.hasProtectedTerms {
            let definitions = result.terms.all()
            try spendDefinitions(definitions.count)
            if definitions.contains(where: \.definition.isProtected) {
                throw error(.invalidContextNullification, "null would remove protected terms")
            }
        }
        let fresh = initialContext(base: active.originalBase)
        if !use.propagate { fresh.previous = result }
        return fresh
    }

    // Step 5.2.
    private func applyRemote(
        _ address: Symbol, _ result: ActiveContext, _ use: inout ContextUse
    ) throws(JSONLDError) -> ActiveContext {
        // Step 5.2.1.
        var iri = address
        if let base = use.baseURL { iri = resolve(address, against: base) }
        guard isIRI(iri) else {
            throw error(.loadingDocumentFailed, "a relative address of a context, and no base for it", iri)
        }
        // Step 5.2.2.
        if !use.validateScoped, use.remoteContexts.contains(iri) { return result }
        // Step 5.2.3.
        guard use.remoteContexts.count < limits.remoteContextDepth else {
            throw error(.contextOverflow, "more than \(limits.remoteContextDepth) contexts refer to each other", iri)
        }
        // Step 5.2.4, where the work has been done before.
        if result.isPristine, !isVersion1_0, let ready = compiled.context(iri) {
            ready.apply(to: result)
            return result
        }
        let remote = try remoteContext(iri)
        // Step 5.2.6.
        var inner = use
        inner.baseURL = remote.documentIRI
        inner.remoteContexts.append(iri)
        inner.propagate = true
        let depth = path.count
        do {
            return try process(remote.context, result, inner)
        } catch {
            // The pointer leads to where the context is referred to: its own text isn't what the caller has.
            path.truncate(to: depth)
            let isNamed = error.detail.contains(", in the context ")
            let place = isNamed ? "" : ", in the context \(symbols.text(iri).prefix(200))"
            throw self.error(error.code, error.detail + place)
        }
    }

    // Steps 5.2.4 and 5.2.5.
    /// The context at an address, loaded once.
    func remoteContext(_ iri: Symbol) throws(JSONLDError) -> RemoteContext {
        if let known = remoteContexts[iri] { return known }
        let text = symbols.text(iri)
        let loaded: LoadedDocument
        do {
            loaded = try loadContext(text)
        } catch {
            throw self.error(.loadingRemoteContextFailed, error.detail)
        }
        guard case .object(let object) = loaded.value, let context = tree[object, .context] else {
            throw error(.invalidRemoteContext, "no object with @context at \(text)")
        }
        let remote = RemoteContext(context: context, documentIRI: symbols.intern(loaded.documentIRI))
        remoteContexts[iri] = remote
        return remote
    }

    // Steps 5.4 to 5.13.
    private func applyDefinition(
        _ object: ObjectID, _ result: ActiveContext, _ use: ContextUse
    ) throws(JSONLDError) -> ActiveContext {
        var object = object
        // Step 5.5.
        if let version = tree[object, .version] {
            guard case .number(let number) = version, Double(symbols.text(number)) == 1.1 else {
                throw error(.invalidVersionValue, "@version is not 1.1")
            }
            if isVersion1_0 { throw error(.processingModeConflict, "a context of version 1.1, read as 1.0") }
        }
        if let imported = tree[object, .import] { object = try merge(imported, object, use) }
        try applyBase(object, result, use)
        try applyVocabulary(object, result)
        try applyLanguageAndDirection(object, result)
        // Step 5.11.
        if let propagate = tree[object, .propagate] {
            if isVersion1_0 { throw error(.invalidContextEntry, "@propagate is not of version 1.0") }
            guard case .boolean = propagate else { throw error(.invalidPropagateValue, "@propagate is not a boolean") }
        }
        try createDefinitions(object, result, use)
        return result
    }

    // Step 5.6.
    private func merge(_ imported: Value, _ object: ObjectID, _ use: ContextUse) throws(JSONLDError) -> ObjectID {
        if isVersion1_0 { throw error(.invalidContextEntry, "@import is not of version 1.0") }
        guard case .string(let address) = imported else {
            throw error(.invalidImportValue, "@import is not a string")
        }
        let iri = use.baseURL.map { resolve(address, against: $0) } ?? address
        let remote = try remoteContext(iri)
        guard case .object(let source) = remote.context else {
            throw error(.invalidRemoteContext, "an imported context is not an object", iri)
        }
        if tree.has(.import, source) {
            throw error(.invalidContextEntry, "an imported context imports another", iri)
        }
        let merged = tree.shallowCopy(source)
        for member in tree.members(object) { tree.set(member.key, member.value, in: merged) }
        return merged
    }

    // Step 5.7.
    private func applyBase(_ object: ObjectID, _ result: ActiveContext, _ use: ContextUse) throws(JSONLDError) {
        guard let value = tree[object, .base], use.remoteContexts.isEmpty else { return }
        switch value {
        case .null: result.base = nil
        case .string(let base) where isIRI(base): result.base = base
        case .string(let base):
            guard let current = result.base else {
                throw error(.invalidBaseIRI, "a relative @base, and no base for it", base)
            }
            result.base = resolve(base, against: current)
        default: throw error(.invalidBaseIRI, "@base is not a string or null")
        }
    }

    // Step 5.8.
    private func applyVocabulary(_ object: ObjectID, _ result: ActiveContext) throws(JSONLDError) {
        guard let value = tree[object, .vocab] else { return }
        switch value {
        case .null: result.vocab = nil
        case .string(let vocab):
            if isVersion1_0, !isIRI(vocab), !isBlankNode(vocab) {
                throw error(.invalidVocabMapping, "@vocab is neither an IRI nor a blank node", vocab)
            }
            guard let expanded = try expandIRI(vocab, result.clone(), documentRelative: true), !expanded.isKeyword else {
                throw error(.invalidVocabMapping, "@vocab stands for nothing", vocab)
            }
            result.vocab = expanded
        default: throw error(.invalidVocabMapping, "@vocab is not a string or null")
        }
    }

    // Steps 5.9 and 5.10.
    private func applyLanguageAndDirection(_ object: ObjectID, _ result: ActiveContext) throws(JSONLDError) {
        if let value = tree[object, .language] {
            switch value {
            case .null: result.language = nil
            case .string(let language): result.language = languageTag(language)
            default: throw error(.invalidDefaultLanguage, "@language is not a string or null")
            }
        }
        guard let value = tree[object, .direction] else { return }
        if isVersion1_0 { throw error(.invalidContextEntry, "@direction is not of version 1.0") }
        switch value {
        case .null: result.direction = nil
        case .string(let direction) where direction == .ltr || direction == .rtl: result.direction = direction
        default: throw error(.invalidBaseDirection, "@direction is not ltr, rtl or null")
        }
    }

    // Steps 5.12 and 5.13.
    private func createDefinitions(
        _ object: ObjectID, _ result: ActiveContext, _ use: ContextUse
    ) throws(JSONLDError) {
        let run = DefinitionRun(context: object, use: use)
        if let protected = tree[object, .protected] {
            if isVersion1_0 { throw error(.invalidContextEntry, "@protected is not of version 1.0") }
            guard case .boolean(let isProtected) = protected else {
                throw error(.invalidProtectedValue, "@protected is not a boolean")
            }
            run.isProtected = isProtected
        }
        try spendDefinitions(result.addLayer(in: tree))
        for member in tree.members(object) {
            switch member.key {
            case .base, .direction, .import, .language, .propagate, .protected, .version, .vocab: continue
            default: try createTermDefinition(member.key, result, run)
            }
        }
    }

    // MARK: scoped contexts

    /// The context of values of a property that has a context of its own (section 5.1.2 step 8).
    func applyPropertyScoped(
        _ term: Symbol, of source: ActiveContext, to active: ActiveContext
    ) throws(JSONLDError) -> ActiveContext {
        try applyScoped(term, of: source, to: active, isTypeScoped: false)
    }

    /// The context of a node whose type has a context of its own (section 5.1.2 step 11.2).
    func applyTypeScoped(
        _ term: Symbol, of source: ActiveContext, to active: ActiveContext
    ) throws(JSONLDError) -> ActiveContext {
        try applyScoped(term, of: source, to: active, isTypeScoped: true)
    }

    private func applyScoped(
        _ term: Symbol, of source: ActiveContext, to active: ActiveContext, isTypeScoped: Bool
    ) throws(JSONLDError) -> ActiveContext {
        let key = ScopedKey(
            active: ObjectIdentifier(active), source: ObjectIdentifier(source), term: term, isTypeScoped: isTypeScoped)
        if let known = scopedContexts[key] { return known.result }
        guard let local = source.terms.scopedContext(of: term, in: tree) else { return active }
        var use = ContextUse()
        use.baseURL = source.terms[term]?.baseURL
        use.overrideProtected = !isTypeScoped
        use.propagate = !isTypeScoped
        let result = try process(local, active, use)
        scopedContexts[key] = ScopedResult(result: result, active: active, source: source)
        return result
    }
}
