// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Inverse context and term selection (JSON-LD API, sections 4.3 and 4.4). The inverse context is
// made one IRI at a time: of thousands of terms a document uses a few.

/// What section 4.3 puts under one IRI: terms by container, and by type or language.
struct InverseEntry {
    struct Choice {
        var container: ContainerMapping
        var languages = SymbolMap()
        var types = SymbolMap()
        /// The term under `@any`.
        var any: Symbol
    }

    /// Which of the maps of a container is looked at.
    enum Selector {
        case language, type, any
    }

    var choices: [Choice] = []
}

extension Session {
    // Section 4.4.2.
    /// The term that fits best, if any.
    func selectTerm(
        _ iri: Symbol, _ active: ActiveContext, containers: [ContainerMapping], _ selector: InverseEntry.Selector,
        preferred: [Symbol]
    ) -> Symbol? {
        let entry = inverseEntry(iri, active)
        for container in containers {
            guard let choice = entry.choices.first(where: { $0.container == container }) else { continue }
            for value in preferred {
                switch selector {
                case .any: if value == Symbol.none { return choice.any }
                case .language: if let term = choice.languages[value] { return Symbol(index: UInt32(term)) }
                case .type: if let term = choice.types[value] { return Symbol(index: UInt32(term)) }
                }
            }
        }
        return nil
    }

    private func inverseEntry(_ iri: Symbol, _ active: ActiveContext) -> InverseEntry {
        if let known = active.inverse[iri] { return known }
        // Section 4.3.2, step 3: shorter terms come first, then those of lower order.
        let terms = active.terms.terms(for: iri).sorted { isShorterOrBefore($0, $1) }
        var entry = InverseEntry()
        for term in terms {
            guard let definition = active.terms[term] else { continue }
            var index = entry.choices.firstIndex { $0.container == definition.container } ?? -1
            if index < 0 {
                index = entry.choices.count
                entry.choices.append(InverseEntry.Choice(container: definition.container, any: term))
            }
            add(term, definition, active, to: &entry.choices[index])
        }
        active.inverse[iri] = entry
        return entry
    }

    func isShorterOrBefore(_ first: Symbol, _ second: Symbol) -> Bool {
        let left = symbols.bytes(first)
        let right = symbols.bytes(second)
        return left.count != right.count ? left.count < right.count : isOrderedBefore(left, right)
    }

    // Steps 3.10 to 3.17.
    private func add(
        _ term: Symbol, _ definition: TermDefinition, _ active: ActiveContext, to choice: inout InverseEntry.Choice
    ) {
        let number = Int32(bitPattern: term.index)
        func offer(_ key: Symbol, _ map: inout SymbolMap) {
            if map[key] == nil { map.set(key, number) }
        }
        if definition.isReverse {
            offer(.reverse, &choice.types)
        } else if definition.type == Symbol.none {
            offer(.any, &choice.languages)
            offer(.any, &choice.types)
        } else if let type = definition.type {
            offer(type, &choice.types)
        } else if definition.language != .absent || definition.direction != .absent {
            offer(languageKey(definition), &choice.languages)
        } else {
            // Steps 3.16 and 3.17 differ in the first key only.
            offer(defaultLanguageKey(active), &choice.languages)
            offer(.none, &choice.languages)
            offer(.none, &choice.types)
        }
    }

    // Steps 3.13 to 3.15.
    private func languageKey(_ definition: TermDefinition) -> Symbol {
        switch (definition.language, definition.direction) {
        case (.some(let language), .some(let direction)): languageKey(language, direction)
        case (.some(let language), _): languageKey(language, nil)
        case (_, .some(let direction)): languageKey(nil, direction)
        case (.absent, _): .none
        default: .null
        }
    }

    // Sections 4.3.2 step 2 and 6.2.2 step 4.1.
    func defaultLanguageKey(_ active: ActiveContext) -> Symbol {
        if active.language == nil, active.direction == nil { return .none }
        return languageKey(active.language, active.direction)
    }

    /// Language and direction as one string: `en_ltr`, `en` or `_ltr`, in lower case.
    func languageKey(_ language: Symbol?, _ direction: Symbol?) -> Symbol {
        var key: [UInt8] = []
        if let language { key.append(contentsOf: symbols.bytes(language)) }
        if let direction {
            key.append(UInt8(ascii: "_"))
            key.append(contentsOf: symbols.bytes(direction))
        }
        return intern(lowercased(key))
    }

    /// A language tag in lower case, as which all are kept (the notes of sections 4.1.2 step 5.9, 4.2.2 step 22 and 5.1.2
    /// steps 13.4.8 and 13.7 allow it): tags that differ in case only are the same (BCP 47 section 2.1.1).
    func languageTag(_ tag: Symbol) -> Symbol {
        let isLower = symbols.bytes(tag).allSatisfy { $0 &- UInt8(ascii: "A") >= 26 }
        return isLower ? tag : intern(lowercased(Array(symbols.bytes(tag))))
    }

    /// ASCII letters in lower case; language tags have no others.
    func lowercased(_ bytes: [UInt8]) -> [UInt8] {
        bytes.map { $0 &- UInt8(ascii: "A") < 26 ? $0 | 0x20 : $0 }
    }
}
