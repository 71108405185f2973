// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Nodes as they come to a tree, with what anchors and aliases mean. Limits hold while it grows: a text of some lines
// can stand for thousands of millions of nodes, or be nested as deeply as it is long.

struct YAMLTreeBuilder {
    /// Deep enough for any configuration. Whoever walks the tree may recurse.
    static let depthLimit = 32
    /// Nodes, those counted again that an alias repeats. A configuration of ten thousand hooks has half as many.
    static let sizeLimit = 250_000

    /// A node with all that is in it.
    private struct Branch {
        var node: YAMLNode
        var size = 1
        /// 1 for a scalar.
        var height = 1
    }

    /// A sequence or mapping whose end has not come.
    private struct Collection {
        var isMapping: Bool
        var position: Diagnostic.Position
        var anchor: String?
        var items: [YAMLNode] = []
        var entries: [YAMLNode.Entry] = []
        /// Waits for its value.
        var key: YAMLNode?
        var names: Set<String> = []
        var size = 1
        var height = 1
    }

    /// The whole; nil until its end has come.
    private(set) var root: YAMLNode?
    private var open: [Collection] = []
    private var anchors: [String: Branch] = [:]
    private var size = 0

    mutating func scalar(
        _ text: String, isPlain: Bool, anchor: String?, at position: Diagnostic.Position
    ) throws(YAMLError) {
        try add(Branch(node: YAMLNode(content: .scalar(text, isPlain: isPlain), position: position)), at: position, anchor)
    }

    mutating func begin(isMapping: Bool, anchor: String?, at position: Diagnostic.Position) throws(YAMLError) {
        try checkDepth(1, at: position)
        open.append(Collection(isMapping: isMapping, position: position, anchor: anchor))
    }

    /// Of the innermost collection.
    mutating func end() throws(YAMLError) {
        guard let last = open.popLast() else { return }
        let content: YAMLNode.Content = last.isMapping ? .mapping(last.entries) : .sequence(last.items)
        let node = YAMLNode(content: content, position: last.position)
        try add(Branch(node: node, size: last.size, height: last.height), at: last.position, last.anchor, isCounted: true)
    }

    /// An anchor is known from its node's end on, so that nothing contains itself.
    mutating func alias(_ name: String, at position: Diagnostic.Position) throws(YAMLError) {
        guard let branch = anchors[name] else {
            throw YAMLError(position: position, reason: "the alias '*\(name)' stands for nothing that ends before it")
        }
        try add(branch, at: position, nil)
    }

    /// - Parameter isCounted: the nodes inside of it were added one by one.
    private mutating func add(
        _ branch: Branch, at position: Diagnostic.Position, _ anchor: String?, isCounted: Bool = false
    ) throws(YAMLError) {
        try checkDepth(branch.height, at: position)
        size += isCounted ? 1 : branch.size
        guard size <= Self.sizeLimit else {
            throw YAMLError(position: position, reason: "more than \(Self.sizeLimit) values, with what aliases stand for")
        }
        if let anchor {
            guard anchors.updateValue(branch, forKey: anchor) == nil else {
                throw YAMLError(position: position, reason: "the anchor '&\(anchor)' stands here twice")
            }
        }
        guard let last = open.indices.last else { return root = branch.node }
        open[last].size += branch.size
        open[last].height = max(open[last].height, branch.height + 1)
        if open[last].isMapping {
            try addMember(branch.node, to: last)
        } else {
            open[last].items.append(branch.node)
        }
    }

    private mutating func addMember(_ node: YAMLNode, to last: Int) throws(YAMLError) {
        if let key = open[last].key {
            open[last].entries.append(.init(key: key, value: node))
            open[last].key = nil
            return
        }
        guard let name = node.text else { throw YAMLError(position: node.position, reason: "a key must be a word") }
        // YAML 1.2 section 3.2.1.3: keys of a mapping are unique. libyaml does not check it.
        guard open[last].names.insert(name).inserted else {
            throw YAMLError(position: node.position, reason: "the key '\(name)' stands here twice")
        }
        open[last].key = node
    }

    private func checkDepth(_ height: Int, at position: Diagnostic.Position) throws(YAMLError) {
        guard open.count + height <= Self.depthLimit else { throw YAMLError(position: position, reason: "nested too deeply") }
    }
}
