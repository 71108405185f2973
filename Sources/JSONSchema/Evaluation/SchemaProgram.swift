// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A compiled schema: subschemas are numbers, keywords small values without references, and what
// they need stands in tables. So walking it costs no reference counting.

import JSONLD

/// What a keyword does. Operands are numbers, or places in the program's tables.
enum Operation: UInt8, Sendable {
    // Assertions.
    /// Operand: bits of the kinds allowed, `TypeBits`.
    case type
    /// Operand: index in `choices`.
    case oneOfValues
    /// Operand: index in `numbers`.
    case multipleOf, maximum, exclusiveMaximum, minimum, exclusiveMinimum
    /// Operand: the bound.
    case maxLength, minLength, maxItems, minItems, maxProperties, minProperties
    /// Operand: index in `patterns`.
    case pattern
    case uniqueItems
    /// Operand: index in `nameLists`.
    case required
    /// Operand: index in `nameDependencies`.
    case dependentRequired
    /// Operand: `Format.rawValue`.
    case format
    /// The schema `false`.
    case never

    // Applicators.
    /// Operand: the subschema.
    case reference, not, propertyNames, unevaluatedProperties, unevaluatedItems
    /// Operand: index in `dynamicReferences`.
    case dynamicReference
    /// Operand: index in `nodeLists`.
    case allOf, anyOf, oneOf
    /// Operand: index in `conditions`.
    case condition
    /// Operand: index in `schemaDependencies`.
    case dependentSchemas
    /// Operand: index in `objectRules`: `properties`, `patternProperties` and `additionalProperties` together.
    case members
    /// Operand: index in `arrayRules`: `prefixItems` and `items` together.
    case elements
    /// Operand: index in `containsRules`.
    case contains
}

/// One keyword of a subschema.
struct Keyword: Sendable {
    var operation: Operation
    var operand: Int32
}

/// A subschema.
struct SchemaNode: Sendable {
    /// Its keywords in the program's list.
    var keywords: Range<Int32>
    /// The schema resource it belongs to.
    var resource: Int32
    /// Whether it asks what other keywords have evaluated.
    var tracks: Bool
    /// The document, and where in it the subschema stands, for messages.
    var document: Int32
    var offset: Int32
}

struct NameDependency: Sendable {
    var name: Int32
    var required: [Int32]
}

struct SchemaDependency: Sendable {
    var name: Int32
    var node: Int32
}

struct Condition: Sendable {
    var test: Int32
    var consequence: Int32?
    var alternative: Int32?
}

struct ObjectRule: Sendable {
    /// Sorted by name.
    var properties: [SchemaDependency]
    var patterns: [(pattern: Int32, node: Int32)]
    var additional: Int32?

    /// The subschema for the member of this name.
    func property(_ symbol: Int32) -> Int32? {
        guard symbol >= 0 else { return nil }
        var lower = 0
        var upper = properties.count
        while lower < upper {
            let middle = (lower + upper) / 2
            if properties[middle].name < symbol { lower = middle + 1 } else { upper = middle }
        }
        return lower < properties.count && properties[lower].name == symbol ? properties[lower].node : nil
    }
}

struct ArrayRule: Sendable {
    var prefix: [Int32]
    var rest: Int32?
}

struct ContainsRule: Sendable {
    var node: Int32
    var least: Int
    var most: Int?
}

struct DynamicReference: Sendable {
    /// Where the reference leads if nothing in the dynamic scope says otherwise.
    var fallback: Int32
    /// For each schema resource, its subschema with the dynamic anchor, -1 where it has none.
    var targets: [Int32]
}

/// The values of `enum` or `const`.
struct Choices: Sendable {
    var types: TypeBits
    /// Their canonical forms.
    var forms: Set<[UInt8]>
}

struct TypeBits: OptionSet, Sendable {
    var rawValue: Int32

    static let null = TypeBits(rawValue: 1)
    static let boolean = TypeBits(rawValue: 2)
    static let object = TypeBits(rawValue: 4)
    static let array = TypeBits(rawValue: 8)
    static let number = TypeBits(rawValue: 16)
    static let string = TypeBits(rawValue: 32)
    /// Numbers without a fraction.
    static let integer = TypeBits(rawValue: 64)

    static let names: [(String, TypeBits)] = [
        ("null", .null), ("boolean", .boolean), ("object", .object), ("array", .array), ("number", .number),
        ("string", .string), ("integer", .integer),
    ]

    init(rawValue: Int32) { self.rawValue = rawValue }

    init(_ kind: JSONDocument.Kind) {
        switch kind {
        case .object: self = .object
        case .array: self = .array
        case .string: self = .string
        case .number: self = .number
        case .true, .false: self = .boolean
        case .null: self = .null
        }
    }
}

/// Everything that checking a value needs.
struct SchemaProgram: Sendable {
    var nodes: [SchemaNode] = []
    var keywords: [Keyword] = []
    /// For each keyword its name, for messages.
    var keywordNames: [String] = []
    var names = NameTable()
    var choices: [Choices] = []
    var numbers: [Decimal] = []
    var patterns: [Pattern] = []
    var nameLists: [[Int32]] = []
    var nameDependencies: [[NameDependency]] = []
    var schemaDependencies: [[SchemaDependency]] = []
    var nodeLists: [[Int32]] = []
    var conditions: [Condition] = []
    var objectRules: [ObjectRule] = []
    var arrayRules: [ArrayRule] = []
    var containsRules: [ContainsRule] = []
    var dynamicReferences: [DynamicReference] = []
    /// The documents, for messages: URI and text. The first one is the schema itself.
    var documents: [(uri: String, root: JSONValue)] = []
}
