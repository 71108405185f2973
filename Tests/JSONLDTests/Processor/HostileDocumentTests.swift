// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Documents that are made to cost: deep, wide, circular, or growing when they are processed. Each
// ends in bounded time, with its result or with the error of the limit that stopped it.

import Foundation
import JSONLD
import TestSupport
import Testing

/// What an operation answered: nil for a result, else the code of its error.
private func code(_ operation: (JSONLDProcessor) throws -> Void, _ processor: JSONLDProcessor) -> JSONLDError.Code? {
    do {
        try operation(processor)
        return nil
    } catch {
        return (error as? JSONLDError)?.code
    }
}

private func json(_ text: String) -> JSONLDInput { .json(Array(text.utf8)) }

/// A document, all operations on it, and the errors they may end with.
struct HostileDocument: CustomTestStringConvertible {
    let name: String
    let text: String
    var allowed: Set<JSONLDError.Code> = []
    var testDescription: String { name }

    static let vocabulary = "\"@context\":{\"@vocab\":\"http://v.example/\"}"

    static func repeated(_ text: String, _ count: Int, separator: String = ",") -> String {
        Array(repeating: text, count: count).joined(separator: separator)
    }

    static func numbered(_ count: Int, _ text: (Int) -> String) -> String {
        (0..<count).map(text).joined(separator: ",")
    }

    static let all: [HostileDocument] = [
        HostileDocument(
            name: "arrays too deep", text: repeated("[", 5_000, separator: "") + repeated("]", 5_000, separator: ""),
            allowed: [.limitExceeded]),
        HostileDocument(
            name: "objects just deep enough",
            text: "{\(vocabulary),\"a\":" + repeated("{\"a\":", 100, separator: "") + "1"
                + repeated("}", 101, separator: "")),
        HostileDocument(
            name: "lists in lists",
            text: "{\(vocabulary),\"a\":" + repeated("{\"@list\":[", 100, separator: "") + "1"
                + repeated("]}", 100, separator: "") + "}"),
        HostileDocument(
            name: "nests in nests",
            text: "{\(vocabulary),\"@nest\":" + repeated("{\"@nest\":", 100, separator: "") + "{\"a\":1}"
                + repeated("}", 101, separator: "")),
        HostileDocument(
            name: "many nests", text: "{\(vocabulary),\"@nest\":[\(numbered(3_000) { "{\"a\":\($0)}" })]}"),
        HostileDocument(
            name: "one property, equal values", text: "{\(vocabulary),\"a\":[\(repeated("{\"@value\":\"v\"}", 5_000))]}"),
        HostileDocument(
            name: "one property, different values", text: "{\(vocabulary),\"a\":[\(numbered(5_000) { "\($0)" })]}"),
        HostileDocument(
            name: "one property, JSON literals",
            text: "{\(vocabulary),\"a\":[\(numbered(3_000) { "{\"@type\":\"@json\",\"@value\":[{\"n\":\($0)}]}" })]}"),
        HostileDocument(
            name: "many members", text: "{\(vocabulary),\(numbered(5_000) { "\"p\($0)\":\($0)" })}"),
        HostileDocument(
            name: "many nodes in one chain",
            text: "{\(vocabulary),\"@graph\":["
                + numbered(2_000) { "{\"@id\":\"x:\($0)\",\"n\":{\"@id\":\"x:\($0 + 1)\"}}" } + "]}",
            allowed: [.limitExceeded]),
        HostileDocument(
            name: "two ways to each of many nodes",
            text: "{\(vocabulary),\"@graph\":["
                + numbered(40) { index in
                    let next = "{\"@id\":\"x:\(index + 1)\"}"
                    return "{\"@id\":\"x:\(index)\",\"m\":\(next),\"n\":[\(next),{\"@set\":[\(next)]}]}"
                } + "]}",
            allowed: [.limitExceeded]),
        HostileDocument(
            name: "array of empty contexts", text: "{\"@context\":[\(repeated("{}", 5_000))],\"http://x.example/\":1}"),
        HostileDocument(
            name: "array of nulls", text: "{\"@context\":[\(repeated("null", 5_000))],\"http://x.example/\":1}"),
        HostileDocument(
            name: "array of one large context",
            text: "{\"@context\":[{\"x\":\"http://x.example/\"},\(repeated("\"https://schema.org\"", 200))],\"name\":1}",
            allowed: [.contextOverflow]),
        HostileDocument(
            name: "terms that need each other",
            text: "{\"@context\":{\(numbered(5_000) { "\"a\($0)\":\"a\($0 + 1):x\"" })},\"a0\":1}",
            allowed: [.contextOverflow]),
        HostileDocument(
            name: "terms in a circle", text: "{\"@context\":{\"a\":\"b:x\",\"b\":\"c:x\",\"c\":\"a:x\"},\"a\":1}",
            allowed: [.cyclicIRIMapping]),
        HostileDocument(
            name: "many aliases of @type",
            text: "{\"@context\":{\"@vocab\":\"http://v.example/\",\(numbered(1_000) { "\"t\($0)\":\"@type\"" })},"
                + "\(numbered(1_000) { "\"t\($0)\":\"T\($0)\"" })}"),
        HostileDocument(
            name: "scoped contexts inside each other",
            text: "{\"@context\":{\"@vocab\":\"http://v.example/\","
                + repeated("\"T\":{\"@context\":{", 60, separator: "") + "\"x\":\"http://x.example/\""
                + repeated("}}", 60, separator: "") + "},\"@type\":[\(repeated("\"T\"", 300))],\"x\":1}"),
        HostileDocument(
            name: "context at every node, deep and wide",
            text: "{\(vocabulary),\"a\":"
                + repeated("{\"@context\":{\"q\":\"http://q.example/\"},\"a\":", 30, separator: "")
                + "[\(repeated("{\"@context\":{\"r\":\"http://r.example/\"},\"r\":1}", 500))]"
                + repeated("}", 31, separator: ""),
            allowed: [.limitExceeded]),
        HostileDocument(
            name: "a long vocabulary and many terms",
            text: "{\"@context\":{\"@vocab\":\"http://v.example/\(repeated("v", 20_000, separator: ""))\"},"
                + "\(numbered(2_000) { "\"p\($0)\":1" })}",
            allowed: [.limitExceeded]),
        HostileDocument(
            name: "a long IRI said often",
            text: "{\"@context\":{\"a\":\"http://v.example/\(repeated("v", 20_000, separator: ""))\"},"
                + "\"@graph\":[\(repeated("{\"a\":1}", 2_000))]}",
            allowed: [.limitExceeded]),
        HostileDocument(
            name: "property-scoped context that nullifies",
            text: "{\"@context\":{\"@protected\":true,\"a\":{\"@id\":\"http://x.example/a\",\"@context\":null}},\"a\":"
                + "[\(repeated("{\"@context\":{\"b\":\"http://x.example/b\"},\"b\":1}", 500))]}"),
    ]
}

/// Small limits, so that reaching them is fast.
private var strictOptions: JSONLDOptions {
    var options = JSONLDOptions()
    options.limits.depth = 256
    options.limits.termDefinitions = 20_000
    options.limits.cells = 400_000
    options.limits.textSize = 2 << 20
    options.limits.outputSize = 8 << 20
    return options
}

@Test(arguments: HostileDocument.all) func hostileDocumentIsBounded(document: HostileDocument) {
    var options = strictOptions
    options.embed = .always
    let processor = JSONLDProcessor(options: options)
    let input = json(document.text)
    let context = Array("{\"@vocab\":\"http://v.example/\"}".utf8)
    let operations: [(String, (JSONLDProcessor) throws -> Void)] = [
        ("expand", { _ = try $0.expand(input).json() }),
        ("compact", { _ = try $0.compact(input, context: context).json() }),
        ("flatten", { _ = try $0.flatten(input, context: context).json() }),
        ("frame", { _ = try $0.frame(input, frame: .json(context)).json() }),
        ("toRDF", { _ = try $0.toRDF(input).nquads() }),
        ("fromRDF", { _ = try $0.fromRDF($0.toRDF(input).quads).json() }),
    ]
    let clock = ContinuousClock()
    for (name, operation) in operations {
        var answer: JSONLDError.Code?
        let time = clock.measure { answer = code(operation, processor) }
        if let answer { #expect(document.allowed.contains(answer), "\(document.name), \(name): \(answer)") }
        // Far more than any needs in a debug build on a busy machine, far less than quadratic time would take.
        #expect(time < .seconds(30), "\(document.name), \(name): \(time)")
    }
}

// MARK: contexts from a loader

@Test func contextThatIncludesItself() {
    let context = Array("{\"@context\":[\"https://c.example/a\",{\"x\":\"http://x.example/\"}]}".utf8)
    let iri = "https://c.example/a"
    let processor = JSONLDProcessor(
        loader: DocumentCollection([iri: RemoteDocument(documentIRI: iri, body: context)]))
    #expect(code({ _ = try $0.expand(json("{\"@context\":\"\(iri)\",\"x\":1}")) }, processor) == .contextOverflow)
}

@Test func importInACircle() {
    func document(_ name: String, _ other: String) -> (String, RemoteDocument) {
        let iri = "https://c.example/\(name)"
        let text = "{\"@context\":{\"@version\":1.1,\"@import\":\"https://c.example/\(other)\"}}"
        return (iri, RemoteDocument(documentIRI: iri, body: Array(text.utf8)))
    }
    let loader = DocumentCollection(Dictionary(uniqueKeysWithValues: [document("a", "b"), document("b", "a")]))
    let processor = JSONLDProcessor(loader: loader)
    let text = "{\"@context\":{\"@import\":\"https://c.example/a\"},\"x\":1}"
    #expect(code({ _ = try $0.expand(json(text)) }, processor) == .invalidContextEntry)
}

// MARK: stack

/// The deepest documents that the limit lets pass fit the stack of a thread that isn't the main one.
@Test func deepestDocumentsFitTheStack() async {
    let half = JSONLDLimits().depth / 2 - 2
    let texts = [
        "{\(HostileDocument.vocabulary),\"a\":" + HostileDocument.repeated("[{\"a\":", half, separator: "") + "1"
            + HostileDocument.repeated("}]", half, separator: "") + "}",
        HostileDocument.repeated("{\"@context\":{\"@vocab\":\"http://v.example/\"},\"a\":", half, separator: "") + "1"
            + HostileDocument.repeated("}", half, separator: ""),
        "{\"@context\":"
            + HostileDocument.repeated("{\"@vocab\":\"http://v.example/\",\"a\":{\"@context\":", half / 2, separator: "")
            + "{}" + HostileDocument.repeated("}}", half / 2, separator: "") + ",\"a\":1}",
    ]
    let succeeded = await withCheckedContinuation { continuation in
        let thread = Thread {
            let processor = JSONLDProcessor()
            let context = Array("{\"@vocab\":\"http://v.example/\"}".utf8)
            let results = texts.map { text in
                code({ _ = try $0.flatten(json(text), context: context) }, processor) == nil
                    && code({ _ = try $0.frame(json(text), frame: .json(context)) }, processor) != .invalidFrame
                    && code({ _ = try $0.toRDF(json(text)) }, processor) == nil
            }
            continuation.resume(returning: results)
        }
        thread.stackSize = 8 << 20
        thread.start()
    }
    #expect(succeeded == [true, true, true])
}

// MARK: change at random

/// Cuts, doubles and swaps pieces of real documents: nothing may end but in a result or a named error.
@Test(.conformance("json-ld-api")) func changedDocumentsEndInAnAnswer() throws {
    var random = SplitMix64(state: 7)
    let sources = try ["expand", "toRdf", "flatten"].flatMap { folder in
        try Conformance.files("json-ld-api", "tests/\(folder)", extensions: ["jsonld"]).filter { $0.contains("-in") }
            .map { try Conformance.bytes("json-ld-api", "tests/\(folder)/\($0)") }
    }
    let words = [
        "@context", "@id", "@type", "@list", "@set", "@graph", "@nest", "@included", "@reverse", "@value", "@json",
        "@index", "@none", "null", "[]", "{}", "\"\"", "1e999", "\"_:b0\"", "\"@vocab\":\"\"",
    ].map { Array($0.utf8) }
    let processor = JSONLDProcessor(options: strictOptions)
    let context = Array("{\"@vocab\":\"http://example.org/\",\"name\":{\"@container\":\"@language\"}}".utf8)
    var answers: [String: Int] = [:]
    for _ in 0..<400 {
        var text = sources[random.below(sources.count)]
        for _ in 0..<(1 + random.below(4)) { change(&text, words, sources, &random) }
        let input = JSONLDInput.json(text)
        let operations: [(JSONLDProcessor) throws -> Void] = [
            { _ = try $0.compact(input, context: context).json() }, { _ = try $0.flatten(input).json() },
            { _ = try $0.frame(input, frame: .json(context)).json() },
            { _ = try $0.fromRDF(NQuads.read($0.toRDF(input).nquads())).json() },
        ]
        for operation in operations {
            let answer = code(operation, processor)?.rawValue ?? "a result"
            answers[answer, default: 0] += 1
        }
    }
    // The changes are such that both happen.
    #expect(answers["a result", default: 0] > 50)
    #expect(answers.count > 5)
}

private func change(_ text: inout [UInt8], _ words: [[UInt8]], _ sources: [[UInt8]], _ random: inout SplitMix64) {
    guard text.count > 2 else { return }
    let place = random.below(text.count)
    // Between quotation marks and brackets, so that most results are JSON still.
    let strings = text.indices.filter { text[$0] == UInt8(ascii: "\"") }
    switch random.below(4) {
    case 0 where strings.count > 4:
        let first = random.below(strings.count / 2 - 1) * 2
        text.replaceSubrange((strings[first] + 1)..<strings[first + 1], with: words[random.below(12)])
    case 1 where strings.count > 4:
        let first = random.below(strings.count / 2 - 1) * 2
        text.replaceSubrange(strings[first]...strings[first + 1], with: words[12 + random.below(words.count - 12)])
    case 2: text.insert(contentsOf: words[random.below(words.count)], at: place)
    default: text.remove(at: place)
    }
}

extension SplitMix64 {
    fileprivate mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(max(bound, 1))) }
}

// MARK: threads

@Test func oneLibraryServesManyThreads() async throws {
    let processor = JSONLDProcessor()
    let text = "{\"@context\":\"https://schema.org\",\"@type\":\"Order\",\"merchant\":{\"name\":\"M\"}}"
    let expected = try processor.compact(json(text), context: Array("\"https://schema.org\"".utf8)).json()
    try await withThrowingTaskGroup(of: [UInt8].self) { group in
        for _ in 0..<50 {
            group.addTask { try processor.compact(json(text), context: Array("\"https://schema.org\"".utf8)).json() }
        }
        for try await result in group { #expect(result == expected) }
    }
}
