// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What the algorithms ask of values: which kind of object one is (JSON-LD 1.1, section 9), whether
// two are equal, and the algorithm "add value" (JSON-LD API, section 3.3 of the terms).

extension Tree {
    /// An object with `@value`.
    func isValueObject(_ value: Value) -> Bool {
        if case .object(let object) = value { has(.value, object) } else { false }
    }

    /// An object with `@list`.
    func isListObject(_ value: Value) -> Bool {
        if case .object(let object) = value { has(.list, object) } else { false }
    }

    /// An object with none of `@value`, `@list` and `@set`.
    func isNodeObject(_ value: Value) -> Bool {
        guard case .object(let object) = value else { return false }
        return !has(.value, object) && !has(.list, object) && !has(.set, object)
    }

    /// An object with `@graph` and beside it at most `@id`, `@index` and `@context`.
    func isGraphObject(_ value: Value) -> Bool {
        guard case .object(let object) = value, has(.graph, object) else { return false }
        return members(object).allSatisfy { [.graph, .id, .index, .context].contains($0.key) }
    }

    /// The value itself if it is an array, else an array of it alone.
    func asArray(_ value: Value) -> ArrayID {
        if case .array(let array) = value { array } else { makeArray(value) }
    }

    /// Calls `body` with each element of an array, or with the value itself.
    func forEach(_ value: Value, _ body: (Value) throws(JSONLDError) -> Void) throws(JSONLDError) {
        guard case .array(let array) = value else { return try body(value) }
        for element in elements(array) { try body(element) }
    }

    /// Adds a value to a member that can have several: an array's elements one by one; the member becomes an array
    /// at its second value, or at once if it is to be one anyway.
    func addValue(_ value: Value, to object: ObjectID, _ key: Symbol, asArray: Bool) {
        if case .array(let values) = value {
            if asArray, !has(key, object) { add(key, .array(makeArray()), to: object) }
            for element in elements(values) { addValue(element, to: object, key, asArray: asArray) }
            return
        }
        guard let present = self[object, key] else {
            return add(key, asArray ? .array(makeArray(value)) : value, to: object)
        }
        let array: ArrayID
        if case .array(let found) = present {
            array = found
        } else {
            array = makeArray(present)
            set(key, .array(array), in: object)
        }
        append(value, to: array)
    }

    /// Equality as JSON values: the order of members means nothing, numbers are compared as written.
    func areEqual(_ left: Value, _ right: Value) -> Bool {
        switch (left, right) {
        case (.array(let first), .array(let second)):
            guard first != second else { return true }
            guard count(first) == count(second) else { return false }
            return zip(elements(first), elements(second)).allSatisfy { areEqual($0, $1) }
        case (.object(let first), .object(let second)):
            guard first != second else { return true }
            guard count(first) == count(second) else { return false }
            return members(first).allSatisfy { member in
                guard let other = self[second, member.key] else { return false }
                return areEqual(member.value, other)
            }
        default: return left == right
        }
    }

    /// A copy that shares no array or object with the original.
    func deepCopy(_ value: Value) -> Value {
        switch value {
        case .null, .boolean, .string, .number: return value
        case .array(let array):
            let copy = makeArray()
            for element in elements(array) { append(deepCopy(element), to: copy) }
            return .array(copy)
        case .object(let object):
            let copy = makeObject()
            for member in members(object) { add(member.key, deepCopy(member.value), to: copy) }
            return .object(copy)
        }
    }

    /// A copy of the object that shares its values.
    func shallowCopy(_ object: ObjectID) -> ObjectID {
        let copy = makeObject()
        for member in members(object) { add(member.key, member.value, to: copy) }
        return copy
    }

    /// A copy of a value of another tree whose table of strings is the same or the base of this one's.
    func copy(_ value: Value, from other: Tree) -> Value {
        switch value {
        case .null, .boolean, .string, .number: return value
        case .array(let array):
            let copied = makeArray()
            for element in other.elements(array) { append(copy(element, from: other), to: copied) }
            return .array(copied)
        case .object(let object):
            let copied = makeObject()
            for member in other.members(object) { add(member.key, copy(member.value, from: other), to: copied) }
            return .object(copied)
        }
    }
}
