// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Keywords that look at the value alone (JSON Schema Validation 2020-12 sections 6 and 7; the
// same in draft 7).

import JSONLD

extension Evaluator {
    /// Applies a keyword, or goes on with it. `answer` is what the subschema said that it asked to apply last.
    mutating func apply(_ keyword: Keyword, _ frame: inout Frame, _ answer: Bool?) -> Step {
        let node = tree.nodes[Int(frame.value)]
        switch keyword.operation {
        case .type: return passed(hasType(node, TypeBits(rawValue: keyword.operand)))
        case .never: return .violated
        case .oneOfValues: return passed(isChoice(frame.value, node, Int(keyword.operand)))
        case .multipleOf, .maximum, .exclusiveMaximum, .minimum, .exclusiveMinimum:
            guard node.kind == .number else { return .passed }
            return passed(compare(node, keyword))
        case .maxLength, .minLength, .pattern, .format:
            guard node.kind == .string else { return .passed }
            return passed(checkString(node, keyword))
        case .maxItems, .minItems:
            guard node.kind == .array else { return .passed }
            return passed(keyword.operation == .maxItems ? node.count <= keyword.operand : node.count >= keyword.operand)
        case .maxProperties, .minProperties:
            guard node.kind == .object else { return .passed }
            return passed(
                keyword.operation == .maxProperties ? node.count <= keyword.operand : node.count >= keyword.operand)
        case .uniqueItems:
            guard node.kind == .array else { return .passed }
            return passed(isUnique(Int(frame.value)))
        case .required, .dependentRequired:
            guard node.kind == .object else { return .passed }
            return passed(hasRequired(frame.value, keyword))
        default:
            return applySchemas(keyword, &frame, answer)
        }
    }

    private func passed(_ isValid: Bool) -> Step { isValid ? .passed : .violated }

    private mutating func hasType(_ node: ValueNode, _ types: TypeBits) -> Bool {
        if !types.isDisjoint(with: TypeBits(node.kind)) { return true }
        guard node.kind == .number, types.contains(.integer) else { return false }
        work -= Int(node.count) / 16
        return tree.number(node).isInteger
    }

    // Core 2020-12 section 4.2.2: equality of values.
    private mutating func isChoice(_ value: Int32, _ node: ValueNode, _ index: Int) -> Bool {
        guard !program.choices[index].types.isDisjoint(with: TypeBits(node.kind)) else { return false }
        var form = CanonicalForm(tree)
        scratch.removeAll(keepingCapacity: true)
        form.append(Int(value), to: &scratch)
        work -= scratch.count / 8
        return program.choices[index].forms.contains(scratch)
    }

    private mutating func compare(_ node: ValueNode, _ keyword: Keyword) -> Bool {
        work -= Int(node.count) / 4
        let number = tree.number(node)
        let bound = program.numbers[Int(keyword.operand)]
        switch keyword.operation {
        case .maximum: return number.compare(bound) <= 0
        case .exclusiveMaximum: return number.compare(bound) < 0
        case .minimum: return number.compare(bound) >= 0
        case .exclusiveMinimum: return number.compare(bound) > 0
        default: return number.isMultiple(of: bound)
        }
    }

    private mutating func checkString(_ node: ValueNode, _ keyword: Keyword) -> Bool {
        let content = tree.content(node)
        work -= content.count / 16
        switch keyword.operation {
        case .maxLength:
            return content.count <= keyword.operand || CodePoints.count(content) <= Int(keyword.operand)
        case .minLength:
            return CodePoints.count(content) >= Int(keyword.operand)
        case .pattern:
            return program.patterns[Int(keyword.operand)].matches(content, budget: &work) ?? false
        default:
            // Formats are linear, with some steps for each octet.
            work -= content.count * 4
            guard work >= 0 else { return true }
            return Format(rawValue: keyword.operand)?.matches(content) ?? true
        }
    }

    // Validation 2020-12 section 6.4.3. Forms are kept in a hash table with the process's own seed, so that whoever
    // chooses the elements chooses no collisions: linear in the array's text.
    private mutating func isUnique(_ array: Int) -> Bool {
        let count = Int(tree.nodes[array].count)
        guard count > 1 else { return true }
        var forms = Set<[UInt8]>(minimumCapacity: min(count, 1 << 16))
        var form = CanonicalForm(tree)
        let end = tree.next(array)
        var position = array + 1
        while position < end, work >= 0 {
            var bytes: [UInt8] = []
            form.append(position, to: &bytes)
            work -= 1 + bytes.count / 8
            guard forms.insert(bytes).inserted else { return false }
            position = tree.next(position)
        }
        return true
    }

    // Sections 6.5.3 and 6.5.4.
    private mutating func hasRequired(_ object: Int32, _ keyword: Keyword) -> Bool {
        let index = Int(keyword.operand)
        if keyword.operation == .required {
            for position in program.nameLists[index].indices
            where !hasMember(object, program.nameLists[index][position]) {
                return false
            }
            return true
        }
        for position in program.nameDependencies[index].indices {
            let dependency = program.nameDependencies[index][position]
            guard hasMember(object, dependency.name) else { continue }
            work -= dependency.required.count
            for name in dependency.required where !hasMember(object, name) { return false }
        }
        return true
    }
}
