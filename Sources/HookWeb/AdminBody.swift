// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Bodies that clients of the management interface send: JSON objects with a few known members,
// read strictly, so that a mistyped name is told and not ignored.

import JSONLD

/// What is wrong with a body, for who sent it.
struct BodyProblem: Error {
    var message: String

    init(_ message: String) { self.message = message }

    var answer: WebAnswer { .error(status: 400, code: "body_invalid", message) }
}

struct AdminBody {
    private let root: JSONValue

    init(_ octets: [UInt8], names: Set<String>) throws(BodyProblem) {
        do throws(JSONError) {
            root = try JSONDocument(octets, duplicateNames: .reject).root
        } catch {
            throw BodyProblem("The body is no JSON: \(error.code.rawValue)")
        }
        guard root.kind == .object else { throw BodyProblem("The body is no JSON object") }
        for member in root.members where !names.contains(member.name) {
            throw BodyProblem("Known members are \(names.sorted().joined(separator: ", "))")
        }
    }

    /// nil where there is none.
    func text(_ name: String, _ length: ClosedRange<Int>) throws(BodyProblem) -> String? {
        guard let value = root[name] else { return nil }
        guard let text = value.string, !value.hasLoneSurrogate, length.contains(text.unicodeScalars.count) else {
            throw BodyProblem("\(name) is a text of \(length.lowerBound) to \(length.upperBound) characters")
        }
        return text
    }

    func boolean(_ name: String) throws(BodyProblem) -> Bool? {
        guard let value = root[name] else { return nil }
        guard let boolean = value.booleanValue else { throw BodyProblem("\(name) is true or false") }
        return boolean
    }

    func integer(_ name: String, in range: ClosedRange<Int>) throws(BodyProblem) -> Int? {
        guard let value = root[name] else { return nil }
        // 60.0 and 6e1 are the integer 60 to JSON Schema.
        guard let double = value.doubleValue, let integer = value.integerValue ?? Int(exactly: double),
            range.contains(integer)
        else { throw BodyProblem("\(name) is a whole number from \(range.lowerBound) to \(range.upperBound)") }
        return integer
    }

    /// The text of an object.
    func object(_ name: String) throws(BodyProblem) -> [UInt8]? {
        guard let value = root[name] else { return nil }
        guard value.kind == .object else { throw BodyProblem("\(name) is an object") }
        return Array(value.text)
    }

    /// Words joined by dots.
    func eventName(_ name: String) throws(BodyProblem) -> String? {
        guard let text = try text(name, 1...200) else { return nil }
        let words = text.split(separator: ".", omittingEmptySubsequences: false)
        let isGood = words.allSatisfy { word in
            !word.isEmpty && word.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_" || $0 == "-") }
        }
        guard isGood else { throw BodyProblem("\(name) is words of letters, digits, '_' and '-' joined by dots") }
        return text
    }
}
