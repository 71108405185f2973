// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The keywords of one subschema: assertions, cheap ones first. What applies other subschemas
// stands in an extension.

import JSONLD

struct SubschemaCompiler {
    let document: Int
    let resource: Int
    let dialect: Dialect
    private let members: [String: JSONValue]
    /// Whether it has `unevaluatedProperties` or `unevaluatedItems`.
    var tracks = false

    init(_ value: JSONValue, document: Int, resource: Int, dialect: Dialect) {
        self.document = document
        self.resource = resource
        self.dialect = dialect
        var members: [String: JSONValue] = [:]
        for member in value.memberCursors {
            let name = member.name.string ?? ""
            // Of two members with one name the first counts, as for references.
            if members[name] == nil { members[name] = member.value }
        }
        self.members = members
    }

    /// The value of a keyword that counts in this dialect.
    func keyword(_ name: String) -> JSONValue? {
        guard dialect.has(name) else { return nil }
        return members[name]
    }

    func invalid(_ value: JSONValue, _ compilation: Compilation) -> SchemaError {
        compilation.registry.error(.invalidKeyword, document, value)
    }

    mutating func compile(_ compilation: inout Compilation) throws(SchemaError) {
        // Draft 7 section 8.3: all other properties in an object with $ref are ignored.
        if dialect.draft == .draft7, members["$ref"] != nil {
            try compileReference(&compilation)
            return
        }
        try compileType(&compilation)
        try compileValues(&compilation)
        try compileNumbers(&compilation)
        try compileBounds(&compilation)
        try compileRequired(&compilation)
        try compilePattern(&compilation)
        if let unique = keyword("uniqueItems") {
            guard let isUnique = unique.booleanValue else { throw invalid(unique, compilation) }
            if isUnique { compilation.append(.uniqueItems, 0, "uniqueItems") }
        }
        try compileFormat(&compilation)
        try compileApplicators(&compilation)
    }

    // Validation 2020-12 section 6.1.1.
    private func compileType(_ compilation: inout Compilation) throws(SchemaError) {
        guard let value = keyword("type") else { return }
        var bits = TypeBits()
        for name in value.kind == .array ? value.elements : [value] {
            guard let found = TypeBits.names.first(where: { name.isString($0.0) }) else { throw invalid(value, compilation) }
            bits.formUnion(found.1)
        }
        compilation.append(.type, Int(bits.rawValue), "type")
    }

    // Sections 6.1.2 and 6.1.3.
    private func compileValues(_ compilation: inout Compilation) throws(SchemaError) {
        if let value = keyword("enum") {
            guard value.kind == .array else { throw invalid(value, compilation) }
            appendChoices(value.elements, "enum", &compilation)
        }
        if let value = keyword("const") { appendChoices([value], "const", &compilation) }
    }

    private func appendChoices(_ values: [JSONValue], _ name: String, _ compilation: inout Compilation) {
        var choices = Choices(types: TypeBits(), forms: [])
        for value in values {
            choices.types.formUnion(TypeBits(value.kind))
            choices.forms.insert(ValueTree(value, names: NameTable()).canonicalForm)
        }
        compilation.program.choices.append(choices)
        compilation.append(.oneOfValues, compilation.program.choices.count - 1, name)
    }

    // Section 6.2.
    private func compileNumbers(_ compilation: inout Compilation) throws(SchemaError) {
        let operations: [(String, Operation)] = [
            ("maximum", .maximum), ("exclusiveMaximum", .exclusiveMaximum), ("minimum", .minimum),
            ("exclusiveMinimum", .exclusiveMinimum), ("multipleOf", .multipleOf),
        ]
        for (name, operation) in operations {
            guard let value = keyword(name) else { continue }
            guard value.kind == .number else { throw invalid(value, compilation) }
            let number = decimal(value)
            if operation == .multipleOf {
                guard !number.isNegative, !number.isZero else { throw invalid(value, compilation) }
                guard number.digits.isEmpty else {
                    throw compilation.registry.error(.unsupportedNumber, document, value)
                }
            }
            compilation.program.numbers.append(number)
            compilation.append(operation, compilation.program.numbers.count - 1, name)
        }
    }

    private func decimal(_ value: JSONValue) -> Decimal {
        value.text.withUnsafeBufferPointer { Decimal($0) }
    }

    // Sections 6.3 to 6.5.
    private func compileBounds(_ compilation: inout Compilation) throws(SchemaError) {
        let operations: [(String, Operation)] = [
            ("maxItems", .maxItems), ("minItems", .minItems), ("maxProperties", .maxProperties),
            ("minProperties", .minProperties), ("maxLength", .maxLength), ("minLength", .minLength),
        ]
        for (name, operation) in operations {
            guard let value = keyword(name) else { continue }
            compilation.append(operation, try bound(value, compilation), name)
        }
    }

    /// A non-negative integer, also written as 2.0 or 2e0. Beyond 2,147,483,647 it is that: no value is so large.
    func bound(_ value: JSONValue, _ compilation: Compilation) throws(SchemaError) -> Int {
        guard value.kind == .number else { throw invalid(value, compilation) }
        let number = decimal(value)
        guard number.isInteger, !number.isNegative else { throw invalid(value, compilation) }
        guard number.length + number.exponent < 10 else { return Int(Int32.max) }
        var result = Int(truncatingIfNeeded: number.small)
        if !number.isZero { for _ in 0..<number.exponent { result *= 10 } }
        return result
    }

    // Sections 6.5.3 and 6.5.4; draft 7 section 6.5.7.
    private func compileRequired(_ compilation: inout Compilation) throws(SchemaError) {
        if let value = keyword("required") {
            compilation.program.nameLists.append(try names(value, &compilation))
            compilation.append(.required, compilation.program.nameLists.count - 1, "required")
        }
        if dialect.draft == .draft2020, let value = keyword("dependentRequired") {
            guard value.kind == .object else { throw invalid(value, compilation) }
            var dependencies: [NameDependency] = []
            for member in value.memberCursors {
                let name = compilation.symbol(member.name.string ?? "")
                dependencies.append(NameDependency(name: name, required: try names(member.value, &compilation)))
            }
            compilation.program.nameDependencies.append(dependencies)
            compilation.append(
                .dependentRequired, compilation.program.nameDependencies.count - 1, "dependentRequired")
        }
    }

    func names(_ value: JSONValue, _ compilation: inout Compilation) throws(SchemaError) -> [Int32] {
        guard value.kind == .array else { throw invalid(value, compilation) }
        var result: [Int32] = []
        for element in value.elementCursors {
            guard let name = element.string else { throw invalid(element, compilation) }
            result.append(compilation.symbol(name))
        }
        return result
    }

    // Section 6.3.3.
    private func compilePattern(_ compilation: inout Compilation) throws(SchemaError) {
        guard let value = keyword("pattern") else { return }
        guard let text = value.string else { throw invalid(value, compilation) }
        compilation.append(.pattern, Int(try pattern(text, at: value, &compilation)), "pattern")
    }

    /// The number of a pattern.
    func pattern(_ text: String, at place: JSONValue, _ compilation: inout Compilation) throws(SchemaError) -> Int32 {
        if let known = compilation.patternNumbers[text] { return known }
        let pattern: Pattern
        do throws(PatternError) {
            pattern = try Pattern(text.unicodeScalars.map(\.value), size: compilation.options.patternSize)
        } catch {
            throw compilation.registry.error(
                error.code == .syntax ? .invalidPattern : .unsupportedPattern, document, place,
                "\(error.code.rawValue), near character \(error.offset)")
        }
        compilation.program.patterns.append(pattern)
        let number = Int32(compilation.program.patterns.count - 1)
        compilation.patternNumbers[text] = number
        return number
    }

    // Section 7. A format that is not known is an annotation.
    private func compileFormat(_ compilation: inout Compilation) throws(SchemaError) {
        guard let value = keyword("format") else { return }
        guard let name = value.string else { throw invalid(value, compilation) }
        guard dialect.assertsFormats, let format = Format.named(name) else { return }
        compilation.append(.format, Int(format.rawValue), "format")
    }
}
