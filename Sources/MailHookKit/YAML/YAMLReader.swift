// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// YAML bytes to a YAMLNode through libyaml's events. One document; aliases are followed, size and nesting are
// bounded. Tags are not interpreted. The file is an administrator's, not a stranger's.

import CYAML

struct YAMLError: Error, Sendable, Hashable {
    var position: Diagnostic.Position
    var reason: String
}

enum YAMLReader {
    /// The document of `bytes`, or nil where there is none.
    static func read(_ bytes: [UInt8]) throws(YAMLError) -> YAMLNode? {
        // libyaml keeps a pointer to the parser inside the parser: its address must not change.
        let parser = UnsafeMutablePointer<yaml_parser_t>.allocate(capacity: 1)
        defer { parser.deallocate() }
        guard yaml_parser_initialize(parser) == 1 else {
            throw YAMLError(position: .init(line: 1, column: 1), reason: "out of memory")
        }
        defer { yaml_parser_delete(parser) }
        let result: Result<YAMLNode?, YAMLError> = bytes.withUnsafeBufferPointer { input in
            yaml_parser_set_input_string(parser, input.baseAddress, input.count)
            return Result { () throws(YAMLError) in
                var builder = YAMLTreeBuilder()
                while try readEvent(parser, into: &builder) {}
                return builder.root
            }
        }
        return try result.get()
    }

    /// False at the end of the text.
    private static func readEvent(
        _ parser: UnsafeMutablePointer<yaml_parser_t>, into builder: inout YAMLTreeBuilder
    ) throws(YAMLError) -> Bool {
        var event = yaml_event_t()
        guard yaml_parser_parse(parser, &event) == 1 else {
            let reason = parser.pointee.problem.map { String(cString: $0) } ?? "not YAML"
            throw YAMLError(position: position(parser.pointee.problem_mark), reason: reason)
        }
        defer { yaml_event_delete(&event) }
        let place = position(event.start_mark)
        switch event.type {
        case YAML_SCALAR_EVENT, YAML_ALIAS_EVENT, YAML_SEQUENCE_START_EVENT, YAML_MAPPING_START_EVENT:
            // What stands behind the document would be left out without a word.
            guard builder.root == nil else {
                throw YAMLError(position: place, reason: "a second document (behind '---'); there may be one only")
            }
            try readNode(event, at: place, into: &builder)
        case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT: try builder.end()
        case YAML_STREAM_END_EVENT, YAML_NO_EVENT: return false
        default: break
        }
        return true
    }

    private static func readNode(
        _ event: yaml_event_t, at place: Diagnostic.Position, into builder: inout YAMLTreeBuilder
    ) throws(YAMLError) {
        switch event.type {
        case YAML_SEQUENCE_START_EVENT:
            try builder.begin(isMapping: false, anchor: name(event.data.sequence_start.anchor), at: place)
        case YAML_MAPPING_START_EVENT:
            try builder.begin(isMapping: true, anchor: name(event.data.mapping_start.anchor), at: place)
        case YAML_ALIAS_EVENT:
            try builder.alias(name(event.data.alias.anchor) ?? "", at: place)
        default:
            let scalar = event.data.scalar
            let text = String(decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self)
            let isPlain = scalar.style == YAML_PLAIN_SCALAR_STYLE
            try builder.scalar(text, isPlain: isPlain, anchor: name(scalar.anchor), at: place)
        }
    }

    private static func name(_ anchor: UnsafeMutablePointer<yaml_char_t>?) -> String? {
        anchor.map { String(decodingCString: $0, as: UTF8.self) }
    }

    /// libyaml counts from 0.
    private static func position(_ mark: yaml_mark_t) -> Diagnostic.Position {
        .init(line: mark.line + 1, column: mark.column + 1)
    }
}
