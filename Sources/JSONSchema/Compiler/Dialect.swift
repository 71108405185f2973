// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Which keywords a schema has: its draft, and in 2020-12 the vocabularies of its meta-schema.

struct Dialect: Sendable, Hashable {
    var draft: SchemaDraft
    var hasApplicators = true
    var hasUnevaluated = true
    var hasValidation = true
    var assertsFormats = false

    /// Keywords whose value is a schema.
    static func isSingleSchema(_ name: String, _ draft: SchemaDraft) -> Bool {
        switch name {
        case "additionalProperties", "propertyNames", "not", "if", "then", "else", "contains", "items": true
        case "additionalItems": draft == .draft7
        case "unevaluatedItems", "unevaluatedProperties", "contentSchema": draft == .draft2020
        default: false
        }
    }

    /// Keywords whose value is an object of schemas.
    static func isSchemaMap(_ name: String, _ draft: SchemaDraft) -> Bool {
        switch name {
        case "properties", "patternProperties", "definitions", "dependencies": true
        case "$defs", "dependentSchemas": draft == .draft2020
        default: false
        }
    }

    /// Keywords whose value is an array of schemas.
    static func isSchemaList(_ name: String, _ draft: SchemaDraft) -> Bool {
        switch name {
        case "allOf", "anyOf", "oneOf": true
        case "prefixItems": draft == .draft2020
        case "items": draft == .draft7
        default: false
        }
    }

    private static let vocabularies = "https://json-schema.org/draft/2020-12/vocab/"

    // JSON Schema Core 2020-12 section 8.1.2.
    /// The dialect that a meta-schema's `$vocabulary` describes; nil where it requires something unknown.
    init?(vocabulary: [(name: String, isRequired: Bool)]) {
        draft = .draft2020
        hasApplicators = false
        hasUnevaluated = false
        hasValidation = false
        for (name, isRequired) in vocabulary {
            let known = name.hasPrefix(Self.vocabularies) ? String(name.dropFirst(Self.vocabularies.count)) : ""
            switch known {
            case "core", "meta-data", "content", "format-annotation": break
            case "applicator": hasApplicators = true
            case "unevaluated": hasUnevaluated = true
            case "validation": hasValidation = true
            case "format-assertion": assertsFormats = true
            default: if isRequired { return nil }
            }
        }
    }

    init(_ draft: SchemaDraft, assertsFormats: Bool) {
        self.draft = draft
        self.assertsFormats = assertsFormats
    }

    /// Whether a keyword counts.
    func has(_ name: String) -> Bool {
        switch name {
        case "$ref", "$dynamicRef": true
        case "unevaluatedItems", "unevaluatedProperties": hasUnevaluated
        case "format": true
        case "prefixItems", "items", "contains", "additionalProperties", "properties", "patternProperties",
            "dependentSchemas", "propertyNames", "if", "then", "else", "allOf", "anyOf", "oneOf", "not", "dependencies",
            "additionalItems":
            hasApplicators
        default: hasValidation
        }
    }
}
