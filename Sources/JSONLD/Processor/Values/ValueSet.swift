// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Keeps arrays free of equal values. Short arrays are searched; for longer ones it remembers
// hashes, so that a property with a hundred thousand values costs what they cost once.

/// Appends values to arrays of one tree unless they are there already.
struct UniqueAppender {
    private let tree: Tree
    private var known: [ArrayID: [Int: [Value]]] = [:]

    /// Arrays up to this length are searched.
    private static let searchedUpTo = 12

    init(tree: Tree) {
        self.tree = tree
    }

    mutating func append(_ value: Value, to array: ArrayID) {
        if tree.count(array) <= Self.searchedUpTo {
            for element in tree.elements(array) where tree.areEqual(element, value) { return }
            tree.append(value, to: array)
            return
        }
        if known[array] == nil {
            var hashes: [Int: [Value]] = [:]
            for element in tree.elements(array) { hashes[tree.deepHash(element), default: []].append(element) }
            known[array] = hashes
        }
        let hash = tree.deepHash(value)
        // The entry was made above.
        let candidates = known[array]?[hash] ?? []
        for candidate in candidates where tree.areEqual(candidate, value) { return }
        known[array]?[hash, default: []].append(value)
        tree.append(value, to: array)
    }

    /// Adds a value to the array that a member is.
    mutating func add(_ value: Value, to object: ObjectID, _ key: Symbol) {
        append(value, to: tree.arrayMember(object, key))
    }
}

extension Tree {
    /// The array that a member is; an empty one is made where there is none.
    func arrayMember(_ object: ObjectID, _ key: Symbol) -> ArrayID {
        if case .array(let array) = self[object, key] { return array }
        let array = makeArray()
        set(key, .array(array), in: object)
        return array
    }

    /// Equal values have equal hashes; the order of members means nothing.
    func deepHash(_ value: Value) -> Int {
        switch value {
        case .null, .boolean, .string, .number: return value.hashValue
        case .array(let array):
            var hasher = Hasher()
            hasher.combine(1)
            for element in elements(array) { hasher.combine(deepHash(element)) }
            return hasher.finalize()
        case .object(let object):
            var sum = 2
            for member in members(object) {
                var hasher = Hasher()
                hasher.combine(member.key)
                hasher.combine(deepHash(member.value))
                sum = sum &+ hasher.finalize()
            }
            return sum
        }
    }
}
