// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A string as a number: its place in a `SymbolTable`. Two strings of one table are equal if their
// numbers are. The strings that the algorithms themselves name have the same numbers in every table.

/// A string of a `SymbolTable`.
struct Symbol: Hashable, Sendable, BitwiseCopyable {
    var index: UInt32
}

extension Symbol {
    @inline(__always)
    init(_ text: WellKnownText) {
        index = text.rawValue
    }

    /// Keywords of JSON-LD 1.1 (section 1.7) and of its framing (Framing, section 1.1).
    @inline(__always)
    var isKeyword: Bool {
        index >= WellKnownText.base.rawValue && index <= WellKnownText.vocab.rawValue
    }
}

/// Strings that stand first in every table, in this order.
enum WellKnownText: UInt32, CaseIterable {
    case empty
    // Keywords
    case base, container, context, `default`, direction, embed, explicit, graph, id, `import`, included,
        index, json, language, list, nest, none, omitDefault, prefix, preserve, propagate, `protected`,
        requireAll, reverse, set, type, value, version, vocab
    // Not keywords, but used as such inside the algorithms
    case null, any, ltr, rtl, always, once, never, first, last, link
    // IRIs of RDF and XML Schema
    case rdfType, rdfFirst, rdfRest, rdfNil, rdfList, rdfValue, rdfLanguage, rdfDirection, rdfLangString,
        rdfJSON, xsdString, xsdBoolean, xsdInteger, xsdDouble

    var text: String {
        switch self {
        case .empty: ""
        case .base: "@base"
        case .container: "@container"
        case .context: "@context"
        case .default: "@default"
        case .direction: "@direction"
        case .embed: "@embed"
        case .explicit: "@explicit"
        case .graph: "@graph"
        case .id: "@id"
        case .import: "@import"
        case .included: "@included"
        case .index: "@index"
        case .json: "@json"
        case .language: "@language"
        case .list: "@list"
        case .nest: "@nest"
        case .none: "@none"
        case .omitDefault: "@omitDefault"
        case .prefix: "@prefix"
        case .preserve: "@preserve"
        case .propagate: "@propagate"
        case .protected: "@protected"
        case .requireAll: "@requireAll"
        case .reverse: "@reverse"
        case .set: "@set"
        case .type: "@type"
        case .value: "@value"
        case .version: "@version"
        case .vocab: "@vocab"
        case .null: "@null"
        case .any: "@any"
        case .ltr: "ltr"
        case .rtl: "rtl"
        case .always: "@always"
        case .once: "@once"
        case .never: "@never"
        case .first: "@first"
        case .last: "@last"
        case .link: "@link"
        case .rdfType: "\(Self.rdf)type"
        case .rdfFirst: "\(Self.rdf)first"
        case .rdfRest: "\(Self.rdf)rest"
        case .rdfNil: "\(Self.rdf)nil"
        case .rdfList: "\(Self.rdf)List"
        case .rdfValue: "\(Self.rdf)value"
        case .rdfLanguage: "\(Self.rdf)language"
        case .rdfDirection: "\(Self.rdf)direction"
        case .rdfLangString: "\(Self.rdf)langString"
        case .rdfJSON: "\(Self.rdf)JSON"
        case .xsdString: "\(Self.xsd)string"
        case .xsdBoolean: "\(Self.xsd)boolean"
        case .xsdInteger: "\(Self.xsd)integer"
        case .xsdDouble: "\(Self.xsd)double"
        }
    }

    private static let rdf = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
    private static let xsd = "http://www.w3.org/2001/XMLSchema#"
}

extension Symbol {
    static var empty: Symbol { Symbol(.empty) }
    static var base: Symbol { Symbol(.base) }
    static var container: Symbol { Symbol(.container) }
    static var context: Symbol { Symbol(.context) }
    static var `default`: Symbol { Symbol(.default) }
    static var direction: Symbol { Symbol(.direction) }
    static var embed: Symbol { Symbol(.embed) }
    static var explicit: Symbol { Symbol(.explicit) }
    static var graph: Symbol { Symbol(.graph) }
    static var id: Symbol { Symbol(.id) }
    static var `import`: Symbol { Symbol(.import) }
    static var included: Symbol { Symbol(.included) }
    static var index: Symbol { Symbol(.index) }
    static var json: Symbol { Symbol(.json) }
    static var language: Symbol { Symbol(.language) }
    static var list: Symbol { Symbol(.list) }
    static var nest: Symbol { Symbol(.nest) }
    static var none: Symbol { Symbol(.none) }
    static var omitDefault: Symbol { Symbol(.omitDefault) }
    static var prefix: Symbol { Symbol(.prefix) }
    static var preserve: Symbol { Symbol(.preserve) }
    static var propagate: Symbol { Symbol(.propagate) }
    static var `protected`: Symbol { Symbol(.protected) }
    static var requireAll: Symbol { Symbol(.requireAll) }
    static var reverse: Symbol { Symbol(.reverse) }
    static var set: Symbol { Symbol(.set) }
    static var type: Symbol { Symbol(.type) }
    static var value: Symbol { Symbol(.value) }
    static var version: Symbol { Symbol(.version) }
    static var vocab: Symbol { Symbol(.vocab) }
    static var null: Symbol { Symbol(.null) }
    static var any: Symbol { Symbol(.any) }
    static var ltr: Symbol { Symbol(.ltr) }
    static var rtl: Symbol { Symbol(.rtl) }
    static var always: Symbol { Symbol(.always) }
    static var once: Symbol { Symbol(.once) }
    static var never: Symbol { Symbol(.never) }
    static var first: Symbol { Symbol(.first) }
    static var last: Symbol { Symbol(.last) }
    static var link: Symbol { Symbol(.link) }
    static var rdfType: Symbol { Symbol(.rdfType) }
    static var rdfFirst: Symbol { Symbol(.rdfFirst) }
    static var rdfRest: Symbol { Symbol(.rdfRest) }
    static var rdfNil: Symbol { Symbol(.rdfNil) }
    static var rdfList: Symbol { Symbol(.rdfList) }
    static var rdfValue: Symbol { Symbol(.rdfValue) }
    static var rdfLanguage: Symbol { Symbol(.rdfLanguage) }
    static var rdfDirection: Symbol { Symbol(.rdfDirection) }
    static var rdfLangString: Symbol { Symbol(.rdfLangString) }
    static var rdfJSON: Symbol { Symbol(.rdfJSON) }
    static var xsdString: Symbol { Symbol(.xsdString) }
    static var xsdBoolean: Symbol { Symbol(.xsdBoolean) }
    static var xsdInteger: Symbol { Symbol(.xsdInteger) }
    static var xsdDouble: Symbol { Symbol(.xsdDouble) }
}
