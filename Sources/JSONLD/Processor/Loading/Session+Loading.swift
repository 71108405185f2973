// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// From an address to a value of the tree: what a loader answered is looked at as JSON-LD API
// section 9.4.2 says: media type, Link fields, scripts of HTML.

/// A document in the tree.
struct LoadedDocument {
    var value: Value
    var documentIRI: String
    /// The base that the document itself gives to what is in it.
    var baseIRI: String?
    /// A context that the transport named for it, for plain JSON.
    var contextIRI: String?
}

extension Session {
    /// Loads a context document.
    func loadContext(_ iri: String) throws(JSONLDError) -> LoadedDocument {
        if let symbol = symbols.find(iri), let known = compiled.document(symbol) {
            // The value is copied: the tree of compiled contexts is not this run's.
            let context = tree.copy(known.context, from: compiled.tree)
            let object = tree.makeObject(.context, context)
            return LoadedDocument(value: .object(object), documentIRI: symbols.text(known.documentIRI))
        }
        return try load(iri, isContext: true)
    }

    /// Loads the document at an address.
    func load(_ iri: String, isContext: Bool = false) throws(JSONLDError) -> LoadedDocument {
        let (address, fragment) = Self.splitFragment(iri)
        return try interpret(try loader.load(address), fragment: fragment, isContext: isContext, isAlternate: false)
    }

    // Section 9.4.2, steps 2 to 6.
    /// - Parameter fragment: Names one script of an HTML document.
    func interpret(
        _ document: RemoteDocument, fragment: String?, isContext: Bool = false, isAlternate: Bool = false
    ) throws(JSONLDError) -> LoadedDocument {
        let type = MediaType(document.contentType ?? "application/ld+json")
        let links = document.links.flatMap { LinkField.parse($0) }
        if !type.isJSON {
            // Step 4: something else, that says where its JSON-LD is.
            let alternate = links.first { $0.has(relation: "alternate") && $0.type == "application/ld+json" }
            if let alternate, !isAlternate {
                let address = resolve(symbols.intern(alternate.target), against: symbols.intern(document.documentIRI))
                let next = try loader.load(symbols.text(address))
                return try interpret(next, fragment: fragment, isContext: isContext, isAlternate: true)
            }
            guard type.isHTML else { throw error(.loadingDocumentFailed, "neither JSON nor HTML: \(type.essence)") }
            return try readHTML(document, fragment: fragment, isContext: isContext)
        }
        var result = LoadedDocument(value: .null, documentIRI: document.documentIRI)
        if type.essence != "application/ld+json", !isContext {
            // Step 5: plain JSON can be given a context by a Link field.
            let contexts = links.filter { $0.has(relation: "http://www.w3.org/ns/json-ld#context") }
            guard contexts.count < 2 else {
                throw error(.multipleContextLinkHeaders, "\(contexts.count) Link fields name a context")
            }
            if let context = contexts.first {
                let address = resolve(symbols.intern(context.target), against: symbols.intern(document.documentIRI))
                result.contextIRI = symbols.text(address)
            }
        }
        result.value = try read(document.body, .loadingDocumentFailed)
        return result
    }

    /// Reads a JSON text into the tree.
    func read(_ bytes: [UInt8], _ code: JSONLDError.Code) throws(JSONLDError) -> Value {
        let document: JSONDocument
        do throws(JSONError) {
            document = try JSONDocument(bytes, limits: JSONLimits(depth: limits.depth))
        } catch {
            if error.code == .tooDeep { throw tooDeep }
            throw self.error(code, "\(error.code.rawValue) at octet \(error.offset)")
        }
        return try read(document)
    }

    /// Takes a document that was read, with whatever limits, into the tree.
    func read(_ document: JSONDocument) throws(JSONLDError) -> Value {
        guard let value = tree.read(document, depth: limits.depth) else { throw tooDeep }
        return value
    }

    private var tooDeep: JSONLDError { error(.limitExceeded, "nested deeper than \(limits.depth)") }

    static func splitFragment(_ iri: String) -> (address: String, fragment: String?) {
        guard let sign = iri.utf8.firstIndex(of: UInt8(ascii: "#")) else { return (iri, nil) }
        return (String(iri[..<sign]), String(iri[iri.utf8.index(after: sign)...]))
    }
}

/// A media type (RFC 9110 section 8.3.1), without regard to the case of its name.
struct MediaType {
    /// Type and subtype in lower case.
    let essence: String
    let profile: String?

    init(_ value: String) {
        let parts = value.split(separator: ";", omittingEmptySubsequences: false).map { Self.trimmed($0) }
        essence = (parts.first ?? "").lowercased()
        let profiles = parts.dropFirst().compactMap { parameter -> String? in
            guard let equals = parameter.firstIndex(of: "=") else { return nil }
            guard Self.trimmed(parameter[..<equals]).lowercased() == "profile" else { return nil }
            let value = Self.trimmed(parameter[parameter.index(after: equals)...])
            return value.hasPrefix("\"") && value.hasSuffix("\"") && value.utf8.count > 1
                ? String(value.dropFirst().dropLast()) : value
        }
        profile = profiles.first
    }

    var isJSON: Bool { essence == "application/json" || essence.hasSuffix("+json") }
    var isHTML: Bool { essence == "text/html" || essence == "application/xhtml+xml" }

    fileprivate static func trimmed(_ text: Substring) -> String {
        String(text.drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
    }
}

/// One link of a Link field (RFC 8288 section 3).
struct LinkField {
    let target: String
    let relations: [String]
    let type: String?

    func has(relation: String) -> Bool { relations.contains(relation) }

    /// The links of a field's value. Octets are looked at once each.
    static func parse(_ value: String) -> [LinkField] {
        var links: [LinkField] = []
        var rest = Substring(value)
        while let open = rest.firstIndex(of: "<") {
            rest = rest[rest.index(after: open)...]
            guard let close = rest.firstIndex(of: ">") else { break }
            let target = String(rest[..<close])
            rest = rest[rest.index(after: close)...]
            var parameters: [String: String] = [:]
            while let name = nextParameter(&rest) {
                if parameters[name.name] == nil { parameters[name.name] = name.value }
            }
            let relations = (parameters["rel"] ?? "").split(separator: " ").map(String.init)
            links.append(LinkField(target: target, relations: relations, type: parameters["type"]))
        }
        return links
    }

    /// `; name=value` or `; name="value"`; nil at a comma or at the end.
    private static func nextParameter(_ rest: inout Substring) -> (name: String, value: String)? {
        rest = rest.drop { $0.isWhitespace }
        guard rest.first == ";" else { return nil }
        rest = rest.dropFirst().drop { $0.isWhitespace }
        let name = rest.prefix { !"=;,".contains($0) && !$0.isWhitespace }
        rest = rest[name.endIndex...].drop { $0.isWhitespace }
        guard rest.first == "=" else { return (name.lowercased(), "") }
        rest = rest.dropFirst().drop { $0.isWhitespace }
        if rest.first == "\"" {
            rest = rest.dropFirst()
            let value = rest.prefix { $0 != "\"" }
            rest = rest[value.endIndex...].dropFirst()
            return (name.lowercased(), String(value))
        }
        let value = rest.prefix { !";,".contains($0) && !$0.isWhitespace }
        rest = rest[value.endIndex...]
        return (name.lowercased(), String(value))
    }
}
