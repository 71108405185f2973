// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Create Term Definition (JSON-LD API, section 4.2).

/// One context definition while its terms are defined: the inputs of section 4.2.2 that stay the same.
final class DefinitionRun {
    enum State: Int32 {
        case inProgress = 0
        case done = 1
    }

    struct Defined {
        private var map = SymbolMap()

        subscript(term: Symbol) -> State? {
            get { map[term].flatMap { State(rawValue: $0) } }
            set { if let newValue { map.set(term, newValue.rawValue) } }
        }
    }

    let context: ObjectID
    let use: ContextUse
    var isProtected = false
    var defined = Defined()

    init(context: ObjectID, use: ContextUse) {
        self.context = context
        self.use = use
    }
}

extension Session {
    // Section 4.2.2.
    func createTermDefinition(_ term: Symbol, _ active: ActiveContext, _ run: DefinitionRun) throws(JSONLDError) {
        // Step 1.
        switch run.defined[term] {
        case .done: return
        case .inProgress: throw error(.cyclicIRIMapping, "a term needs its own definition", term)
        case nil: break
        }
        try spendDefinitions()
        path.append(.key(term))
        dependencyDepth += 1
        guard dependencyDepth <= limits.termDependencyDepth else {
            throw error(.contextOverflow, "terms depend on each other more than \(limits.termDependencyDepth) times")
        }
        try define(term, active, run)
        dependencyDepth -= 1
        path.removeLast()
    }

    private func define(_ term: Symbol, _ active: ActiveContext, _ run: DefinitionRun) throws(JSONLDError) {
        // Step 2.
        guard term != .empty else { throw error(.invalidTermDefinition, "an empty term") }
        run.defined[term] = .inProgress
        // Steps 3 to 5.
        let value = tree[run.context, term] ?? .null
        if term == .type {
            try checkTypeRedefinition(value)
        } else {
            if term.isKeyword { throw error(.keywordRedefinition, "a keyword as a term", term) }
            if symbols.traits(term).contains(.keywordForm) { return }
        }
        // Step 6.
        let previous = active.terms[term]
        let previousContext = previous?.localContext == nil ? nil : active.terms.scopedContext(of: term, in: tree)
        if previous != nil { active.terms.remove(term) }
        // Steps 7 to 28.
        guard var definition = try makeDefinition(term, value, active, run) else { return }
        // Step 27.
        if !run.use.overrideProtected, let previous, previous.isProtected {
            guard definition.isSame(as: previous), isSame(definition.localContext, previousContext) else {
                throw error(.protectedTermRedefinition, "a protected term is defined anew", term)
            }
            definition.isProtected = true
        }
        // Step 28.
        active.terms.set(term, definition)
        run.defined[term] = .done
    }

    private func isSame(_ first: Value?, _ second: Value?) -> Bool {
        switch (first, second) {
        case (nil, nil): true
        case (let first?, let second?): tree.areEqual(first, second)
        default: false
        }
    }

    // Step 4.
    private func checkTypeRedefinition(_ value: Value) throws(JSONLDError) {
        guard !isVersion1_0, case .object(let object) = value, tree.count(object) > 0 else {
            throw error(.keywordRedefinition, "@type as a term")
        }
        for member in tree.members(object) {
            let isAllowed = member.key == .protected || member.key == .container && member.value == .string(.set)
            guard isAllowed else { throw error(.keywordRedefinition, "@type as a term") }
        }
    }

    /// The definition, or nil where the term is to be ignored.
    private func makeDefinition(
        _ term: Symbol, _ value: Value, _ active: ActiveContext, _ run: DefinitionRun
    ) throws(JSONLDError) -> TermDefinition? {
        // Step 10.
        var definition = TermDefinition()
        definition.isProtected = run.isProtected
        switch value {
        // Steps 7 and 8.
        case .null: return definition
        case .string(let id):
            guard id != term else { break }
            return try mapIdentifier(id, term, isSimple: true, &definition, active, run) ? definition : nil
        case .object: break
        // Step 9.
        default: throw error(.invalidTermDefinition, "a term is defined by null, a string or an object", term)
        }
        guard case .object(let object) = value else {
            try mapByForm(term, &definition, active, run)
            return definition
        }
        try readProtected(object, &definition)
        try readType(object, &definition, active, run)
        // Step 13.
        if let reverse = tree[object, .reverse] {
            guard try mapReverse(reverse, object, &definition, active, run) else { return nil }
            // QUIRK: step 13.7 returns before @index is read; the test suite (expand case 0131) wants it read.
            try readIndex(object, &definition, active, run)
            try checkEntries(object)
            return definition
        }
        // Steps 14 to 18.
        if let id = tree[object, .id], id != .string(term) {
            switch id {
            case .null: break
            case .string(let id):
                guard try mapIdentifier(id, term, isSimple: false, &definition, active, run) else { return nil }
            default: throw error(.invalidIRIMapping, "@id of a term is not a string or null", term)
            }
        } else {
            try mapByForm(term, &definition, active, run)
        }
        try readContainer(object, &definition)
        try readIndex(object, &definition, active, run)
        try readScopedContext(object, term, &definition, active, run)
        try readLanguageAndDirection(object, &definition)
        try readNestAndPrefix(object, term, &definition)
        try checkEntries(object)
        return definition
    }

    // Step 11.
    private func readProtected(_ object: ObjectID, _ definition: inout TermDefinition) throws(JSONLDError) {
        guard let value = tree[object, .protected] else { return }
        if isVersion1_0 { throw error(.invalidTermDefinition, "@protected is not of version 1.0") }
        guard case .boolean(let isProtected) = value else {
            throw error(.invalidProtectedValue, "@protected is not a boolean")
        }
        definition.isProtected = isProtected
    }

    // Step 12.
    private func readType(
        _ object: ObjectID, _ definition: inout TermDefinition, _ active: ActiveContext, _ run: DefinitionRun
    ) throws(JSONLDError) {
        guard let value = tree[object, .type] else { return }
        guard case .string(let name) = value, let type = try expandIRI(name, active, creating: run) else {
            throw error(.invalidTypeMapping, "@type of a term is not an IRI")
        }
        switch type {
        case .id, .vocab: break
        case .json, .none:
            if isVersion1_0 { throw error(.invalidTypeMapping, "a type that is not of version 1.0", type) }
        default:
            guard isIRI(type) else { throw error(.invalidTypeMapping, "@type of a term is not an IRI", type) }
        }
        definition.type = type
    }

    // Step 13. False where the term is to be ignored.
    private func mapReverse(
        _ value: Value, _ object: ObjectID, _ definition: inout TermDefinition, _ active: ActiveContext,
        _ run: DefinitionRun
    ) throws(JSONLDError) -> Bool {
        if tree.has(.id, object) || tree.has(.nest, object) {
            throw error(.invalidReverseProperty, "@reverse together with @id or @nest")
        }
        guard case .string(let property) = value else {
            throw error(.invalidIRIMapping, "@reverse of a term is not a string")
        }
        if symbols.traits(property).contains(.keywordForm), !property.isKeyword { return false }
        guard let iri = try expandIRI(property, active, creating: run), isIRI(iri) || isBlankNode(iri) else {
            throw error(.invalidIRIMapping, "@reverse of a term is not an IRI", property)
        }
        definition.iri = iri
        if let container = tree[object, .container] {
            switch container {
            case .null: break
            case .string(.set): definition.container = .set
            case .string(.index): definition.container = .index
            default: throw error(.invalidReverseProperty, "the container of a reverse property is not @set or @index")
            }
        }
        definition.isReverse = true
        return true
    }

    // Step 14.2. False where the term is to be ignored.
    private func mapIdentifier(
        _ id: Symbol, _ term: Symbol, isSimple: Bool, _ definition: inout TermDefinition, _ active: ActiveContext,
        _ run: DefinitionRun
    ) throws(JSONLDError) -> Bool {
        if !id.isKeyword, symbols.traits(id).contains(.keywordForm) { return false }
        guard let iri = try expandIRI(id, active, creating: run), iri.isKeyword || isIRI(iri) || isBlankNode(iri) else {
            throw error(.invalidIRIMapping, "a term stands for something that is no IRI", id)
        }
        if iri == .context { throw error(.invalidKeywordAlias, "an alias of @context") }
        definition.iri = iri
        let bytes = symbols.bytes(term)
        let hasSlash = bytes.contains(UInt8(ascii: "/"))
        // Step 14.2.4.
        if bytes.dropFirst().dropLast().contains(UInt8(ascii: ":")) || hasSlash {
            run.defined[term] = .done
            guard try expandIRI(term, active, creating: run) == iri else {
                throw error(.invalidIRIMapping, "a term that looks like another IRI than it stands for", term)
            }
        }
        // Step 14.2.5.
        if isSimple, !hasSlash, !bytes.contains(UInt8(ascii: ":")) {
            definition.isPrefix = isBlankNode(iri) || symbols.bytes(iri).last.map { $0.isOne(of: ":/?#[]@") } ?? false
        }
        return true
    }

    // Steps 15 to 18.
    /// Where nothing says what the term stands for, its own form does.
    private func mapByForm(
        _ term: Symbol, _ definition: inout TermDefinition, _ active: ActiveContext, _ run: DefinitionRun
    ) throws(JSONLDError) {
        let bytes = symbols.bytes(term)
        if symbols.traits(term).contains(.colon), let colon = bytes[1...].firstIndex(of: UInt8(ascii: ":")) {
            let prefix = symbols.find(UnsafeBufferPointer(rebasing: bytes[..<colon]))
            if let prefix, tree.has(prefix, run.context) { try createTermDefinition(prefix, active, run) }
            if let prefix, let iri = active.terms[prefix]?.iri {
                let suffix = UnsafeBufferPointer(rebasing: bytes[(colon + 1)...])
                definition.iri = symbols.concatenate(symbols.bytes(iri), suffix)
            } else {
                definition.iri = term
            }
        } else if bytes.contains(UInt8(ascii: "/")) {
            let iri = expandReference(term, active, documentRelative: false, vocab: true)
            guard isIRI(iri) else { throw error(.invalidIRIMapping, "a term that is a relative reference", term) }
            definition.iri = iri
        } else if term == .type {
            definition.iri = .type
        } else if let vocab = active.vocab {
            definition.iri = symbols.concatenate(symbols.bytes(vocab), bytes)
        } else {
            throw error(.invalidIRIMapping, "a term without IRI, and no vocabulary", term)
        }
    }
}
