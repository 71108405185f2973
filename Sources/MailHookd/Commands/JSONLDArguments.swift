// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The options of `mailhookd jsonld`, each for one field of `JSONLDOptions` or of the input.

import ArgumentParser
import Glibc
import JSONLD
import MailHookKit

/// The input and what is known of it.
struct JSONLDInputArguments: ParsableArguments {
    @Argument(help: ArgumentHelp("The document: a file, `-`, or an address that --contexts knows.", valueName: "file"))
    var file: String

    @Option(help: ArgumentHelp("The address the document came from.", valueName: "IRI"))
    var url: String?

    @Option(help: ArgumentHelp("HTML: the script with this id.", valueName: "id"))
    var fragment: String?

    @Option(help: ArgumentHelp("The media type of the input (default: by the ending of its name).", valueName: "type"))
    var contentType: String?

    @Option(
        help: ArgumentHelp(
            "A folder that stands in for the network: index.json from IRI to path, or FOLDER/HOST/PATH.",
            valueName: "folder"))
    var contexts: String?

    private var isAddress: Bool { file.hasPrefix("http://") || file.hasPrefix("https://") }

    var isNQuads: Bool {
        if let contentType { return contentType.hasPrefix("application/n-") }
        return file.hasSuffix(".nq") || file.hasSuffix(".nt")
    }

    func document() throws -> JSONLDInput {
        let suffix = fragment.map { "#\($0)" } ?? ""
        if isAddress { return .iri(file + suffix) }
        let bytes = try JSONLDRunner.read(file)
        let type = contentType ?? FolderDocuments.type(of: file)
        if url == nil, fragment == nil, type == "application/ld+json" { return .json(bytes) }
        return .remote(RemoteDocument(documentIRI: (url ?? "") + suffix, contentType: type, body: bytes))
    }

    func loader() throws -> any DocumentLoader {
        guard let contexts else { return NoDocuments() }
        return try FolderDocuments(folder: contexts)
    }
}

/// How it is to be processed.
struct JSONLDProcessingArguments: ParsableArguments {
    @Option(help: ArgumentHelp("Base IRI of the document.", valueName: "IRI"))
    var base: String?
    @Option(help: "1.0 or 1.1.", transform: Self.mode)
    var mode = JSONLDOptions.ProcessingMode.version1_1
    @Option(help: ArgumentHelp("A context applied before the document's own.", valueName: "file"))
    var expandContext: String?
    @Option(help: "i18n-datatype or compound-literal.", transform: Self.direction)
    var rdfDirection: JSONLDOptions.RDFDirection?
    @Flag(help: "To RDF: blank nodes may be predicates.")
    var produceGeneralized = false
    @Flag(help: "From RDF: numbers and booleans become JSON's own.")
    var useNativeTypes = false
    @Flag(help: "From RDF: rdf:type stays a property.")
    var useRdfType = false
    @Option(help: ArgumentHelp("Frame: a single result stands alone (default: true in mode 1.1).", valueName: "true|false"))
    var omitGraph: Bool?
    @Option(help: "Frame: @once, @always or @never.", transform: Self.embed)
    var embed = JSONLDOptions.Embed.once
    @Flag(help: "Frame: only properties that the frame names.")
    var explicit = false
    @Flag(help: "Frame: nodes have to match everything.")
    var requireAll = false
    @Flag(help: "Frame: leave out what has no value, instead of null.")
    var omitDefault = false
    @Flag(help: "Members in the order of their names.")
    var ordered = false
    @Option(help: ArgumentHelp("Compact: an array of one value is that value.", valueName: "true|false"))
    var compactArrays = true
    @Option(help: ArgumentHelp("Compact: IRIs relative to the base.", valueName: "true|false"))
    var compactToRelative = true
    @Flag(inversion: .prefixedNo, help: "HTML: all scripts, not only the first (default: all for to-rdf, else the first).")
    var extractAllScripts: Bool?
    @Flag(help: "Indent the result.")
    var pretty = false

    func processor(_ input: JSONLDInputArguments) throws -> JSONLDProcessor {
        JSONLDProcessor(options: try options(), loader: try input.loader(), htmlReader: HTMLScriptDocuments())
    }

    private func options() throws -> JSONLDOptions {
        var options = JSONLDOptions()
        options.base = base
        options.processingMode = mode
        options.expandContext = try expandContext.map { try JSONLDRunner.read($0) }
        options.rdfDirection = rdfDirection
        options.producesGeneralizedRDF = produceGeneralized
        options.usesNativeTypes = useNativeTypes
        options.usesRDFType = useRdfType
        options.omitsGraph = omitGraph
        options.embed = embed
        options.isExplicit = explicit
        options.requiresAll = requireAll
        options.omitsDefault = omitDefault
        options.isOrdered = ordered
        options.compactsArrays = compactArrays
        options.compactsToRelative = compactToRelative
        options.extractsAllScripts = extractAllScripts
        return options
    }

    func write(_ result: JSONLDResult) throws {
        let json = try result.json(isPretty: pretty || isatty(STDOUT_FILENO) == 1)
        Terminal.print(json + [UInt8(ascii: "\n")])
    }

    private static func mode(_ text: String) throws -> JSONLDOptions.ProcessingMode {
        let name = text.hasPrefix("json-ld-") ? text : "json-ld-\(text)"
        guard let mode = JSONLDOptions.ProcessingMode(rawValue: name) else {
            throw ValidationError("'\(text)' is neither 1.0 nor 1.1.")
        }
        return mode
    }

    private static func direction(_ text: String) throws -> JSONLDOptions.RDFDirection {
        guard let direction = JSONLDOptions.RDFDirection(rawValue: text) else {
            throw ValidationError("'\(text)' is neither i18n-datatype nor compound-literal.")
        }
        return direction
    }

    private static func embed(_ text: String) throws -> JSONLDOptions.Embed {
        guard let embed = JSONLDOptions.Embed(rawValue: text.hasPrefix("@") ? text : "@\(text)") else {
            throw ValidationError("'\(text)' is not @once, @always or @never.")
        }
        return embed
    }
}
