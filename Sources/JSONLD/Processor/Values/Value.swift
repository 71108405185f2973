// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A JSON value inside the working tree: eight octets, copied freely. Strings and numbers are
// symbols, arrays and objects places in the tree.

/// An array of a `Tree`.
struct ArrayID: Hashable, Sendable, BitwiseCopyable {
    var index: Int32
}

/// An object of a `Tree`.
struct ObjectID: Hashable, Sendable, BitwiseCopyable {
    var index: Int32
}

/// A value of a `Tree`. Arrays and objects are references: what is changed through one copy is seen through all.
enum Value: Hashable, Sendable, BitwiseCopyable {
    case null
    case boolean(Bool)
    case string(Symbol)
    /// The number as it was written.
    case number(Symbol)
    case array(ArrayID)
    case object(ObjectID)

    var isNull: Bool { self == .null }

    /// Neither array nor object nor null.
    var isScalar: Bool {
        switch self {
        case .boolean, .string, .number: true
        case .null, .array, .object: false
        }
    }

    var string: Symbol? {
        if case .string(let symbol) = self { symbol } else { nil }
    }

    var array: ArrayID? {
        if case .array(let array) = self { array } else { nil }
    }

    var object: ObjectID? {
        if case .object(let object) = self { object } else { nil }
    }
}
