// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// IRI compaction (JSON-LD API, section 6.2): from an IRI to the term, compact IRI or relative
// reference that says it shortest.

extension Session {
    // Section 6.2.2.
    /// - Parameter value: What the IRI is the property of; it decides between terms.
    func compactIRI(
        _ iri: Symbol, _ active: ActiveContext, value: Value? = nil, vocab: Bool = true, reverse: Bool = false
    ) throws(JSONLDError) -> Symbol {
        let isRemembered = value == nil && !reverse
        if isRemembered, let known = vocab ? active.compactedVocabulary[iri] : active.compactedDocument[iri] {
            return Symbol(index: UInt32(bitPattern: known))
        }
        let result = try findCompactIRI(iri, active, value, vocab: vocab, reverse: reverse)
        if isRemembered {
            let number = Int32(bitPattern: result.index)
            if vocab { active.compactedVocabulary.set(iri, number) } else { active.compactedDocument.set(iri, number) }
        }
        return result
    }

    private func findCompactIRI(
        _ iri: Symbol, _ active: ActiveContext, _ value: Value?, vocab: Bool, reverse: Bool
    ) throws(JSONLDError) -> Symbol {
        // Step 4.
        if vocab, let term = try selectTerm(iri, active, value, reverse: reverse) { return term }
        let bytes = symbols.bytes(iri)
        // Step 5.
        if vocab, let vocabulary = active.vocab {
            let start = symbols.bytes(vocabulary)
            if bytes.count > start.count, bytes.starts(with: start) {
                let suffix = symbols.intern(UnsafeBufferPointer(rebasing: bytes[start.count...]))
                if active.terms[suffix] == nil { return suffix }
            }
        }
        // Steps 6 to 8.
        if let compact = bestCompactIRI(iri, active, hasValue: value != nil) { return compact }
        // Step 9.
        if let colon = IRIReference.schemeEnd(bytes), !bytes[(colon + 1)...].starts(with: "//".utf8),
            let scheme = symbols.find(UnsafeBufferPointer(rebasing: bytes[..<colon])),
            active.terms[scheme]?.isPrefix == true
        {
            throw error(.iriConfusedWithPrefix, "the scheme of an IRI is a prefix too", iri)
        }
        // Step 10.
        if !vocab, let base = active.base, options.compactsToRelative, !isBlankNode(iri) {
            return intern(IRIReference.relativize(bytes, against: symbols.bytes(base)))
        }
        return iri
    }

    // Step 7.
    private func bestCompactIRI(_ iri: Symbol, _ active: ActiveContext, hasValue: Bool) -> Symbol? {
        let prefixes = active.prefixTerms ?? active.terms.prefixTerms()
        active.prefixTerms = prefixes
        let bytes = symbols.bytes(iri)
        var best: Symbol?
        for prefix in prefixes {
            guard let start = active.terms[prefix]?.iri, start != iri else { continue }
            let startBytes = symbols.bytes(start)
            guard bytes.starts(with: startBytes) else { continue }
            var candidateBytes = Array(symbols.bytes(prefix))
            candidateBytes.append(UInt8(ascii: ":"))
            candidateBytes.append(contentsOf: bytes[startBytes.count...])
            let candidate = intern(candidateBytes)
            if let best, !isShorterOrBefore(candidate, best) { continue }
            let definition = active.terms[candidate]
            if definition == nil || definition?.iri == iri && !hasValue { best = candidate }
        }
        return best
    }

    // MARK: choosing a term

    /// What is preferred for a value: containers in order, and a type or language.
    private struct Preference {
        var containers: [ContainerMapping] = []
        var selector = InverseEntry.Selector.language
        var key: Symbol = .null
    }

    // Step 4.
    private func selectTerm(
        _ iri: Symbol, _ active: ActiveContext, _ value: Value?, reverse: Bool
    ) throws(JSONLDError) -> Symbol? {
        guard !active.terms.terms(for: iri).isEmpty else { return nil }
        var value = value
        // Step 4.2.
        if case .object(let object) = value, let preserved = tree[object, .preserve] {
            value = tree.first(tree.asArray(preserved)) ?? value
        }
        let object = value?.object
        let hasIndex = object.map { tree.has(.index, $0) } ?? false
        var preference = preference(value, active, reverse: reverse, hasIndex: hasIndex)
        // Step 4.10.
        preference.containers.append([])
        if !isVersion1_0 {
            // Steps 4.11 and 4.12.
            if !hasIndex { preference.containers += [.index, [.index, .set]] }
            if let object, tree.count(object) == 1, tree.has(.value, object) {
                preference.containers += [.language, [.language, .set]]
            }
        }
        // Steps 4.13 to 4.19.
        var preferred = try preferredValues(preference, object, active)
        if let object, case .array(let list) = tree[object, .list], tree.count(list) == 0 { preference.selector = .any }
        preferred.append(.any)
        for key in preferred where !key.isKeyword {
            let bytes = symbols.bytes(key)
            if let underscore = bytes.firstIndex(of: UInt8(ascii: "_")) {
                preferred.append(symbols.intern(UnsafeBufferPointer(rebasing: bytes[underscore...])))
            }
        }
        // Step 4.20.
        return selectTerm(iri, active, containers: preference.containers, preference.selector, preferred: preferred)
    }

    // Steps 4.15 to 4.17.
    private func preferredValues(
        _ preference: Preference, _ object: ObjectID?, _ active: ActiveContext
    ) throws(JSONLDError) -> [Symbol] {
        var preferred: [Symbol] = preference.key == .reverse ? [.reverse] : []
        guard preference.key == .id || preference.key == .reverse, let object, case .string(let id) = tree[object, .id]
        else { return preferred + [preference.key, .none] }
        let compact = try compactIRI(id, active)
        preferred += active.terms[compact]?.iri == id ? [.vocab, .id, .none] : [.id, .vocab, .none]
        return preferred
    }

    // Steps 4.5 to 4.9.
    private func preference(
        _ value: Value?, _ active: ActiveContext, reverse: Bool, hasIndex: Bool
    ) -> Preference {
        var result = Preference()
        let isGraph = value.map { tree.isGraphObject($0) } ?? false
        if hasIndex, !isGraph { result.containers += [.index, [.index, .set]] }
        if reverse {
            result.selector = .type
            result.key = .reverse
            result.containers.append(.set)
        } else if let object = value?.object, case .array(let list) = tree[object, .list] {
            if !hasIndex { result.containers.append(.list) }
            preferForList(list, active, &result)
        } else if isGraph, let object = value?.object {
            preferForGraph(object, hasIndex: hasIndex, &result)
        } else {
            preferForOne(value, hasIndex: hasIndex, &result)
        }
        return result
    }

    // Step 4.7.
    private func preferForList(_ list: ArrayID, _ active: ActiveContext, _ result: inout Preference) {
        var commonType: Symbol?
        var commonLanguage: Symbol? = tree.count(list) == 0 ? defaultLanguageKey(active) : nil
        for item in tree.elements(list) {
            var language: Symbol = .none
            var type: Symbol = .none
            let object = item.object
            let isValue = object.map { tree.has(.value, $0) } ?? false
            if let object, isValue {
                if let direction = tree[object, .direction]?.string {
                    language = languageKey(tree[object, .language]?.string, direction)
                } else if let own = tree[object, .language]?.string {
                    language = languageKey(own, nil)
                } else if let own = tree[object, .type]?.string {
                    type = own
                } else {
                    language = .null
                }
            } else {
                type = .id
            }
            if commonLanguage == nil {
                commonLanguage = language
            } else if language != commonLanguage, isValue {
                commonLanguage = Symbol.none
            }
            if commonType == nil {
                commonType = type
            } else if type != commonType {
                commonType = Symbol.none
            }
            if commonLanguage == Symbol.none, commonType == Symbol.none { break }
        }
        if let commonType, commonType != Symbol.none {
            result.selector = .type
            result.key = commonType
        } else {
            result.key = commonLanguage ?? Symbol.none
        }
    }

    // Step 4.8.
    private func preferForGraph(_ graph: ObjectID, hasIndex: Bool, _ result: inout Preference) {
        let byIndex: [ContainerMapping] = [[.graph, .index], [.graph, .index, .set]]
        let byID: [ContainerMapping] = [[.graph, .id], [.graph, .id, .set]]
        let hasID = tree.has(.id, graph)
        if hasIndex { result.containers += byIndex }
        if hasID { result.containers += byID }
        result.containers += [.graph, [.graph, .set], .set]
        if !hasIndex { result.containers += byIndex }
        if !hasID { result.containers += byID }
        result.containers += [.index, [.index, .set]]
        result.selector = .type
        result.key = .id
    }

    // Step 4.9.
    private func preferForOne(_ value: Value?, hasIndex: Bool, _ result: inout Preference) {
        if let object = value?.object, tree.has(.value, object) {
            let language = tree[object, .language]?.string
            if let direction = tree[object, .direction]?.string, !hasIndex {
                result.key = languageKey(language, direction)
                result.containers += [.language, [.language, .set]]
            } else if let language, !hasIndex {
                result.key = languageKey(language, nil)
                result.containers += [.language, [.language, .set]]
            } else if let type = tree[object, .type]?.string {
                result.selector = .type
                result.key = type
            }
        } else {
            result.selector = .type
            result.key = .id
            result.containers += [.id, [.id, .set], .type, [.set, .type]]
        }
        result.containers.append(.set)
    }
}
