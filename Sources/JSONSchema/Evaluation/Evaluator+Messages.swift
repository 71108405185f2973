// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What a violation says: the keyword and its operand, never the value.

extension Evaluator {
    func message(_ keyword: Keyword) -> String {
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
        case .required, .dependentRequired: return "lacks a member that is required"
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
}
