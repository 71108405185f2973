// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The values of RDF 1.1 (Concepts, section 3): terms, quads. They are what the JSON-LD
// algorithms make and read; how they are written down is the business of `NQuads`.

/// An IRI, a blank node or a literal. Terms are equal where their characters are (RDF 1.1 Concepts sections 3.2 and 3.3),
/// also where Swift's strings would take two spellings of one character for the same.
public enum RDFTerm: Sendable, Hashable {
    /// An IRI, without angle brackets.
    case iri(String)
    /// A blank node, by its label without `_:`. A label means something only within one list of quads.
    case blankNode(String)
    case literal(RDFLiteral)

    /// A literal with a datatype, `xsd:string` unless said otherwise.
    public static func literal(_ lexicalForm: String, datatype: String = RDFVocabulary.xsdString) -> RDFTerm {
        .literal(RDFLiteral(lexicalForm: lexicalForm, datatype: datatype))
    }

    public static func == (left: RDFTerm, right: RDFTerm) -> Bool {
        switch (left, right) {
        case (.iri(let left), .iri(let right)), (.blankNode(let left), .blankNode(let right)):
            left.isSpelledLike(right)
        case (.literal(let left), .literal(let right)): left == right
        case (.iri, _), (.blankNode, _), (.literal, _): false
        }
    }
}

/// A literal (RDF 1.1 Concepts section 3.3): characters, a datatype, and a language where the datatype is
/// `rdf:langString`, or language and base direction where it is `rdf:dirLangString` (RDF 1.2).
public struct RDFLiteral: Sendable, Hashable {
    public var lexicalForm: String
    /// IRI of the datatype.
    public var datatype: String
    /// Language tag, as it was given.
    public var language: String?
    /// `ltr` or `rtl`.
    public var direction: String?

    public init(lexicalForm: String, datatype: String) {
        self.lexicalForm = lexicalForm
        self.datatype = datatype
    }

    /// A language-tagged string, with a base direction or without.
    public init(lexicalForm: String, language: String, direction: String? = nil) {
        self.lexicalForm = lexicalForm
        self.language = language
        self.direction = direction
        datatype = direction == nil ? RDFVocabulary.langString : RDFVocabulary.dirLangString
    }

    public static func == (left: RDFLiteral, right: RDFLiteral) -> Bool {
        left.lexicalForm.isSpelledLike(right.lexicalForm) && left.datatype.isSpelledLike(right.datatype)
            && (left.language ?? "").isSpelledLike(right.language ?? "") && left.direction == right.direction
    }
}

/// A statement in a named graph, or in the default graph where `graph` is nil.
public struct RDFQuad: Sendable, Hashable {
    public var subject: RDFTerm
    public var predicate: RDFTerm
    public var object: RDFTerm
    public var graph: RDFTerm?

    public init(subject: RDFTerm, predicate: RDFTerm, object: RDFTerm, graph: RDFTerm? = nil) {
        self.subject = subject
        self.predicate = predicate
        self.object = object
        self.graph = graph
    }
}

/// The IRIs that RDF itself gives a meaning to.
public enum RDFVocabulary {
    public static let type = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
    public static let first = "http://www.w3.org/1999/02/22-rdf-syntax-ns#first"
    public static let rest = "http://www.w3.org/1999/02/22-rdf-syntax-ns#rest"
    public static let `nil` = "http://www.w3.org/1999/02/22-rdf-syntax-ns#nil"
    public static let list = "http://www.w3.org/1999/02/22-rdf-syntax-ns#List"
    public static let value = "http://www.w3.org/1999/02/22-rdf-syntax-ns#value"
    public static let language = "http://www.w3.org/1999/02/22-rdf-syntax-ns#language"
    public static let direction = "http://www.w3.org/1999/02/22-rdf-syntax-ns#direction"
    public static let langString = "http://www.w3.org/1999/02/22-rdf-syntax-ns#langString"
    public static let dirLangString = "http://www.w3.org/1999/02/22-rdf-syntax-ns#dirLangString"
    public static let json = "http://www.w3.org/1999/02/22-rdf-syntax-ns#JSON"
    public static let xsdString = "http://www.w3.org/2001/XMLSchema#string"
    public static let xsdBoolean = "http://www.w3.org/2001/XMLSchema#boolean"
    public static let xsdInteger = "http://www.w3.org/2001/XMLSchema#integer"
    public static let xsdDouble = "http://www.w3.org/2001/XMLSchema#double"
    /// Followed by language, `_` and direction: the datatype of JSON-LD's `i18n-datatype` form.
    public static let internationalization = "https://www.w3.org/ns/i18n#"
}

extension String {
    /// Whether both have the same code points. `==` is canonical equivalence; hashes agree with both, since strings of
    /// the same code points are also canonically equivalent.
    func isSpelledLike(_ other: String) -> Bool {
        // The first question is the fast one, and mostly the answer is no.
        self == other && utf8.elementsEqual(other.utf8)
    }
}
