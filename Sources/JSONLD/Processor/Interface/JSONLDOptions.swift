// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What a caller can ask for: the options of JSON-LD 1.1 API section 9.3 and Framing section
// 5.1.2, under their names in Swift's spelling.

/// Options of the operations. Each operation reads those that concern it.
public struct JSONLDOptions: Sendable {
    /// Which version of JSON-LD is spoken.
    public enum ProcessingMode: String, Sendable, Hashable {
        case version1_0 = "json-ld-1.0"
        case version1_1 = "json-ld-1.1"
    }

    /// How a base direction is written in RDF.
    public enum RDFDirection: String, Sendable, Hashable {
        /// A datatype made of language and direction.
        case i18nDatatype = "i18n-datatype"
        /// A blank node with `rdf:value`, `rdf:language` and `rdf:direction`.
        case compoundLiteral = "compound-literal"
    }

    /// Which uses of a node are embedded by framing, and which are references.
    public enum Embed: String, Sendable, Hashable {
        case always = "@always"
        case once = "@once"
        case never = "@never"
    }

    /// Base IRI of the input. Nil: the address of the input document, if it has one.
    public var base: String?
    public var processingMode = ProcessingMode.version1_1
    /// A context applied before any of the document's own: JSON text of a context, or of an object with `@context`.
    public var expandContext: [UInt8]?
    /// Process members in the order of their names rather than in the order of the text.
    public var isOrdered = false
    /// Compaction: an array of one value becomes that value.
    public var compactsArrays = true
    /// Compaction: IRIs are written relative to the base.
    public var compactsToRelative = true
    /// HTML: all scripts of the document are one input, not only the first. Nil: so for RDF, not for other operations.
    public var extractsAllScripts: Bool?
    /// To RDF: blank nodes may be predicates.
    public var producesGeneralizedRDF = false
    public var rdfDirection: RDFDirection?
    /// From RDF: booleans, integers and doubles become JSON's own.
    public var usesNativeTypes = false
    /// From RDF: `rdf:type` stays a property like any other.
    public var usesRDFType = false
    /// Framing: defaults for what a frame doesn't say itself.
    public var embed = Embed.once
    public var isExplicit = false
    public var requiresAll = false
    public var omitsDefault = false
    /// Framing: a result of one node stands by itself and not in `@graph`. Nil: so in mode 1.1, not in 1.0.
    public var omitsGraph: Bool?
    public var limits = JSONLDLimits()

    public init() {}
}
