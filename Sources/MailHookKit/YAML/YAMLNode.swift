// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A YAML document as a tree whose every node knows its line and column.

struct YAMLNode: Sendable, Hashable {
    enum Content: Sendable, Hashable {
        /// `isPlain` is false for quoted and block scalars, which are never numbers, booleans or null.
        case scalar(String, isPlain: Bool)
        case sequence([YAMLNode])
        case mapping([Entry])
    }

    struct Entry: Sendable, Hashable {
        var key: YAMLNode
        var value: YAMLNode
    }

    var content: Content
    var position: Diagnostic.Position

    /// The text of a scalar.
    var text: String? {
        if case .scalar(let text, _) = content { return text }
        return nil
    }

    /// YAML 1.2 core schema section 10.3.2: an empty plain scalar, `~` and `null` are null.
    var isNull: Bool {
        if case .scalar(let text, isPlain: true) = content { return ["", "~", "null", "Null", "NULL"].contains(text) }
        return false
    }

    var kindName: String {
        switch content {
        case .scalar: "a single value"
        case .sequence: "a list"
        case .mapping: "a mapping"
        }
    }
}
