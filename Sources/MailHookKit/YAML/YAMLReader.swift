// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// YAML bytes to a YAMLNode through libyaml. One document; aliases are followed, nesting is
// bounded. Tags are not interpreted. The file is an administrator's, not a stranger's.

import CYAML

struct YAMLError: Error, Sendable, Hashable {
    var position: Diagnostic.Position
    var reason: String
}

enum YAMLReader {
    /// Deep enough for any configuration; stops an alias that contains itself.
    private static let depthLimit = 32

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
                let first = try readDocument(parser)
                // What stands behind it would be left out without a word.
                if first != nil, let second = try readDocument(parser) {
                    throw YAMLError(position: second.position, reason: "a second document (behind '---'); there may be one only")
                }
                return first
            }
        }
        return try result.get()
    }

    private static func readDocument(_ parser: UnsafeMutablePointer<yaml_parser_t>) throws(YAMLError) -> YAMLNode? {
        var document = yaml_document_t()
        guard yaml_parser_load(parser, &document) == 1 else {
            let reason = parser.pointee.problem.map { String(cString: $0) } ?? "not YAML"
            throw YAMLError(position: position(parser.pointee.problem_mark), reason: reason)
        }
        defer { yaml_document_delete(&document) }
        guard let root = yaml_document_get_root_node(&document) else { return nil }
        return try node(root, in: &document, depth: 0)
    }

    private static func node(
        _ pointer: UnsafeMutablePointer<yaml_node_t>, in document: inout yaml_document_t, depth: Int
    ) throws(YAMLError) -> YAMLNode {
        let place = position(pointer.pointee.start_mark)
        guard depth < depthLimit else { throw YAMLError(position: place, reason: "nested too deeply") }
        switch pointer.pointee.type {
        case YAML_SEQUENCE_NODE:
            let items = pointer.pointee.data.sequence.items
            var nodes: [YAMLNode] = []
            var item = items.start
            while let index = item, index < items.top {
                nodes.append(try child(index.pointee, in: &document, at: place, depth: depth))
                item = index + 1
            }
            return YAMLNode(content: .sequence(nodes), position: place)
        case YAML_MAPPING_NODE:
            return try mapping(pointer, in: &document, at: place, depth: depth)
        default:
            let scalar = pointer.pointee.data.scalar
            let text = String(decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self)
            let isPlain = scalar.style == YAML_PLAIN_SCALAR_STYLE
            return YAMLNode(content: .scalar(text, isPlain: isPlain), position: place)
        }
    }

    private static func mapping(
        _ pointer: UnsafeMutablePointer<yaml_node_t>, in document: inout yaml_document_t,
        at place: Diagnostic.Position, depth: Int
    ) throws(YAMLError) -> YAMLNode {
        let pairs = pointer.pointee.data.mapping.pairs
        var entries: [YAMLNode.Entry] = []
        var seen: Set<String> = []
        var pair = pairs.start
        while let current = pair, current < pairs.top {
            let key = try child(current.pointee.key, in: &document, at: place, depth: depth)
            guard let name = key.text else { throw YAMLError(position: key.position, reason: "a key must be a word") }
            // YAML 1.2 section 3.2.1.3: keys of a mapping are unique. libyaml does not check it.
            guard seen.insert(name).inserted else {
                throw YAMLError(position: key.position, reason: "the key '\(name)' stands here twice")
            }
            let value = try child(current.pointee.value, in: &document, at: place, depth: depth)
            entries.append(.init(key: key, value: value))
            pair = current + 1
        }
        return YAMLNode(content: .mapping(entries), position: place)
    }

    private static func child(
        _ index: Int32, in document: inout yaml_document_t, at place: Diagnostic.Position, depth: Int
    ) throws(YAMLError) -> YAMLNode {
        guard let pointer = yaml_document_get_node(&document, index) else {
            throw YAMLError(position: place, reason: "not YAML")
        }
        return try node(pointer, in: &document, depth: depth + 1)
    }

    /// libyaml counts from 0.
    private static func position(_ mark: yaml_mark_t) -> Diagnostic.Position {
        .init(line: mark.line + 1, column: mark.column + 1)
    }
}
