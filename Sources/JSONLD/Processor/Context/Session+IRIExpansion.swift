// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// IRI expansion (JSON-LD API, section 5.2).

extension Session {
    // Section 5.2.2.
    /// What a string stands for: a keyword, an IRI, a blank node identifier, or itself. Nil for nothing at all.
    func expandIRI(
        _ value: Symbol, _ active: ActiveContext, documentRelative: Bool = false, vocab: Bool = true
    ) throws(JSONLDError) -> Symbol? {
        // Steps 1 and 2.
        if value.isKeyword { return value }
        if symbols.traits(value).contains(.keywordForm) { return nil }
        // Steps 4 and 5.
        if let definition = active.layers[value] {
            if let iri = definition.iri, iri.isKeyword { return iri }
            if vocab { return definition.iri }
        }
        // Without a vocabulary, the two kinds of vocabulary-relative strings differ; that is rare, and not remembered.
        let isRemembered = !vocab || active.vocab != nil
        if isRemembered, let known = vocab ? active.expandedVocabulary[value] : active.expandedDocument[value] {
            return Symbol(index: UInt32(bitPattern: known))
        }
        let result = expandReference(value, active, documentRelative: documentRelative, vocab: vocab)
        try checkTextSize()
        guard isRemembered, result != value else { return result }
        if vocab {
            active.expandedVocabulary.set(value, Int32(bitPattern: result.index))
        } else if documentRelative {
            active.expandedDocument.set(value, Int32(bitPattern: result.index))
        }
        return result
    }

    // Section 5.2.2 in context processing, where definitions are made as they are needed.
    func expandIRI(
        _ value: Symbol, _ active: ActiveContext, vocab: Bool = true, creating run: DefinitionRun
    ) throws(JSONLDError) -> Symbol? {
        if value.isKeyword { return value }
        if symbols.traits(value).contains(.keywordForm) { return nil }
        // Step 3.
        if tree.has(value, run.context), run.defined[value] != .done {
            try createTermDefinition(value, active, run)
        }
        if let definition = active.layers[value] {
            if let iri = definition.iri, iri.isKeyword { return iri }
            if vocab { return definition.iri }
        }
        // Step 6.3.
        if let prefix = prefix(of: value), tree.has(prefix, run.context), run.defined[prefix] != .done {
            try createTermDefinition(prefix, active, run)
        }
        return expandReference(value, active, documentRelative: false, vocab: vocab)
    }

    /// The part before the first colon, if there is a string like that at all, and what follows isn't an authority.
    private func prefix(of value: Symbol) -> Symbol? {
        guard symbols.traits(value).contains(.colon) else { return nil }
        let bytes = symbols.bytes(value)
        guard let colon = bytes[1...].firstIndex(of: UInt8(ascii: ":")) else { return nil }
        if bytes[(colon + 1)...].starts(with: "//".utf8) { return nil }
        return symbols.find(UnsafeBufferPointer(rebasing: bytes[..<colon]))
    }

    // Steps 6 to 9.
    /// What a string stands for that is neither keyword nor term. Remembers nothing.
    func expandReference(
        _ value: Symbol, _ active: ActiveContext, documentRelative: Bool, vocab: Bool
    ) -> Symbol {
        let traits = symbols.traits(value)
        let bytes = symbols.bytes(value)
        if traits.contains(.colon) {
            if traits.contains(.blankNode) { return value }
            if let colon = bytes[1...].firstIndex(of: UInt8(ascii: ":")) {
                let suffix = UnsafeBufferPointer(rebasing: bytes[(colon + 1)...])
                if suffix.starts(with: "//".utf8) { return value }
                if let prefix = symbols.find(UnsafeBufferPointer(rebasing: bytes[..<colon])),
                    let definition = active.layers[prefix], let iri = definition.iri, definition.isPrefix
                {
                    return symbols.concatenate(symbols.bytes(iri), suffix)
                }
                if IRIReference.schemeEnd(bytes) != nil { return value }
            }
        }
        if vocab, let vocabulary = active.vocab {
            return symbols.concatenate(symbols.bytes(vocabulary), bytes)
        }
        if documentRelative, let base = active.base {
            return resolve(value, against: base)
        }
        return value
    }

    /// A reference, resolved against a base.
    func resolve(_ reference: Symbol, against base: Symbol) -> Symbol {
        intern(IRIReference.resolve(symbols.bytes(reference), against: symbols.bytes(base)))
    }

    func intern(_ bytes: [UInt8]) -> Symbol {
        bytes.withUnsafeBufferPointer { symbols.intern($0) }
    }

    /// A scheme and a colon at the beginning, and no white space: what the algorithms take for an IRI.
    func isIRI(_ value: Symbol) -> Bool {
        let bytes = symbols.bytes(value)
        guard symbols.traits(value).contains(.colon), IRIReference.schemeEnd(bytes) != nil else { return false }
        return !bytes.contains { $0 == 0x20 || (0x09...0x0D).contains($0) }
    }

    func isBlankNode(_ value: Symbol) -> Bool {
        symbols.traits(value).contains(.blankNode)
    }
}
