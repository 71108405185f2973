// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// How schemas are read, and what checking a value may cost.

/// The drafts of JSON Schema that can be compiled.
public enum SchemaDraft: String, Sendable, Hashable, CaseIterable {
    case draft7 = "http://json-schema.org/draft-07/schema"
    case draft2020 = "https://json-schema.org/draft/2020-12/schema"
}

/// How a schema is read.
public struct SchemaOptions: Sendable, Hashable {
    /// The draft of a schema that has no `$schema`.
    public var draft: SchemaDraft
    /// Whether `format` is checked. Both drafts make that a choice (Validation 2020-12 section 7.2, draft 7 section
    /// 7.2); a meta-schema with the format-assertion vocabulary makes it for its schemas.
    public var assertsFormats: Bool
    /// The URI the schema came from; relative references of a schema without `$id` start there.
    public var baseURI: String
    /// Subschemas a schema may have, those of documents it refers to included. They cost memory for as long as the
    /// compiled schema lives.
    public var subschemaLimit: Int
    /// Instructions a regular expression may have once its repetitions are written out. Searching a string of n
    /// characters takes n times this many steps at most.
    public var patternSize: Int

    public init(
        draft: SchemaDraft = .draft2020, assertsFormats: Bool = false, baseURI: String = "",
        subschemaLimit: Int = 100_000, patternSize: Int = 10_000
    ) {
        self.draft = draft
        self.assertsFormats = assertsFormats
        self.baseURI = baseURI
        self.subschemaLimit = subschemaLimit
        self.patternSize = patternSize
    }
}

/// What checking one value may cost.
public struct SchemaLimits: Sendable, Hashable {
    /// Violations that are reported; checking stops there, the value is invalid already.
    public var violations: Int
    /// Steps: keywords applied, members and elements visited, octets hashed or matched. Stops schemas that branch
    /// exponentially over deep values, and patterns that are slow over long strings. The default is some tenths of a
    /// second.
    public var work: Int
    /// Subschemas that are being applied at one time: what a recursive schema over a deep value needs, about 40 octets
    /// of heap each. Stops references that lead back to themselves on the same value.
    public var depth: Int

    public init(violations: Int = 20, work: Int = 10_000_000, depth: Int = 20_000) {
        self.violations = violations
        self.work = work
        self.depth = depth
    }
}
