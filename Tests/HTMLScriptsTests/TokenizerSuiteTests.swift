// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Every case of html5lib's tokenizer suite: tags, attributes and text. Comments and document types are compared by
// where they end.

import Foundation
import TestSupport
import Testing

@testable import HTMLScripts

@Suite(.conformance("html5lib")) struct TokenizerSuiteTests {
    struct Case {
        var title: String
        var input: String
        var expected: [Event]
        var states: [StartState]
        var lastStartTag: String?
    }

    /// Cases that HTMLScripts answers otherwise, with the reason. A key is "file: description".
    static let exceptions: [String: String] = [:]

    /// The README of the suite: 6,810 cases; some run in several states.
    static let least = 6_810

    @Test func tagsAttributesAndText() throws {
        var (ran, passed, leftOut) = (0, 0, 0)
        var failures: [String] = []
        for file in Conformance.files("html5lib", "tokenizer", extensions: ["test"]) where file != "xmlViolation.test" {
            for test in try Self.cases(file) {
                for state in test.states {
                    if Self.exceptions[test.title] != nil {
                        leftOut += 1
                        continue
                    }
                    ran += 1
                    let bytes = Array(test.input.utf8)
                    let got = ReaderEvents.read(bytes, from: state, lastStartTag: test.lastStartTag)
                    let naive = ReferenceTokenizer.read(bytes, from: state, lastStartTag: test.lastStartTag)
                    if got == test.expected, naive == test.expected {
                        passed += 1
                    } else {
                        failures.append(
                            "\(test.title) [\(state)]: \(test.input.debugDescription) expected \(test.expected), got \(got), naive \(naive)"
                        )
                    }
                }
            }
        }
        print("html5lib tokenizer: ran \(ran), passed \(passed), failed \(failures.count), left out \(leftOut)")
        #expect(failures.isEmpty, "\(failures.prefix(20).joined(separator: "\n"))")
        #expect(ran + leftOut >= Self.least)
    }

    private static func cases(_ file: String) throws -> [Case] {
        let data = try Data(Conformance.bytes("html5lib", "tokenizer/" + file))
        let document = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        let tests = try #require(document["tests"] as? [[String: Any]])
        return try tests.map { test in
            let isEscaped = test["doubleEscaped"] as? Bool ?? false
            let unescape: (String) -> String = { isEscaped ? Self.unescaped($0) : $0 }
            let input = try #require(test["input"] as? String)
            let output = try #require(test["output"] as? [[Any]])
            let states = (test["initialStates"] as? [String] ?? ["Data state"]).map { StartState(rawValue: $0) }
            let title = test["description"] as? String ?? ""
            return Case(
                title: "\(file): \(title)", input: unescape(input), expected: events(output, unescape),
                states: try states.map { try #require($0) }, lastStartTag: test["lastStartTag"] as? String)
        }
    }

    private static func events(_ output: [[Any]], _ unescape: (String) -> String) -> [Event] {
        var events: [Event] = []
        for token in output {
            let name = unescape(token.count > 1 ? token[1] as? String ?? "" : "")
            switch token[0] as? String {
            case "StartTag":
                let attributes = token[2] as? [String: String] ?? [:]
                let pairs = attributes.map { (unescape($0.key), unescape($0.value)) }
                let isSelfClosing = token.count > 3 && token[3] as? Bool == true
                events.append(.startTag(name, Dictionary(uniqueKeysWithValues: pairs), isSelfClosing: isSelfClosing))
            case "EndTag": events.append(.endTag(name))
            case "Character": events.appendText(name)
            default: break
            }
        }
        return events
    }

    /// `\uXXXX`; lone surrogates become U+FFFD, as they do on the way into UTF-8.
    private static func unescaped(_ text: String) -> String {
        var units: [UInt16] = []
        let source = Array(text.utf16)
        var index = 0
        while index < source.count {
            if source[index] == 0x5C, index + 5 < source.count, source[index + 1] == 0x75,
                let unit = UInt16(String(decoding: source[(index + 2)..<(index + 6)], as: UTF16.self), radix: 16)
            {
                units.append(unit)
                index += 6
            } else {
                units.append(source[index])
                index += 1
            }
        }
        return String(decoding: units, as: UTF16.self)
    }
}
