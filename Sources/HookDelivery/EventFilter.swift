// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Which events of a type a subscription hears, by what is in their data. Pure.

internal import JSONLD

/// Conditions on the data of an event; all must hold.
public struct EventFilter: Sendable, Hashable {
    public enum Test: Sendable, Hashable {
        /// Whether there is a value at the place, null included.
        case exists(Bool)
        /// The value is one of these. Numbers are compared as numbers, everything else exactly.
        case isOne(of: [Scalar])
    }

    /// A JSON value without parts.
    public enum Scalar: Sendable, Hashable {
        case string(String)
        /// As it is written.
        case number(String)
        case boolean(Bool)
        case null
    }

    public struct Condition: Sendable, Hashable {
        let tokens: [String]
        let test: Test

        /// - Parameter pointer: a JSON Pointer (RFC 6901) into the data; nil comes back if it is none.
        public init?(pointer: String, _ test: Test) {
            guard let tokens = Self.tokens(pointer) else { return nil }
            self.tokens = tokens
            self.test = test
        }

        // RFC 6901 section 3 and 4: json-pointer = *( "/" reference-token ); `~1` is `/`, `~0` is `~`.
        private static func tokens(_ pointer: String) -> [String]? {
            if pointer.isEmpty { return [] }
            guard pointer.hasPrefix("/") else { return nil }
            var tokens: [String] = []
            for part in pointer.utf8.dropFirst().split(separator: 0x2F, omittingEmptySubsequences: false) {
                var token: [UInt8] = []
                var isEscape = false
                for byte in part {
                    if isEscape {
                        guard byte == 0x30 || byte == 0x31 else { return nil }
                        token.append(byte == 0x30 ? 0x7E : 0x2F)
                        isEscape = false
                    } else if byte == 0x7E {
                        isEscape = true
                    } else {
                        token.append(byte)
                    }
                }
                if isEscape { return nil }
                tokens.append(String(decoding: token, as: UTF8.self))
            }
            return tokens
        }
    }

    public let conditions: [Condition]

    public init(_ conditions: [Condition]) { self.conditions = conditions }

    /// `json` is an event in structured mode. What cannot be read matches nothing.
    public func matches(_ json: [UInt8]) -> Bool {
        guard let root = try? JSONDocument(json, limits: EventEnvelope.limits).root else { return false }
        return matches(data: root["data"])
    }

    func matches(data: JSONValue?) -> Bool {
        conditions.allSatisfy { condition in
            let value = data.flatMap { Self.find(condition.tokens, in: $0) }
            switch condition.test {
            case .exists(let isThere): return (value != nil) == isThere
            case .isOne(let scalars): return value.map { value in scalars.contains { Self.isEqual(value, $0) } } ?? false
            }
        }
    }

    private static func find(_ tokens: [String], in data: JSONValue) -> JSONValue? {
        var value = data
        for token in tokens {
            switch value.kind {
            case .object:
                guard let next = value[token] else { return nil }
                value = next
            case .array:
                // RFC 6901 section 4: no leading zeros.
                guard let index = Int(token), String(index) == token, index >= 0,
                    let element = value.elementCursors.dropFirst(index).first(where: { _ in true })
                else { return nil }
                value = element
            case .string, .number, .true, .false, .null: return nil
            }
        }
        return value
    }

    private static func isEqual(_ value: JSONValue, _ scalar: Scalar) -> Bool {
        switch (value.kind, scalar) {
        case (.string, .string(let text)): value.isString(text)
        case (.number, .number(let text)): value.text.elementsEqual(text.utf8) || value.doubleValue == Double(text)
        case (.true, .boolean(let isTrue)): isTrue
        case (.false, .boolean(let isTrue)): !isTrue
        case (.null, .null): true
        default: false
        }
    }
}
