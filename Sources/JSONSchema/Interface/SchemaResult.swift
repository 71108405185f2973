// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What checking a value found. Nothing in it repeats the value's content, except the names of
// members in pointers.

/// The answer for one value.
public struct SchemaResult: Sendable, Hashable {
    public enum Outcome: String, Sendable, Hashable, CaseIterable {
        case valid
        case invalid
        /// `SchemaLimits.work` did not last. The value may be valid or not.
        case workLimitReached
        /// `SchemaLimits.depth` did not suffice. The value may be valid or not.
        case depthLimitReached
    }

    public var outcome: Outcome
    /// What was violated, in the order it was found. Of alternatives (`anyOf`, `oneOf`, `not`, `contains`, `if`) only
    /// the keyword itself is reported, not every branch.
    public var violations: [SchemaViolation]
    /// Whether there may be more violations than the limit let through.
    public var isTruncated: Bool

    public var isValid: Bool { outcome == .valid }
}

/// One keyword that a value violates.
public struct SchemaViolation: Sendable, Hashable {
    /// JSON pointer (RFC 6901) to the value. Longer than 1,000 octets, it is cut, and ends with an ellipsis.
    public var instancePointer: String
    /// The keyword in its schema: URI of the document, empty for the schema itself, `#` and a JSON pointer.
    public var keywordLocation: String
    /// What is wrong, in a few words without the value.
    public var message: String
}
