// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Runs a manifest of the W3C JSON-LD suites: one case after the other in one test, with counts,
// and every case that was left out named with its reason.

import Foundation
import JSONLD
import TestSupport
import Testing

/// A manifest and the folder it is about.
struct SuiteManifest {
    let suite: String
    let base: String
    let cases: [SuiteCase]

    init(_ suite: String, _ file: String) throws {
        self.suite = suite
        let document = try JSONDocument(try Conformance.bytes(suite, "tests/\(file)"))
        base = document.root["baseIri"]?.string ?? ""
        cases = (document.root["sequence"]?.elements ?? []).map { SuiteCase($0) }
    }

    func bytes(_ path: String) throws -> [UInt8] {
        try Conformance.bytes(suite, "tests/\(path)")
    }

    /// Runs all cases that `reason` gives no reason to leave out, and prints counts.
    /// - Returns: How many ran.
    @discardableResult
    func run(
        _ name: String, leftOut reason: (SuiteCase) -> String? = { _ in nil }, _ body: (SuiteCase) throws -> String?
    ) -> Int {
        var passed = 0
        var failures: [String] = []
        var leftOut: [String: Int] = [:]
        for test in cases {
            if let reason = test.isForVersion1_0 ? "for processors of version 1.0 only" : reason(test) {
                leftOut[reason, default: 0] += 1
                continue
            }
            do {
                if let problem = try body(test) {
                    failures.append("\(test.id) \(test.name): \(problem)")
                } else {
                    passed += 1
                }
            } catch {
                failures.append("\(test.id) \(test.name): \(error)")
            }
        }
        let ran = passed + failures.count
        print("json-ld \(name): ran \(ran), passed \(passed), failed \(failures.count), left out \(cases.count - ran) \(leftOut)")
        for failure in failures { print("  \(failure)") }
        #expect(failures.isEmpty, "\(name): \(failures.map { $0.prefix(90) })")
        return ran
    }

    /// What the loader of a case answers with.
    func loader(_ test: SuiteCase) -> SuiteLoader {
        SuiteLoader(manifest: self, test: test)
    }

    /// The options that a case asks for.
    func options(_ test: SuiteCase) throws -> JSONLDOptions {
        var options = JSONLDOptions()
        let option = test.options
        options.base = option["base"]?.string
        if let mode = option["processingMode"]?.string.flatMap(JSONLDOptions.ProcessingMode.init(rawValue:)) {
            options.processingMode = mode
        }
        if let path = option["expandContext"]?.string { options.expandContext = try bytes(path) }
        if let value = option["compactArrays"]?.boolean { options.compactsArrays = value }
        if let value = option["compactToRelative"]?.boolean { options.compactsToRelative = value }
        if let value = option["extractAllScripts"]?.boolean { options.extractsAllScripts = value }
        if let value = option["produceGeneralizedRdf"]?.boolean { options.producesGeneralizedRDF = value }
        if let value = option["useNativeTypes"]?.boolean { options.usesNativeTypes = value }
        if let value = option["useRdfType"]?.boolean { options.usesRDFType = value }
        if let value = option["omitGraph"]?.boolean { options.omitsGraph = value }
        if let value = option["ordered"]?.boolean { options.isOrdered = value }
        options.rdfDirection = option["rdfDirection"]?.string.flatMap(JSONLDOptions.RDFDirection.init(rawValue:))
        return options
    }
}

/// One entry of a manifest.
struct SuiteCase {
    let entry: JSONValue
    let id: String
    let name: String
    let types: [String]
    let options: JSONValue

    init(_ entry: JSONValue) {
        self.entry = entry
        id = entry["@id"]?.string ?? ""
        name = entry["name"]?.string ?? ""
        types = entry["@type"]?.elements.compactMap(\.string) ?? []
        options = entry["option"] ?? entry
    }

    var isForVersion1_0: Bool { options["specVersion"]?.string == "json-ld-1.0" }
    var isNegative: Bool { types.contains("jld:NegativeEvaluationTest") }
    var isSyntaxOnly: Bool { types.contains("jld:PositiveSyntaxTest") }
    var input: String { entry["input"]?.string ?? "" }
    var context: String? { entry["context"]?.string }
    var frame: String? { entry["frame"]?.string }
    var expect: String { entry["expect"]?.string ?? "" }
    var expectedError: String { entry["expectErrorCode"]?.string ?? "" }
}

extension JSONValue {
    var boolean: Bool? {
        switch kind {
        case .true: true
        case .false: false
        default: nil
        }
    }
}

/// Serves the files of a suite under its base, as a web server would that knows the options of the case.
struct SuiteLoader: DocumentLoader {
    let manifest: SuiteManifest
    let test: SuiteCase

    func load(_ iri: String) throws(JSONLDError) -> RemoteDocument {
        guard iri.hasPrefix(manifest.base) else {
            throw JSONLDError(.loadingDocumentFailed, "nothing is known of \(iri)")
        }
        var path = String(iri.dropFirst(manifest.base.count))
        let isInput = path == test.input
        if isInput, let target = test.options["redirectTo"]?.string { path = target }
        guard let body = try? manifest.bytes(path) else {
            throw JSONLDError(.loadingDocumentFailed, "no file for \(iri)")
        }
        var links: [String] = []
        if isInput, let link = test.options["httpLink"] {
            links = link.kind == .string ? [link.string ?? ""] : link.elements.compactMap(\.string)
        }
        let type = isInput ? test.options["contentType"]?.string : nil
        return RemoteDocument(
            documentIRI: manifest.base + path, contentType: type ?? Self.type(of: path), links: links, body: body)
    }

    static func type(of path: String) -> String {
        switch (path as NSString).pathExtension {
        case "json": "application/json"
        case "html": "text/html"
        case "jldt", "jldte": "application/jldTest+json"
        default: "application/ld+json"
        }
    }
}

/// JSON that is equal when a suite says so: members in any order, elements in any order but in lists.
enum LooseJSON {
    static func normal(_ bytes: [UInt8]) throws -> String {
        normal(try JSONDocument(bytes).root, isOrdered: false)
    }

    static func normal(_ value: JSONValue, isOrdered: Bool) -> String {
        switch value.kind {
        case .object:
            let members = value.members.map { member in
                "\(member.name.debugDescription):\(normal(member.value, isOrdered: member.name == "@list"))"
            }
            return "{\(members.sorted().joined(separator: ","))}"
        case .array:
            let elements = value.elements.map { normal($0, isOrdered: false) }
            return "[\((isOrdered ? elements : elements.sorted()).joined(separator: ","))]"
        case .number: return String(Double(String(decoding: value.text, as: UTF8.self)) ?? .nan)
        case .string: return (value.string ?? "").debugDescription
        default: return String(decoding: value.text, as: UTF8.self)
        }
    }

    /// Nil where both are equal, else both.
    static func difference(_ actual: [UInt8], _ expected: [UInt8]) throws -> String? {
        let actual = try normal(actual)
        let expected = try normal(expected)
        return actual == expected ? nil : "\n      got  \(actual)\n      want \(expected)"
    }
}

/// Nil where `body` ends with the error that the case expects.
func expectError(_ test: SuiteCase, _ body: () throws -> Void) -> String? {
    do {
        try body()
        return "no error instead of \(test.expectedError)"
    } catch let error as JSONLDError {
        return error.code.rawValue == test.expectedError ? nil : "\(error) instead of \(test.expectedError)"
    } catch {
        return "\(error)"
    }
}
