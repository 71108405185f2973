// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A path of an output template, `/#data.items.0.sku`, and where it leads in an event. Which
// spellings there are stands in docs/decisions/0007-apps.md.

import JSONLD

/// A reference into an event, made once and followed for every event.
public struct TriggerPath: Sendable, Hashable {
    /// Where a path begins.
    public enum Root: String, Sendable, Hashable, CaseIterable {
        /// What was sent, in the form the event has it.
        case data
        /// The event's time.
        case createdAt
        /// The event's id.
        case id
        /// The event's name.
        case name
    }

    /// Why a text that begins with `/#` leads nowhere.
    public enum Problem: Error, Sendable, Hashable, CustomStringConvertible {
        /// `/#fn:...`
        case function
        case unknownRoot(String)
        case emptySegment

        public var description: String {
            switch self {
            case .function: "functions are not evaluated in output templates"
            case .unknownRoot(let name):
                "paths begin with data, attributes.data, \(Root.allCases.dropFirst().map(\.rawValue).joined(separator: ", ")), "
                    + "not with '\(name)'"
            case .emptySegment: "the path has an empty segment"
            }
        }
    }

    public var root: Root
    /// Names of members and positions in arrays below the root.
    public var segments: [String]

    /// What begins a path.
    static let mark = "/#"

    /// Reads what stands behind `/#`. nil where `text` is no path at all.
    public static func read(_ text: String) throws(Problem) -> TriggerPath? {
        guard text.hasPrefix(mark) else { return nil }
        let rest = text.dropFirst(mark.count)
        if rest.hasPrefix("fn:") { throw .function }
        var segments = split(rest)
        guard !segments.contains("") else { throw .emptySegment }
        // The event as a resource has its payload at attributes.data; the shorter form starts at its attributes.
        if segments.count > 1, segments[0] == "attributes" { segments.removeFirst() }
        guard let root = Root(rawValue: segments[0]) else { throw .unknownRoot(segments[0]) }
        segments.removeFirst()
        return TriggerPath(root: root, segments: segments)
    }

    /// At dots, and at brackets that hold a position: `items[0].sku` is `items.0.sku`. At least one segment.
    private static func split(_ text: Substring) -> [String] {
        text.split(separator: ".", omittingEmptySubsequences: false).flatMap { word -> [String] in
            guard word.hasSuffix("]"), let open = word.firstIndex(of: "[") else { return [String(word)] }
            let positions = word[open...].dropFirst().dropLast().split(separator: "][", omittingEmptySubsequences: false)
            guard positions.allSatisfy({ !$0.isEmpty && $0.utf8.allSatisfy { (48...57).contains($0) } }) else {
                return [String(word)]
            }
            return (open == word.startIndex ? [] : [String(word[..<open])]) + positions.map(String.init)
        }
    }

    /// What a path led to.
    enum Found: Sendable {
        case value(JSONValue)
        /// `length` of an array.
        case count(Int)
        case nothing
    }

    /// Follows the segments from `value`.
    ///
    /// - Parameter work: members and elements that may be looked at; counted down, below 0 when it was not enough.
    func follow(from value: JSONValue, work: inout Int) -> Found {
        var value = value
        var position = 0
        while position < segments.count {
            switch value.kind {
            case .object:
                guard let (member, used) = member(of: value, at: position, &work) else { return .nothing }
                value = member
                position += used
            case .array:
                let segment = segments[position]
                if segment == "length", position == segments.count - 1 {
                    var count = 0
                    for _ in value.elementCursors { count += 1 }
                    work -= count
                    return .count(count)
                }
                guard let index = Int(segment), index >= 0, let element = element(index, of: value, &work) else {
                    return .nothing
                }
                value = element
                position += 1
            case .string, .number, .true, .false, .null: return .nothing
            }
        }
        return .value(value)
    }

    /// The member that the next segment names. Where there is none, names with dots in them are tried, shortest first:
    /// payloads keep such names as they are, and no other spelling would lead there.
    private func member(
        of object: JSONValue, at position: Int, _ work: inout Int
    ) -> (value: JSONValue, used: Int)? {
        var name = ""
        for end in position..<segments.count {
            name += (end == position ? "" : ".") + segments[end]
            for member in object.memberCursors {
                work -= 1
                if work < 0 { return nil }
                if member.name.isString(name) { return (member.value, end - position + 1) }
            }
        }
        return nil
    }

    private func element(_ index: Int, of array: JSONValue, _ work: inout Int) -> JSONValue? {
        var position = 0
        for element in array.elementCursors {
            work -= 1
            if work < 0 { return nil }
            if position == index { return element }
            position += 1
        }
        return nil
    }
}
