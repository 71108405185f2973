// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Keywords that apply other subschemas. Each is a small state machine: it asks for one subschema
// to be applied, and is called again with the answer.

import JSONLD

extension Evaluator {
    mutating func applySchemas(_ keyword: Keyword, _ frame: inout Frame, _ answer: Bool?) -> Step {
        let index = Int(keyword.operand)
        switch keyword.operation {
        case .reference: return one(keyword.operand, &frame, answer)
        case .dynamicReference: return one(answer == nil ? dynamicTarget(index) : 0, &frame, answer)
        case .allOf: return allOf(index, &frame, answer)
        case .anyOf: return anyOf(index, &frame, answer)
        case .oneOf: return oneOf(index, &frame, answer)
        case .not:
            guard let answer else { return .descend(node: keyword.operand, value: frame.value, .negation) }
            return answer ? .violated : .passed
        case .condition: return condition(program.conditions[index], &frame, answer)
        case .dependentSchemas: return dependentSchemas(index, &frame, answer)
        case .members: return members(index, &frame, answer)
        case .propertyNames: return propertyNames(keyword.operand, &frame, answer)
        case .elements: return elements(index, &frame, answer)
        case .contains: return contains(program.containsRules[index], &frame, answer)
        case .unevaluatedProperties: return unevaluated(keyword.operand, .object, &frame, answer)
        case .unevaluatedItems: return unevaluated(keyword.operand, .array, &frame, answer)
        // Assertions have been dealt with.
        default: return .passed
        }
    }

    /// Notes a subschema's answer. Returns whether the keyword is done already: it failed, and nobody collects more.
    private func isDone(_ frame: inout Frame, _ answer: Bool?) -> Bool {
        guard answer == false else { return false }
        frame.isValid = false
        return !frame.collects
    }

    // MARK: in place

    private func one(_ node: Int32, _ frame: inout Frame, _ answer: Bool?) -> Step {
        guard let answer else { return .descend(node: node, value: frame.value, .inPlace) }
        return answer ? .passed : .failed
    }

    // Core 2020-12 section 8.2.3.2: the outermost resource of the dynamic scope that has the anchor.
    private mutating func dynamicTarget(_ index: Int) -> Int32 {
        for (distance, frame) in frames.enumerated() {
            let resource = Int(program.nodes[Int(frame.node)].resource)
            let target = program.dynamicReferences[index].targets[resource]
            if target >= 0 {
                work -= distance / 4
                return target
            }
        }
        work -= frames.count / 4
        return program.dynamicReferences[index].fallback
    }

    private func allOf(_ index: Int, _ frame: inout Frame, _ answer: Bool?) -> Step {
        if isDone(&frame, answer) { return .failed }
        let next = Int(frame.stage)
        guard next < program.nodeLists[index].count else { return .passed }
        frame.stage += 1
        return .descend(node: program.nodeLists[index][next], value: frame.value, .inPlace)
    }

    private func anyOf(_ index: Int, _ frame: inout Frame, _ answer: Bool?) -> Step {
        if answer == true {
            frame.count += 1
            // Every branch that is valid adds to what is evaluated.
            if !frame.tracks { return .passed }
        }
        let next = Int(frame.stage)
        guard next < program.nodeLists[index].count else { return frame.count > 0 ? .passed : .violated }
        frame.stage += 1
        return .descend(node: program.nodeLists[index][next], value: frame.value, .alternative)
    }

    private func oneOf(_ index: Int, _ frame: inout Frame, _ answer: Bool?) -> Step {
        if answer == true {
            frame.count += 1
            if frame.count > 1 { return .violated }
        }
        let next = Int(frame.stage)
        guard next < program.nodeLists[index].count else { return frame.count == 1 ? .passed : .violated }
        frame.stage += 1
        return .descend(node: program.nodeLists[index][next], value: frame.value, .alternative)
    }

    private func condition(_ condition: Condition, _ frame: inout Frame, _ answer: Bool?) -> Step {
        guard let answer else { return .descend(node: condition.test, value: frame.value, .alternative) }
        guard frame.stage == 0 else { return answer ? .passed : .failed }
        frame.stage = 1
        guard let branch = answer ? condition.consequence : condition.alternative else { return .passed }
        return .descend(node: branch, value: frame.value, .inPlace)
    }

    private mutating func dependentSchemas(_ index: Int, _ frame: inout Frame, _ answer: Bool?) -> Step {
        guard tree.nodes[Int(frame.value)].kind == .object else { return .passed }
        if isDone(&frame, answer) { return .failed }
        while Int(frame.stage) < program.schemaDependencies[index].count {
            let dependency = program.schemaDependencies[index][Int(frame.stage)]
            frame.stage += 1
            work -= 1
            if hasMember(frame.value, dependency.name) {
                return .descend(node: dependency.node, value: frame.value, .inPlace)
            }
        }
        return .passed
    }

    // MARK: children

    /// `properties`, `patternProperties` and `additionalProperties`. Position: name of the current member. Stage: 0 is
    /// the property, then the patterns, then the rest. Count: whether something has covered the member.
    private mutating func members(_ index: Int, _ frame: inout Frame, _ answer: Bool?) -> Step {
        guard tree.nodes[Int(frame.value)].kind == .object else { return .passed }
        if isDone(&frame, answer) { return .failed }
        if frame.position == 0 { frame.position = frame.value + 1 }
        let end = tree.nodes[Int(frame.value)].next
        let patternCount = Int32(program.objectRules[index].patterns.count)
        while frame.position < end, work >= 0 {
            let name = tree.nodes[Int(frame.position)]
            let value = frame.position + 1
            while frame.stage <= patternCount + 1 {
                let stage = frame.stage
                frame.stage += 1
                if let node = covering(stage, patternCount, name, index, isCovered: frame.count > 0) {
                    frame.count = 1
                    return .descend(node: node, value: value, .child)
                }
            }
            if frame.tracks, frame.count > 0 { evaluated.append(value) }
            work -= 1
            frame.position = tree.nodes[Int(value)].next
            frame.stage = 0
            frame.count = 0
        }
        return .passed
    }

    /// The subschema that a stage of `members` applies to the member of this name.
    private mutating func covering(
        _ stage: Int32, _ patternCount: Int32, _ name: ValueNode, _ index: Int, isCovered: Bool
    ) -> Int32? {
        if stage == 0 { return program.objectRules[index].property(name.symbol) }
        if stage > patternCount { return isCovered ? nil : program.objectRules[index].additional }
        let (pattern, node) = program.objectRules[index].patterns[Int(stage) - 1]
        let isMatch = program.patterns[Int(pattern)].matches(tree.content(name), budget: &work) ?? false
        return isMatch ? node : nil
    }

    private func propertyNames(_ node: Int32, _ frame: inout Frame, _ answer: Bool?) -> Step {
        guard tree.nodes[Int(frame.value)].kind == .object else { return .passed }
        if isDone(&frame, answer) { return .failed }
        if frame.position == 0 { frame.position = frame.value + 1 }
        let name = frame.position
        guard name < tree.nodes[Int(frame.value)].next else { return .passed }
        frame.position = tree.nodes[Int(name) + 1].next
        return .descend(node: node, value: name, .child)
    }

    /// `prefixItems` and `items`. Stage: the number of the current element.
    private mutating func elements(_ index: Int, _ frame: inout Frame, _ answer: Bool?) -> Step {
        guard tree.nodes[Int(frame.value)].kind == .array else { return .passed }
        if isDone(&frame, answer) { return .failed }
        if frame.position == 0 { frame.position = frame.value + 1 }
        let element = frame.position
        guard element < tree.nodes[Int(frame.value)].next else { return .passed }
        let stage = Int(frame.stage)
        let prefixCount = program.arrayRules[index].prefix.count
        guard let node = stage < prefixCount ? program.arrayRules[index].prefix[stage] : program.arrayRules[index].rest
        else { return .passed }
        frame.position = tree.nodes[Int(element)].next
        frame.stage += 1
        if frame.tracks { evaluated.append(element) }
        return .descend(node: node, value: element, .child)
    }

    /// Stage: the element that was tried last. Count: elements that matched.
    private mutating func contains(_ rule: ContainsRule, _ frame: inout Frame, _ answer: Bool?) -> Step {
        guard tree.nodes[Int(frame.value)].kind == .array else { return .passed }
        if answer == true {
            frame.count += 1
            if frame.tracks { evaluated.append(frame.stage) }
            if let most = rule.most, Int(frame.count) > most { return .violated }
        }
        if rule.most == nil, !frame.tracks, Int(frame.count) >= rule.least { return .passed }
        if frame.position == 0 { frame.position = frame.value + 1 }
        let element = frame.position
        guard element < tree.nodes[Int(frame.value)].next else {
            return Int(frame.count) >= rule.least ? .passed : .violated
        }
        frame.position = tree.nodes[Int(element)].next
        frame.stage = element
        return .descend(node: rule.node, value: element, .quietChild)
    }

    // Core 2020-12 sections 11.2 and 11.3.
    private mutating func unevaluated(
        _ node: Int32, _ kind: JSONDocument.Kind, _ frame: inout Frame, _ answer: Bool?
    ) -> Step {
        guard tree.nodes[Int(frame.value)].kind == kind else { return .passed }
        if frame.position == 0 {
            // Where something failed already, what it would have evaluated is not known.
            guard frame.isValid else { return .failed }
            evaluated[Int(frame.mark)...].sort()
            work -= evaluated.count - Int(frame.mark)
            frame.position = frame.value + 1
        }
        if isDone(&frame, answer) { return .failed }
        let distance: Int32 = kind == .object ? 1 : 0
        let end = tree.nodes[Int(frame.value)].next
        while frame.position < end, work >= 0 {
            let value = frame.position + distance
            frame.position = tree.nodes[Int(value)].next
            work -= 1
            if !isEvaluated(value, since: Int(frame.mark)) { return .descend(node: node, value: value, .child) }
        }
        guard frame.feedsParent else { return .passed }
        // Now all of them are.
        var position = frame.value + 1
        while position < end {
            evaluated.append(position + distance)
            position = tree.nodes[Int(position + distance)].next
        }
        return .passed
    }

    private func isEvaluated(_ value: Int32, since mark: Int) -> Bool {
        var lower = mark
        var upper = evaluated.count
        while lower < upper {
            let middle = (lower + upper) / 2
            if evaluated[middle] < value { lower = middle + 1 } else { upper = middle }
        }
        return lower < evaluated.count && evaluated[lower] == value
    }
}
