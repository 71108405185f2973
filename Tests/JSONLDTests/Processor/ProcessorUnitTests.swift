// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Pieces of the processor that the suites don't look at closely: where errors point, numbers in
// RDF, media types, Link fields, strings as numbers, layers of terms.

import Testing

@testable import JSONLD

private func error(_ text: String, _ options: JSONLDOptions = JSONLDOptions()) -> JSONLDError? {
    do {
        _ = try JSONLDProcessor(options: options).expand(.json(Array(text.utf8)))
        return nil
    } catch {
        return error
    }
}

// MARK: errors

@Test(arguments: [
    (#"{"@context":{"@vocab":"http://v/"},"a":[1,{"b":{"@id":5}}]}"#, "invalid @id value", "/a/1/b/@id"),
    (#"{"@context":{"t":{"@id":7}},"t":1}"#, "invalid IRI mapping", "/@context/t"),
    (#"{"@context":[{},{"a/b":{"@container":"x"}}]}"#, "invalid IRI mapping", "/@context/1/a~1b"),
    (#"{"http://v/~":{"@value":{}}}"#, "invalid value object value", "/http:~1~1v~1~0/@value"),
    (#"[{"@type":1}]"#, "invalid type value", "/0/@type"),
    (#"{"@id":"#, "loading document failed", ""),
])
func errorPointsToItsPlace(text: String, code: String, pointer: String) {
    let found = error(text)
    #expect(found?.code.rawValue == code)
    #expect(found?.pointer == pointer)
}

@Test func errorCodesAreTheSpecificationsOwn() {
    let codes = JSONLDError.Code.allCases.map(\.rawValue)
    #expect(Set(codes).count == codes.count)
    #expect(codes.allSatisfy { !$0.isEmpty && $0.utf8.allSatisfy { $0 < 0x80 } })
}

// MARK: numbers

// JSON-LD API section 8.6: the results of JavaScript's toFixed(0) and toExponential(15).
@Test(arguments: [
    ("1", "1"), ("-0", "0"), ("5.0", "5"), ("1e3", "1000"), ("1E20", "100000000000000000000"), ("1e21", "1.0E21"),
    ("123456789012345678901", "123456789012345678901"), ("1234567890123456789012", "1.234567890123457E21"),
    ("5.3", "5.3E0"), ("0.1", "1.0E-1"), ("-1.25e-7", "-1.25E-7"), ("9.2", "9.199999999999999E0"), ("0.0", "0"),
])
func numberInRDF(text: String, expected: String) {
    #expect(Array(text.utf8).withUnsafeBufferPointer { NumberForms.canonical($0, asDouble: false) }.form == expected)
}

@Test(arguments: [("0", "0.0E0"), ("10", "1.0E1"), ("-0.0", "-0.0E0"), ("5", "5.0E0")])
func doubleInRDF(text: String, expected: String) {
    #expect(Array(text.utf8).withUnsafeBufferPointer { NumberForms.canonical($0, asDouble: true) }.form == expected)
}

// MARK: transport

@Test func mediaTypes() {
    let type = MediaType("Application/LD+JSON ; Profile=\"http://www.w3.org/ns/json-ld#context\"; charset=utf-8")
    #expect(type.essence == "application/ld+json")
    #expect(type.profile == "http://www.w3.org/ns/json-ld#context")
    #expect(type.isJSON)
    #expect(MediaType("application/vnd.x+json").isJSON)
    #expect(!MediaType("text/plain").isJSON)
    #expect(MediaType("text/html;charset=x").isHTML)
    #expect(MediaType("").essence.isEmpty)
}

@Test func linkFields() {
    let links = LinkField.parse(
        "<a.jsonld>; rel=\"alternate other\"; type=\"application/ld+json\", <b>;rel=x;title=\"a, b; c\" , <c>, <d")
    #expect(links.map(\.target) == ["a.jsonld", "b", "c"])
    #expect(links[0].has(relation: "other"))
    #expect(links[0].type == "application/ld+json")
    #expect(links[1].relations == ["x"])
    #expect(LinkField.parse("").isEmpty)
    #expect(LinkField.parse("<>;;;=\"").count == 1)
}

// MARK: strings and terms

@Test func symbolsStandForStrings() {
    let base = SymbolTable()
    #expect(base.find("@id") == .id)
    #expect(WellKnownText.allCases.allSatisfy { base.find($0.text) == Symbol($0) })
    let shared = base.intern("shared")
    let table = SymbolTable(base: base)
    #expect(table.intern("shared") == shared)
    // Strings of all lengths around the hash's words, and enough to make the table grow.
    let texts = (0..<3_000).map { String(repeating: "x", count: $0 % 40) + String($0) }
    let symbols = texts.map { table.intern($0) }
    #expect(Set(symbols).count == texts.count)
    #expect(zip(texts, symbols).allSatisfy { table.text($1) == $0 && table.find($0) == $1 })
    // Unlike Swift's own strings, which would take these for the same.
    #expect(table.intern("\u{E9}") != table.intern("e\u{301}"))
    #expect(base.find("x1") == nil)
}

@Test func keywordsHaveTheirForm() {
    let table = SymbolTable()
    #expect(WellKnownText.allCases.filter { Symbol($0).isKeyword }.allSatisfy { $0.text.hasPrefix("@") })
    #expect(table.traits(table.intern("@foo")).contains(.keywordForm))
    #expect(!table.traits(table.intern("@foo1")).contains(.keywordForm))
    #expect(!table.traits(table.intern("@")).contains(.keywordForm))
    #expect(table.traits(table.intern("_:b")).contains(.blankNode))
    #expect(!table.traits(table.intern(":b")).contains(.colon))
}

@Test func layersHideEachOther() {
    let tree = Tree(symbols: SymbolTable())
    var table = TermTable(tree: tree)
    func symbol(_ text: String) -> Symbol { tree.symbols.intern(text) }
    func define(_ term: String, _ iri: String) {
        var definition = TermDefinition()
        definition.iri = symbol(iri)
        table.set(symbol(term), definition)
    }
    define("a", "http://x/0")
    // More layers than are kept apart.
    for layer in 1...20 {
        table = table.layered(on: tree).table
        define("a", "http://x/\(layer)")
        define("t\(layer)", "http://x/t")
    }
    #expect(table[symbol("a")]?.iri == symbol("http://x/20"))
    #expect(table[symbol("t1")]?.iri == symbol("http://x/t"))
    #expect(table.terms(for: symbol("http://x/t")).count == 20)
    #expect(table.terms(for: symbol("http://x/0")).isEmpty)
    table = table.layered(on: tree).table
    table.remove(symbol("t1"))
    #expect(table[symbol("t1")] == nil)
    #expect(table.all().count == 20)
}

@Test func largeObjectsKeepOrderAndFindMembers() {
    let tree = Tree(symbols: SymbolTable())
    let object = tree.makeObject()
    let keys = (0..<200).map { tree.symbols.intern("k\($0)") }
    for (index, key) in keys.enumerated() { tree.set(key, .boolean(index.isMultiple(of: 2)), in: object) }
    #expect(tree.members(object).map(\.key) == keys)
    for key in keys where key.index.isMultiple(of: 3) { tree.remove(key, from: object) }
    let left = keys.filter { !$0.index.isMultiple(of: 3) }
    #expect(tree.members(object).map(\.key) == left)
    #expect(keys.allSatisfy { tree.has($0, object) == left.contains($0) })
    tree.set(keys[0], .null, in: object)
    #expect(tree[object, keys[0]] == .null)
}

// MARK: limits and loaded contexts

@Test func documentReadWithWiderLimitsIsStillLimited() throws {
    let text = String(repeating: "[", count: 5_000) + String(repeating: "]", count: 5_000)
    let document = try JSONDocument(Array(text.utf8), limits: JSONLimits(depth: 10_000))
    #expect {
        _ = try JSONLDProcessor().expand(.document(document))
    } throws: { error in
        (error as? JSONLDError)?.code == .limitExceeded
    }
}

@Test func errorInALoadedContextNamesIt() throws {
    let context = Array(#"{"@context":{"t":{"@id":7}}}"#.utf8)
    let iri = "https://c.example/"
    let loader = DocumentCollection([iri: RemoteDocument(documentIRI: iri, body: context)])
    #expect {
        let text = Array(#"[{"@context":[{},"https://c.example/"],"t":1}]"#.utf8)
        _ = try JSONLDProcessor(loader: loader).expand(.json(text))
    } throws: { error in
        guard let error = error as? JSONLDError else { return false }
        return error.code == .invalidIRIMapping && error.pointer == "/0/@context/1"
            && error.detail.hasSuffix("in the context https://c.example/")
    }
}

@Test func libraryOfContexts() throws {
    let terms = #""@vocab":"http://v.example/","n":{"@id":"http://v.example/name","@type":"@id"}"#
    let context = Array("{\"@context\":{\(terms)}}".utf8)
    let library = try ContextLibrary(["https://c.example/v": context])
    let processor = JSONLDProcessor(contexts: library)
    for context in [#""https://c.example/v""#, #"[{"x":"http://x.example/"},"https://c.example/v"]"#] {
        let text = #"{"@context":\#(context),"n":"http://o.example/","m":1}"#
        let result = try processor.expand(.json(Array(text.utf8)))
        let node = try #require(result.root.elements.first)
        #expect(node["http://v.example/name"]?.elements.first?.id == "http://o.example/")
        #expect(node["http://v.example/m"]?.elements.first?["@value"]?.number == "1")
    }
    // Schema.org is known beside it, unless that wasn't wanted.
    let order = JSONLDInput.json(Array(#"{"@context":"http://schema.org","@type":"Order"}"#.utf8))
    #expect(try processor.topTypes(order) == ["http://schema.org/Order"])
    let alone = JSONLDProcessor(contexts: try ContextLibrary(["https://c.example/v": context], includesSchemaOrg: false))
    #expect(throws: JSONLDError.self) { try alone.expand(order) }
    #expect(throws: JSONLDError.self) { try ContextLibrary(["https://c.example/v": Array("{}".utf8)]) }
}
