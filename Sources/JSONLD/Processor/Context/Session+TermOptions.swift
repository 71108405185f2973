// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The further entries of a term definition (JSON-LD API, section 4.2.2 steps 19 to 26).

extension Session {
    // Step 19.
    func readContainer(_ object: ObjectID, _ definition: inout TermDefinition) throws(JSONLDError) {
        guard let value = tree[object, .container] else { return }
        let container = try containerMapping(value)
        if isVersion1_0 {
            guard case .string = value, !container.contains(.graph), !container.contains(.id), !container.contains(.type)
            else { throw error(.invalidContainerMapping, "a container that is not of version 1.0") }
        }
        definition.container = container
        guard container.contains(.type) else { return }
        switch definition.type {
        case nil: definition.type = .id
        case .id, .vocab: break
        default: throw error(.invalidTypeMapping, "a type map whose type is neither @id nor @vocab")
        }
    }

    private func containerMapping(_ value: Value) throws(JSONLDError) -> ContainerMapping {
        var container: ContainerMapping = []
        switch value {
        case .string(let keyword):
            if let single = ContainerMapping(keyword) { return single }
        case .array(let keywords):
            for keyword in tree.elements(keywords) {
                guard let single = keyword.string.flatMap({ ContainerMapping($0) }) else {
                    throw error(.invalidContainerMapping, "not a container")
                }
                container.formUnion(single)
            }
            if !container.isEmpty, container.isValid { return container }
        default: break
        }
        throw error(.invalidContainerMapping, "not a container, or containers that don't go together")
    }

    // Step 20.
    func readIndex(
        _ object: ObjectID, _ definition: inout TermDefinition, _ active: ActiveContext, _ run: DefinitionRun
    ) throws(JSONLDError) {
        guard let value = tree[object, .index] else { return }
        if isVersion1_0 || !definition.container.contains(.index) {
            throw error(.invalidTermDefinition, "@index without the container @index")
        }
        guard case .string(let index) = value, let iri = try expandIRI(index, active, creating: run), isIRI(iri) else {
            throw error(.invalidTermDefinition, "@index of a term is not an IRI")
        }
        definition.index = index
    }

    // Step 21.
    func readScopedContext(
        _ object: ObjectID, _ term: Symbol, _ definition: inout TermDefinition, _ active: ActiveContext,
        _ run: DefinitionRun
    ) throws(JSONLDError) {
        guard let context = tree[object, .context] else { return }
        if isVersion1_0 { throw error(.invalidTermDefinition, "a scoped context is not of version 1.0") }
        var use = ContextUse()
        use.baseURL = run.use.baseURL
        use.remoteContexts = run.use.remoteContexts
        use.overrideProtected = true
        use.validateScoped = false
        path.append(.key(.context))
        let outerDepth = dependencyDepth
        do {
            try enter()
            // Made only to find errors: what it means depends on where it is applied.
            _ = try process(context, active, use)
            leave()
        } catch {
            // What was too much stays too much.
            if error.code == .limitExceeded || error.code == .contextOverflow { throw error }
            throw JSONLDError(.invalidScopedContext, "\(error.code.rawValue): \(error.detail)", pointer: error.pointer)
        }
        dependencyDepth = outerDepth
        path.removeLast()
        definition.localContext = context
        definition.baseURL = run.use.baseURL
    }

    // Steps 22 and 23.
    func readLanguageAndDirection(_ object: ObjectID, _ definition: inout TermDefinition) throws(JSONLDError) {
        guard !tree.has(.type, object) else { return }
        if let value = tree[object, .language] {
            switch value {
            case .null: definition.language = .null
            case .string(let language): definition.language = .some(languageTag(language))
            default: throw error(.invalidLanguageMapping, "@language of a term is not a string or null")
            }
        }
        if let value = tree[object, .direction] {
            switch value {
            case .null: definition.direction = .null
            case .string(let direction) where direction == .ltr || direction == .rtl:
                definition.direction = .some(direction)
            default: throw error(.invalidBaseDirection, "@direction of a term is not ltr, rtl or null")
            }
        }
    }

    // Steps 24 and 25.
    func readNestAndPrefix(
        _ object: ObjectID, _ term: Symbol, _ definition: inout TermDefinition
    ) throws(JSONLDError) {
        if let value = tree[object, .nest] {
            if isVersion1_0 { throw error(.invalidTermDefinition, "@nest is not of version 1.0") }
            guard case .string(let nest) = value, nest == .nest || !nest.isKeyword else {
                throw error(.invalidNestValue, "@nest of a term is not a term")
            }
            definition.nest = nest
        }
        if let value = tree[object, .prefix] {
            if isVersion1_0 || symbols.bytes(term).contains(where: { $0.isOne(of: ":/") }) {
                throw error(.invalidTermDefinition, "@prefix of a term that can't be one", term)
            }
            guard case .boolean(let isPrefix) = value else {
                throw error(.invalidPrefixValue, "@prefix is not a boolean")
            }
            if isPrefix, let iri = definition.iri, iri.isKeyword {
                throw error(.invalidTermDefinition, "an alias of a keyword as a prefix", term)
            }
            definition.isPrefix = isPrefix
        }
    }

    // Step 26.
    func checkEntries(_ object: ObjectID) throws(JSONLDError) {
        for member in tree.members(object) {
            switch member.key {
            case .id, .reverse, .container, .context, .direction, .index, .language, .nest, .prefix, .protected, .type:
                continue
            default: throw error(.invalidTermDefinition, "an unknown entry in a term definition", member.key)
            }
        }
    }
}
