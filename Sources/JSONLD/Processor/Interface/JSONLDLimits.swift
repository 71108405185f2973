// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What a document may cost. Reaching a limit ends the operation with `limit exceeded`, or with
// the code that the Recommendation has for it.

/// Limits of one operation. The defaults are far above what real documents need.
public struct JSONLDLimits: Sendable, Hashable {
    /// Arrays and objects inside each other, in what is read and in what is made (framing can nest deeper than its
    /// input). Stops texts that exist to exhaust the stack.
    public var depth = 256
    /// Contexts that refer to contexts. More is `context overflow`; a context that includes itself ends here.
    public var remoteContextDepth = 16
    /// Term definitions made in one operation, counted again each time a context is applied. More is
    /// `context overflow`. Stops arrays of thousands of contexts, and scoped contexts inside each other.
    public var termDefinitions = 500_000
    /// Terms that need each other's definition first. More is `context overflow`.
    public var termDependencyDepth = 64
    /// Cells of the working tree, of 16 octets each, about one for each value read or made. Stops inputs that grow
    /// when they are processed.
    public var cells = 8_000_000
    /// Octets of all different strings, expanded IRIs included. Stops a long prefix used by thousands of terms.
    public var textSize = 64 << 20
    /// Octets of a result as JSON or N-Quads. Stops a long IRI repeated thousands of times.
    public var outputSize = 64 << 20

    public init() {}
}
