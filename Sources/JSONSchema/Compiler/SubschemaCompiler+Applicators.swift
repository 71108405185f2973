// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Keywords that apply other subschemas (JSON Schema Core 2020-12 sections 8.2.3, 10 and 11;
// draft 7 Validation sections 6.4 to 6.7).

import JSONLD

extension SubschemaCompiler {
    mutating func compileApplicators(_ compilation: inout Compilation) throws(SchemaError) {
        try compileMembers(&compilation)
        try compileElements(&compilation)
        try compileContains(&compilation)
        try compileSingle("propertyNames", .propertyNames, &compilation)
        try compileDependencies(&compilation)
        try compileReference(&compilation)
        for (name, operation) in [("allOf", Operation.allOf), ("anyOf", .anyOf), ("oneOf", .oneOf)] {
            guard let value = keyword(name) else { continue }
            compilation.program.nodeLists.append(try nodes(value, &compilation))
            compilation.append(operation, compilation.program.nodeLists.count - 1, name)
        }
        try compileSingle("not", .not, &compilation)
        try compileCondition(&compilation)
        guard dialect.draft == .draft2020 else { return }
        // Core section 11: these go by what all others have evaluated, so they come last.
        for (name, operation) in [
            ("unevaluatedItems", Operation.unevaluatedItems), ("unevaluatedProperties", .unevaluatedProperties),
        ] where keyword(name) != nil {
            try compileSingle(name, operation, &compilation)
            tracks = true
        }
    }

    private func node(_ value: JSONValue, _ compilation: inout Compilation) throws(SchemaError) -> Int32 {
        try compilation.node(value, document, resource)
    }

    private func nodes(_ value: JSONValue, _ compilation: inout Compilation) throws(SchemaError) -> [Int32] {
        guard value.kind == .array else { throw invalid(value, compilation) }
        var result: [Int32] = []
        for element in value.elementCursors { result.append(try node(element, &compilation)) }
        return result
    }

    private func compileSingle(
        _ name: String, _ operation: Operation, _ compilation: inout Compilation
    ) throws(SchemaError) {
        guard let value = keyword(name) else { return }
        compilation.append(operation, Int(try node(value, &compilation)), name)
    }

    func compileReference(_ compilation: inout Compilation) throws(SchemaError) {
        if let value = keyword("$ref") {
            let target = try compilation.registry.resolve(value, document, resource)
            let node = try compilation.node(target.value, target.document, target.resource)
            compilation.append(.reference, Int(node), "$ref")
        }
        guard dialect.draft == .draft2020, let value = keyword("$dynamicRef") else { return }
        let target = try compilation.registry.resolve(value, document, resource)
        let node = try compilation.node(target.value, target.document, target.resource)
        guard let anchor = target.dynamicAnchor else {
            // Core section 8.2.3.2: without a dynamic anchor at its first target it is an ordinary reference.
            compilation.append(.reference, Int(node), "$dynamicRef")
            return
        }
        compilation.dynamicAnchors.append(anchor)
        compilation.program.dynamicReferences.append(DynamicReference(fallback: node, targets: []))
        compilation.append(.dynamicReference, compilation.program.dynamicReferences.count - 1, "$dynamicRef")
    }

    // Core section 10.3.2.
    private func compileMembers(_ compilation: inout Compilation) throws(SchemaError) {
        let properties = keyword("properties")
        let patterns = keyword("patternProperties")
        let additional = keyword("additionalProperties")
        guard properties != nil || patterns != nil || additional != nil else { return }
        var rule = ObjectRule(properties: [], patterns: [], additional: nil)
        if let properties {
            guard properties.kind == .object else { throw invalid(properties, compilation) }
            for member in properties.memberCursors {
                let name = compilation.symbol(member.name.string ?? "")
                rule.properties.append(SchemaDependency(name: name, node: try node(member.value, &compilation)))
            }
            rule.properties.sort { $0.name < $1.name }
        }
        if let patterns {
            guard patterns.kind == .object else { throw invalid(patterns, compilation) }
            for member in patterns.memberCursors {
                let pattern = try pattern(member.name.string ?? "", at: member.value, &compilation)
                rule.patterns.append((pattern, try node(member.value, &compilation)))
            }
        }
        if let additional { rule.additional = try node(additional, &compilation) }
        compilation.program.objectRules.append(rule)
        compilation.append(.members, compilation.program.objectRules.count - 1, "properties")
    }

    // Core section 10.3.1; draft 7 Validation sections 6.4.1 and 6.4.2.
    private func compileElements(_ compilation: inout Compilation) throws(SchemaError) {
        var rule = ArrayRule(prefix: [], rest: nil)
        let items = keyword("items")
        if dialect.draft == .draft7, let items, items.kind == .array {
            rule.prefix = try nodes(items, &compilation)
            if let rest = keyword("additionalItems") { rule.rest = try node(rest, &compilation) }
        } else {
            if dialect.draft == .draft2020, let prefix = keyword("prefixItems") {
                rule.prefix = try nodes(prefix, &compilation)
            }
            if let items { rule.rest = try node(items, &compilation) }
        }
        guard !rule.prefix.isEmpty || rule.rest != nil else { return }
        compilation.program.arrayRules.append(rule)
        compilation.append(.elements, compilation.program.arrayRules.count - 1, "items")
    }

    // Core section 10.3.1.3, Validation sections 6.4.4 and 6.4.5; draft 7 section 6.4.6.
    private func compileContains(_ compilation: inout Compilation) throws(SchemaError) {
        guard let value = keyword("contains") else { return }
        var rule = ContainsRule(node: try node(value, &compilation), least: 1, most: nil)
        if dialect.draft == .draft2020 {
            if let least = keyword("minContains") { rule.least = try bound(least, compilation) }
            if let most = keyword("maxContains") { rule.most = try bound(most, compilation) }
        }
        compilation.program.containsRules.append(rule)
        compilation.append(.contains, compilation.program.containsRules.count - 1, "contains")
    }

    // Core section 10.2.2.4; draft 7 section 6.5.7, which 2020-12 still lets an implementation support (Core appendix).
    private func compileDependencies(_ compilation: inout Compilation) throws(SchemaError) {
        var schemas: [(String, [SchemaDependency])] = []
        if dialect.draft == .draft2020, let value = keyword("dependentSchemas") {
            guard value.kind == .object else { throw invalid(value, compilation) }
            var found: [SchemaDependency] = []
            for member in value.memberCursors {
                let name = compilation.symbol(member.name.string ?? "")
                found.append(SchemaDependency(name: name, node: try node(member.value, &compilation)))
            }
            schemas.append(("dependentSchemas", found))
        }
        if let value = keyword("dependencies") {
            guard value.kind == .object else { throw invalid(value, compilation) }
            var found: [SchemaDependency] = []
            var required: [NameDependency] = []
            for member in value.memberCursors {
                let name = compilation.symbol(member.name.string ?? "")
                if member.value.kind == .array {
                    required.append(NameDependency(name: name, required: try names(member.value, &compilation)))
                } else {
                    found.append(SchemaDependency(name: name, node: try node(member.value, &compilation)))
                }
            }
            if !required.isEmpty {
                compilation.program.nameDependencies.append(required)
                compilation.append(.dependentRequired, compilation.program.nameDependencies.count - 1, "dependencies")
            }
            schemas.append(("dependencies", found))
        }
        for (name, found) in schemas where !found.isEmpty {
            compilation.program.schemaDependencies.append(found)
            compilation.append(.dependentSchemas, compilation.program.schemaDependencies.count - 1, name)
        }
    }

    // Core section 10.2.2.1.
    private func compileCondition(_ compilation: inout Compilation) throws(SchemaError) {
        guard let test = keyword("if") else { return }
        var condition = Condition(test: try node(test, &compilation))
        if let value = keyword("then") { condition.consequence = try node(value, &compilation) }
        if let value = keyword("else") { condition.alternative = try node(value, &compilation) }
        compilation.program.conditions.append(condition)
        compilation.append(.condition, compilation.program.conditions.count - 1, "if")
    }
}
