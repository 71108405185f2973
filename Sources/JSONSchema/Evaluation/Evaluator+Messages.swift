// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What a violation says: the keyword and its operand, never the value.

extension Evaluator {
    /// What a violated keyword says about the value at `value`.
    mutating func message(_ keyword: Keyword, _ value: Int32) -> String {
        let operand = keyword.operand
        switch keyword.operation {
        case .type:
            let types = TypeBits(rawValue: operand)
            return "not of type " + TypeBits.names.filter { types.contains($0.1) }.map(\.0).joined(separator: " or ")
        case .never: return "not allowed here"
        case .oneOfValues: return "not one of the values allowed"
        case .multipleOf: return "not a multiple of the divisor"
        case .maximum, .exclusiveMaximum: return "too large"
        case .minimum, .exclusiveMinimum: return "too small"
        case .maxLength: return "longer than \(operand) characters"
        case .minLength: return "shorter than \(operand) characters"
        case .maxItems: return "more than \(operand) elements"
        case .minItems: return "fewer than \(operand) elements"
        case .maxProperties: return "more than \(operand) members"
        case .minProperties: return "fewer than \(operand) members"
        case .pattern: return "does not match the pattern"
        case .uniqueItems: return "has equal elements"
        case .required, .dependentRequired: return missingMembers(keyword, value)
        case .format: return "not in the format " + (Format(rawValue: operand)?.name ?? "")
        case .anyOf: return "matches none of the alternatives"
        case .oneOf: return "does not match exactly one of the alternatives"
        case .not: return "matches what is excluded"
        case .contains: return "wrong number of elements that match"
        case .reference, .dynamicReference, .allOf, .condition, .dependentSchemas, .members, .elements, .propertyNames,
            .unevaluatedItems, .unevaluatedProperties:
            return "not valid"
        }
    }

    /// Names of members come from the schema here.
    private mutating func missingMembers(_ keyword: Keyword, _ object: Int32) -> String {
        var required: [Int32] = []
        if keyword.operation == .required {
            required = program.nameLists[Int(keyword.operand)]
        } else {
            for dependency in program.nameDependencies[Int(keyword.operand)] where hasMember(object, dependency.name) {
                required += dependency.required
            }
        }
        var missing: [String] = []
        for name in required where !hasMember(object, name) {
            missing.append("\"" + String(decoding: program.names.names[Int(name)], as: UTF8.self) + "\"")
        }
        return "lacks " + missing.joined(separator: ", ")
    }
}
