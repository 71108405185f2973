// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Why a JSON-LD operation failed: the code of the Recommendation, and where in the document it
// was noticed.

/// An error of a JSON-LD operation.
public struct JSONLDError: Error, Sendable {
    /// The codes of JSON-LD 1.1 API section 9.6.2 and Framing section 5.2.4, in their words; after them those of this
    /// library alone.
    public enum Code: String, Sendable, Hashable, CaseIterable {
        case collidingKeywords = "colliding keywords"
        case conflictingIndexes = "conflicting indexes"
        case contextOverflow = "context overflow"
        case cyclicIRIMapping = "cyclic IRI mapping"
        case invalidIDValue = "invalid @id value"
        case invalidImportValue = "invalid @import value"
        case invalidIncludedValue = "invalid @included value"
        case invalidIndexValue = "invalid @index value"
        case invalidNestValue = "invalid @nest value"
        case invalidPrefixValue = "invalid @prefix value"
        case invalidPropagateValue = "invalid @propagate value"
        case invalidProtectedValue = "invalid @protected value"
        case invalidReverseValue = "invalid @reverse value"
        case invalidVersionValue = "invalid @version value"
        case invalidBaseDirection = "invalid base direction"
        case invalidBaseIRI = "invalid base IRI"
        case invalidContainerMapping = "invalid container mapping"
        case invalidContextEntry = "invalid context entry"
        case invalidContextNullification = "invalid context nullification"
        case invalidDefaultLanguage = "invalid default language"
        case invalidIRIMapping = "invalid IRI mapping"
        case invalidJSONLiteral = "invalid JSON literal"
        case invalidKeywordAlias = "invalid keyword alias"
        case invalidLanguageMapValue = "invalid language map value"
        case invalidLanguageMapping = "invalid language mapping"
        case invalidLanguageTaggedString = "invalid language-tagged string"
        case invalidLanguageTaggedValue = "invalid language-tagged value"
        case invalidLocalContext = "invalid local context"
        case invalidRemoteContext = "invalid remote context"
        case invalidReverseProperty = "invalid reverse property"
        case invalidReversePropertyMap = "invalid reverse property map"
        case invalidReversePropertyValue = "invalid reverse property value"
        case invalidScopedContext = "invalid scoped context"
        case invalidScriptElement = "invalid script element"
        case invalidSetOrListObject = "invalid set or list object"
        case invalidTermDefinition = "invalid term definition"
        case invalidTypeMapping = "invalid type mapping"
        case invalidTypeValue = "invalid type value"
        case invalidTypedValue = "invalid typed value"
        case invalidValueObject = "invalid value object"
        case invalidValueObjectValue = "invalid value object value"
        case invalidVocabMapping = "invalid vocab mapping"
        case iriConfusedWithPrefix = "IRI confused with prefix"
        case keywordRedefinition = "keyword redefinition"
        case loadingDocumentFailed = "loading document failed"
        case loadingRemoteContextFailed = "loading remote context failed"
        case multipleContextLinkHeaders = "multiple context link headers"
        case processingModeConflict = "processing mode conflict"
        case protectedTermRedefinition = "protected term redefinition"
        // JSON-LD 1.0 only
        case listOfLists = "list of lists"
        case compactionToListOfLists = "compaction to list of lists"
        // Framing
        case invalidFrame = "invalid frame"
        case invalidEmbedValue = "invalid @embed value"
        // Of this library
        /// One of `JSONLDLimits` was reached.
        case limitExceeded = "limit exceeded"
    }

    public var code: Code
    /// JSON Pointer (RFC 6901) to the value at fault in the document, the context or the frame that was given; empty
    /// for the whole of it.
    public var pointer: String
    /// What exactly was wrong, in a few words.
    public var detail: String

    public init(_ code: Code, _ detail: String, pointer: String = "") {
        self.code = code
        self.detail = detail
        self.pointer = pointer
    }
}

extension JSONLDError: CustomStringConvertible {
    /// Code, detail and place on one line.
    public var description: String {
        pointer.isEmpty ? "\(code.rawValue): \(detail)" : "\(code.rawValue): \(detail) (at \(pointer))"
    }
}
