// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What the parser bears of a message before it stops looking.

/// What a parser bears. Where a limit is reached, parsing stops there and a problem says so.
public struct MIMELimits: Sendable, Hashable {
    /// Parts of a message, containers included: stops tables of millions of empty parts. What follows the last part is
    /// not looked at.
    public var parts: Int
    /// Containers inside each other: a container below this depth is a leaf. Stops stacks of boundaries that make
    /// every line expensive.
    public var depth: Int
    /// Octets of one header section: what follows is not looked at for fields, the body begins where the header ends.
    public var headerSize: Int
    /// Octets of attached messages that had to be decoded, all together: a message inside a message inside a message, each
    /// in base64, would otherwise take several times the memory of the whole. What does not fit is not looked into.
    public var decodedMessages: Int
    /// Problems that are kept; a broken mail can have one in every line.
    public var problems: Int

    /// The defaults are what the daemon runs with.
    public init(
        parts: Int = 1000, depth: Int = 50, headerSize: Int = 256 << 10, decodedMessages: Int = 32 << 20,
        problems: Int = 100
    ) {
        self.parts = parts
        self.depth = depth
        self.headerSize = headerSize
        self.decodedMessages = decodedMessages
        self.problems = problems
    }
}
