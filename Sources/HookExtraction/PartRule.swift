// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Which rule of the extraction contract a part falls under, by its type, name and disposition
// alone. Nothing is decoded here.

import HookModel
import MIMEParser

enum PartRule: Sendable, Hashable {
    /// The decoded body is a document: rules 1 and 2.
    case json(Candidate.Kind, source: DocumentSources, isMislabelled: Bool)
    /// The decoded body is a gzip file with a document in it: rule 5.
    case gzip(Candidate.Kind, source: DocumentSources)
    /// Script elements are documents: rule 4.
    case html
    /// The whole text may be a document: rule 3.
    case text
    /// Nothing is looked for.
    case none

    init(_ part: MIMEPart) {
        let type = part.typeName
        let name = part.fileName?.lowercased()
        if let kind = Self.jsonKind(of: type) {
            self = .json(kind, source: .parts, isMislabelled: false)
        } else if let kind = Self.mislabelled[type] {
            self = .json(kind, source: .parts, isMislabelled: true)
        } else if type == "application/tlsrpt+gzip" {
            self = .gzip(.json, source: .parts)
        } else if let name, name.hasSuffix(".json.gz"), Self.isGzip(type) || Self.isGeneric(part, type) {
            self = .gzip(.json, source: .files)
        } else if let name, Self.isGeneric(part, type), let kind = Self.kind(ofFile: name) {
            self = .json(kind, source: .files, isMislabelled: false)
        } else if type == "text/html" {
            self = .html
        } else if type == "text/plain", name == nil, part.disposition?.value != "attachment" {
            self = .text
        } else {
            self = .none
        }
    }

    /// RFC 6838 section 4.2.8, RFC 8259 section 11: `application/json`, `application/ld+json`, any `+json`.
    private static func jsonKind(of type: String) -> Candidate.Kind? {
        if type == "application/ld+json" { return .jsonLD }
        return type == "application/json" || type.hasSuffix("+json") ? .json : nil
    }

    /// Not registered, but seen in mail.
    static let mislabelled: [String: Candidate.Kind] = [
        "application/json+ld": .jsonLD, "application/jsonld": .jsonLD, "application/x-json": .json, "text/json": .json,
    ]

    private static func isGzip(_ type: String) -> Bool {
        type == "application/gzip" || type == "application/x-gzip" || type.hasSuffix("+gzip")
    }

    /// Types that say nothing about the content, so that the file name has to.
    private static func isGeneric(_ part: MIMEPart, _ type: String) -> Bool {
        !part.isTypeNamed || type == "application/octet-stream" || type == "text/plain"
    }

    private static func kind(ofFile name: String) -> Candidate.Kind? {
        if name.hasSuffix(".jsonld") { return .jsonLD }
        return name.hasSuffix(".json") ? .json : nil
    }
}

/// Of what kind of data a script element says to be.
struct ScriptType: Sendable, Hashable {
    var kind: Candidate.Kind
    var isMislabelled: Bool

    /// - Parameters:
    ///   - type: the `type` attribute; parameters and letters of any case occur.
    ///   - language: the `language` attribute, which an early draft of structured email used instead.
    init?(type: String?, language: String?) {
        guard let type else {
            guard let language, language.lowercased() == "ld+json" else { return nil }
            self.init(kind: .jsonLD, isMislabelled: true)
            return
        }
        // As nearly everybody writes it.
        if type == "application/ld+json" {
            self.init(kind: .jsonLD, isMislabelled: false)
            return
        }
        let name = type.prefix { $0 != ";" }.lowercased()
        let essence = String(name.trimmed)
        let isAsWritten = essence == type
        switch essence {
        case "application/ld+json": self.init(kind: .jsonLD, isMislabelled: !isAsWritten)
        case "application/json": self.init(kind: .json, isMislabelled: !isAsWritten)
        default:
            guard let kind = PartRule.mislabelled[essence] else { return nil }
            self.init(kind: kind, isMislabelled: true)
        }
    }

    private init(kind: Candidate.Kind, isMislabelled: Bool) {
        self.kind = kind
        self.isMislabelled = isMislabelled
    }
}

extension String {
    /// Without ASCII white space at both ends.
    var trimmed: Substring {
        let isSpace = { (character: Character) in character == " " || character == "\t" || character.isNewline }
        var text = self[...]
        while let last = text.last, isSpace(last) { text.removeLast() }
        return text.drop(while: isSpace)
    }
}
