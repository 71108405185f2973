// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Which event names a subscription hears. The rules are those of NATS subjects, so that the same
// words mean the same when events travel over NATS later. Pure: text in, yes or no out.

/// A pattern of event names: dot-separated segments, compared octet by octet.
///
/// `*` stands for exactly one segment, a final `>` for one or more; `>` alone matches every name.
/// A wildcard never stands for an empty segment (`a..b` is only matched by itself and by `>`). Names of the daemon's own
/// events (`mailhookd.…`) are only matched by patterns that begin with that word: who asks for everything means mail.
public struct EventPattern: Sendable, Hashable, CustomStringConvertible {
    enum Segment: Sendable, Hashable {
        case exact([UInt8])
        case anyOne
    }

    /// The pattern as it was written.
    public let description: String
    private let segments: [Segment]
    /// Whether the pattern ends in `>`.
    private let hasOpenEnd: Bool

    /// Throws when the text is no pattern; nothing is guessed, because a pattern that never matches looks like lost mail.
    public init(_ text: String) throws(EventPatternError) {
        guard !text.isEmpty else { throw .empty }
        var segments: [Segment] = []
        var hasOpenEnd = false
        for bytes in text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false) {
            if hasOpenEnd { throw .openEndNotLast }
            if bytes.isEmpty { throw .emptySegment }
            if bytes.contains(where: { $0 <= 0x20 || $0 == 0x7F }) { throw .whitespaceOrControl }
            if bytes.elementsEqual([UInt8(ascii: ">")]) {
                hasOpenEnd = true
            } else if bytes.elementsEqual([UInt8(ascii: "*")]) {
                segments.append(.anyOne)
            } else if bytes.contains(UInt8(ascii: "*")) || bytes.contains(UInt8(ascii: ">")) {
                throw .wildcardInsideSegment
            } else {
                segments.append(.exact(Array(bytes)))
            }
        }
        description = text
        self.segments = segments
        self.hasOpenEnd = hasOpenEnd
    }

    public func matches(_ eventType: String) -> Bool {
        if OwnEvents.isOwn(eventType), segments.first != .exact(OwnEvents.firstSegment) { return false }
        if segments.isEmpty { return true }  // `>` alone: without segments there must be an open end
        let parts = eventType.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard hasOpenEnd ? parts.count > segments.count : parts.count == segments.count else { return false }
        for (segment, part) in zip(segments, parts) {
            switch segment {
            case .anyOne: if part.isEmpty { return false }
            case .exact(let bytes): if !part.elementsEqual(bytes) { return false }
            }
        }
        return !hasOpenEnd || parts[segments.count...].allSatisfy { !$0.isEmpty }
    }

    public static func == (a: EventPattern, b: EventPattern) -> Bool {
        a.segments == b.segments && a.hasOpenEnd == b.hasOpenEnd
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(segments)
        hasher.combine(hasOpenEnd)
    }
}

/// Why a text is no event pattern.
public enum EventPatternError: String, Error, Sendable, Hashable {
    case empty = "the pattern is empty"
    case emptySegment = "a segment between two full stops is empty"
    case openEndNotLast = "`>` is only allowed as the last segment"
    case wildcardInsideSegment = "`*` and `>` stand for whole segments and cannot be part of one"
    case whitespaceOrControl = "an event name holds no white space or control characters"
}
