// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// From documents to a program: subschemas get numbers when they are first named, and wait on a
// list until their turn comes, so nothing recurses.

import JSONLD

struct Compilation {
    var registry: SchemaRegistry
    var program = SchemaProgram()
    let options: SchemaOptions
    private var numbers: [Place: Int32] = [:]
    private var pending: [(value: JSONValue, node: Int32)] = []
    /// The anchors of the program's dynamic references.
    var dynamicAnchors: [String] = []
    var patternNumbers: [String: Int32] = [:]

    init(_ schema: JSONDocument, documents: [String: JSONDocument], options: SchemaOptions) throws(SchemaError) {
        self.options = options
        registry = SchemaRegistry(documents: documents, options: options)
        let dialect = Dialect(options.draft, assertsFormats: options.assertsFormats)
        let resource = try registry.add(schema.root, uri: options.baseURI, fallback: dialect)
        // The schema itself is node 0.
        _ = try node(schema.root, 0, resource)
    }

    /// Compiles everything that can be reached.
    mutating func run() throws(SchemaError) -> SchemaProgram {
        for schema in registry.ownSchemas {
            guard let resource = registry.resourcesByPlace[Place(0, schema)] else { continue }
            _ = try node(schema, 0, resource)
        }
        repeat {
            while let (value, node) = pending.popLast() { try compile(value, node) }
            try findDynamicTargets()
        } while !pending.isEmpty
        program.documents = registry.documents
        if let node = EndlessReferences.find(in: program) {
            let place = program.nodes[node]
            let root = registry.documents[Int(place.document)]
            throw SchemaError(
                .endlessReference, document: root.uri,
                pointer: JSONPointer.pointer(from: root.root, to: Int(place.offset)))
        }
        return program
    }

    /// The number of the schema `value`, which is compiled later.
    mutating func node(_ value: JSONValue, _ document: Int, _ resource: Int) throws(SchemaError) -> Int32 {
        let place = Place(document, value)
        if let known = numbers[place] { return known }
        switch value.kind {
        case .object, .true, .false: break
        case .array, .string, .number, .null: throw registry.error(.invalidSchema, document, value)
        }
        guard program.nodes.count < options.subschemaLimit else { throw registry.error(.tooLarge, document, value) }
        let number = Int32(program.nodes.count)
        numbers[place] = number
        let own = registry.resourcesByPlace[place] ?? resource
        program.nodes.append(
            SchemaNode(
                keywords: 0..<0, resource: Int32(own), tracks: false, document: Int32(document),
                offset: Int32(place.offset)))
        pending.append((value, number))
        return number
    }

    // Core 2020-12 section 8.2.3.2: which target counts is known only when a value is checked; these are all there are.
    private mutating func findDynamicTargets() throws(SchemaError) {
        for (index, anchor) in dynamicAnchors.enumerated() {
            var targets: [Int32] = []
            for resource in registry.resources.indices {
                let own = registry.resources[resource]
                guard let value = own.dynamicAnchors[anchor] else {
                    targets.append(-1)
                    continue
                }
                targets.append(try node(value, own.document, resource))
            }
            program.dynamicReferences[index].targets = targets
        }
    }

    private mutating func compile(_ value: JSONValue, _ node: Int32) throws(SchemaError) {
        let first = Int32(program.keywords.count)
        let own = program.nodes[Int(node)]
        switch value.kind {
        case .true: break
        case .false: append(.never, 0, "")
        default:
            var compiler = SubschemaCompiler(
                value, document: Int(own.document), resource: Int(own.resource),
                dialect: registry.resources[Int(own.resource)].dialect)
            try compiler.compile(&self)
            program.nodes[Int(node)].tracks = compiler.tracks
        }
        program.nodes[Int(node)].keywords = first..<Int32(program.keywords.count)
    }

    mutating func append(_ operation: Operation, _ operand: Int, _ name: String) {
        program.keywords.append(Keyword(operation: operation, operand: Int32(clamping: operand)))
        program.keywordNames.append(name)
    }

    mutating func symbol(_ name: String) -> Int32 {
        Int32(program.names.insert(Array(name.utf8)))
    }
}

/// Looks for subschemas that apply themselves to the same value.
enum EndlessReferences {
    /// A subschema that does so; nil where there is none. Dynamic references are left out: where they lead is known
    /// only when a value is checked, and then the limit of depth stops them.
    static func find(in program: SchemaProgram) -> Int? {
        enum Mark { case new, open, done }
        var marks = Array(repeating: Mark.new, count: program.nodes.count)
        for start in program.nodes.indices where marks[start] == .new {
            var path: [(node: Int, rest: [Int32])] = [(start, targets(of: start, program))]
            marks[start] = .open
            while let last = path.indices.last {
                guard let next = path[last].rest.popLast() else {
                    marks[path[last].node] = .done
                    path.removeLast()
                    continue
                }
                switch marks[Int(next)] {
                case .open: return Int(next)
                case .done: break
                case .new:
                    marks[Int(next)] = .open
                    path.append((Int(next), targets(of: Int(next), program)))
                }
            }
        }
        return nil
    }

    /// The subschemas that a subschema applies to the value it is applied to.
    private static func targets(of node: Int, _ program: SchemaProgram) -> [Int32] {
        var result: [Int32] = []
        for index in program.nodes[node].keywords {
            let keyword = program.keywords[Int(index)]
            let operand = Int(keyword.operand)
            switch keyword.operation {
            case .reference, .not: result.append(keyword.operand)
            case .allOf, .anyOf, .oneOf: result += program.nodeLists[operand]
            case .condition:
                let condition = program.conditions[operand]
                result += [condition.test, condition.consequence, condition.alternative].compactMap { $0 }
            case .dependentSchemas: result += program.schemaDependencies[operand].map { $0.node }
            default: break
            }
        }
        return result
    }
}
