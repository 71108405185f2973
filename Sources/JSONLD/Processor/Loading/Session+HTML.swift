// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// JSON-LD inside HTML (JSON-LD API, section 6.3 of the 1.1 syntax and section 9.4.2 step 3): which
// scripts count, and what their base is. Finding the scripts is the reader's business.

extension Session {
    func readHTML(
        _ document: RemoteDocument, fragment: String?, isContext: Bool
    ) throws(JSONLDError) -> LoadedDocument {
        guard let htmlReader else {
            throw error(.loadingDocumentFailed, "HTML, and nothing to find its scripts with")
        }
        let html = htmlReader.read(document.body)
        var result = LoadedDocument(value: .null, documentIRI: document.documentIRI)
        // The base element changes the base of what is in the document, be that its address or what the caller said.
        if let base = html.base, !base.isEmpty {
            let outer = symbols.intern(options.base ?? document.documentIRI)
            result.baseIRI = symbols.text(resolve(symbols.intern(base), against: outer))
        }
        if let fragment, !fragment.isEmpty {
            // A fragment identifier names one script.
            guard let script = html.scripts.first(where: { $0.id == fragment }) else {
                throw error(.loadingDocumentFailed, "no script with the id \(fragment)")
            }
            guard MediaType(script.type).essence == "application/ld+json" else {
                throw error(.loadingDocumentFailed, "the script with the id \(fragment) is not JSON-LD")
            }
            result.value = try readScript(script)
            return result
        }
        let scripts = html.scripts.filter { MediaType($0.type).essence == "application/ld+json" }
        if extractsAllScripts, !isContext {
            // QUIRK: section 9.4.2 step 3 puts a single script into an array too, in which @graph at its top would become
            // the name of a graph; alone it is a document like any other.
            if scripts.count == 1 {
                result.value = try readScript(scripts[0])
                return result
            }
            let all = tree.makeArray()
            for script in scripts {
                tree.append(contentsOf: tree.asArray(try readScript(script)), to: all)
            }
            result.value = .array(all)
            return result
        }
        let preferred = isContext
            ? scripts.first { MediaType($0.type).profile == "http://www.w3.org/ns/json-ld#context" } : nil
        guard let script = preferred ?? scripts.first else {
            throw error(.loadingDocumentFailed, "no JSON-LD script in the document")
        }
        result.value = try readScript(script)
        return result
    }

    private func readScript(_ script: HTMLDocumentScripts.Script) throws(JSONLDError) -> Value {
        try read(script.text, .invalidScriptElement)
    }
}
