// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The JSON parsing suite: what must be read, what must be refused, and our decision where
// RFC 8259 leaves one.

import JSONLD
import TestSupport
import Testing

@Suite("JSON parsing suite", .conformance("json-parsing"))
struct JSONSuiteTests {
    private static let suite = "json-parsing"

    /// What the reader makes of a text: `read`, or the error.
    private func outcome(_ path: String) throws -> JSONError.Code? {
        let bytes = try Conformance.bytes(Self.suite, path)
        let document: JSONError.Code?
        do {
            _ = try JSONDocument(bytes)
            document = nil
        } catch {
            document = error.code
        }
        // The validator decides the same.
        let validator = bytes.withUnsafeBufferPointer { buffer -> JSONError.Code? in
            do throws(JSONError) {
                try JSONValidator.check(buffer)
                return nil
            } catch {
                return error.code
            }
        }
        #expect(validator == document, "\(path)")
        return document
    }

    @Test func everyParsingCase() throws {
        var ran: [Character: Int] = [:]
        var failures: [String] = []
        for name in Conformance.files(Self.suite, "test_parsing", extensions: ["json"]) {
            let code = try outcome("test_parsing/" + name)
            let verdict = name.first ?? "?"
            ran[verdict, default: 0] += 1
            switch verdict {
            case "y": if let code { failures.append("\(name): \(code)") }
            case "n": if code == nil { failures.append("\(name): accepted") }
            default:
                guard let decision = Self.decisions[name] else {
                    failures.append("\(name): no decision, got \(String(describing: code))")
                    continue
                }
                if decision.code != code { failures.append("\(name): \(String(describing: code))") }
            }
        }
        let total = ran.values.reduce(0, +)
        print("json-parsing: ran \(total), passed \(total - failures.count), failed \(failures.count), left out 0")
        #expect(ran["y", default: 0] >= 95 && ran["n", default: 0] >= 188 && ran["i", default: 0] >= 35)
        #expect(failures.isEmpty, "\(failures.joined(separator: "\n"))")
    }

    private static let keptNumber = "numbers are kept as they are written (RFC 8259 section 6 sets no range)"
    private static let loneSurrogate =
        "the grammar of section 7 allows half a surrogate pair; it reads as U+FFFD (section 8.2 leaves the meaning open)"
    private static let notUTF8 = "section 8.1: text between systems MUST be UTF-8"

    /// Where RFC 8259 allows both: nil is read, a code is refused for that.
    private static let decisions: [String: (code: JSONError.Code?, reason: String)] = [
        "i_number_double_huge_neg_exp.json": (nil, keptNumber),
        "i_number_huge_exp.json": (nil, keptNumber),
        "i_number_neg_int_huge_exp.json": (nil, keptNumber),
        "i_number_pos_double_huge_exp.json": (nil, keptNumber),
        "i_number_real_neg_overflow.json": (nil, keptNumber),
        "i_number_real_pos_overflow.json": (nil, keptNumber),
        "i_number_real_underflow.json": (nil, keptNumber),
        "i_number_too_big_neg_int.json": (nil, keptNumber),
        "i_number_too_big_pos_int.json": (nil, keptNumber),
        "i_number_very_big_negative_int.json": (nil, keptNumber),
        "i_object_key_lone_2nd_surrogate.json": (nil, loneSurrogate),
        "i_string_1st_surrogate_but_2nd_missing.json": (nil, loneSurrogate),
        "i_string_1st_valid_surrogate_2nd_invalid.json": (nil, loneSurrogate),
        "i_string_incomplete_surrogate_and_escape_valid.json": (nil, loneSurrogate),
        "i_string_incomplete_surrogate_pair.json": (nil, loneSurrogate),
        "i_string_incomplete_surrogates_escape_valid.json": (nil, loneSurrogate),
        "i_string_invalid_lonely_surrogate.json": (nil, loneSurrogate),
        "i_string_invalid_surrogate.json": (nil, loneSurrogate),
        "i_string_inverted_surrogates_U+1D11E.json": (nil, loneSurrogate),
        "i_string_lone_second_surrogate.json": (nil, loneSurrogate),
        "i_string_UTF-16LE_with_BOM.json": (.invalidUTF8, notUTF8),
        "i_string_UTF-8_invalid_sequence.json": (.invalidUTF8, notUTF8),
        "i_string_UTF8_surrogate_U+D800.json": (.invalidUTF8, notUTF8),
        "i_string_invalid_utf-8.json": (.invalidUTF8, notUTF8),
        "i_string_iso_latin_1.json": (.invalidUTF8, notUTF8),
        "i_string_lone_utf8_continuation_byte.json": (.invalidUTF8, notUTF8),
        "i_string_not_in_unicode_range.json": (.invalidUTF8, notUTF8),
        "i_string_overlong_sequence_2_bytes.json": (.invalidUTF8, notUTF8),
        "i_string_overlong_sequence_6_bytes.json": (.invalidUTF8, notUTF8),
        "i_string_overlong_sequence_6_bytes_null.json": (.invalidUTF8, notUTF8),
        "i_string_truncated-utf-8.json": (.invalidUTF8, notUTF8),
        "i_string_utf16BE_no_BOM.json": (.invalidUTF8, notUTF8),
        "i_string_utf16LE_no_BOM.json": (.invalidUTF8, notUTF8),
        "i_structure_500_nested_arrays.json": (.tooDeep, "section 9 allows a limit of depth; it is 128 unless set"),
        "i_structure_UTF-8_BOM_empty_object.json": (nil, "section 8.1 lets a reader skip a byte order mark"),
    ]

    /// What the reader makes of valid but odd texts.
    private static let transforms: [String: String] = [
        "number_-9223372036854775808.json": "number -9223372036854775808",
        "number_-9223372036854775809.json": "number -9223372036854775809",
        "number_1.0.json": "number 1.0",
        "number_1.000000000000000005.json": "number 1.000000000000000005",
        "number_1000000000000000.json": "number 1000000000000000",
        "number_10000000000000000999.json": "number 10000000000000000999",
        "number_1e-999.json": "number 1E-999",
        "number_1e6.json": "number 1E6",
        "number_9223372036854775807.json": "number 9223372036854775807",
        "number_9223372036854775808.json": "number 9223372036854775808",
        "object_key_nfc_nfd.json": "c3a9=NFC 65cc81=NFD",
        "object_key_nfd_nfc.json": "65cc81=NFD c3a9=NFC",
        "object_same_key_different_values.json": "61=1 61=2",
        "object_same_key_same_value.json": "61=1 61=1",
        "object_same_key_unclear_values.json": "61=0 61=-0",
        "string_1_escaped_invalid_codepoint.json": "string efbfbd",
        "string_1_invalid_codepoint.json": "not UTF-8",
        "string_2_escaped_invalid_codepoints.json": "string efbfbdefbfbd",
        "string_2_invalid_codepoints.json": "not UTF-8",
        "string_3_escaped_invalid_codepoints.json": "string efbfbdefbfbdefbfbd",
        "string_3_invalid_codepoints.json": "not UTF-8",
        "string_with_escaped_NULL.json": "string 410042",
    ]

    private func description(_ bytes: [UInt8]) -> String {
        let digits = { (text: String) in
            text.utf8.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        }
        do {
            let root = try JSONDocument(bytes).root
            if root.kind == .object {
                return root.members
                    .map { "\(digits($0.name))=\($0.value.string ?? $0.value.number?.text ?? "")" }
                    .joined(separator: " ")
            }
            let element = root.elements[0]
            return element.number.map { "number \($0.text)" } ?? element.string.map { "string \(digits($0))" } ?? ""
        } catch {
            return error.code.rawValue
        }
    }

    @Test func everyTransformCase() throws {
        let names = Conformance.files(Self.suite, "test_transform", extensions: ["json"])
        #expect(names.count >= 22)
        for name in names {
            let result = try description(Conformance.bytes(Self.suite, "test_transform/" + name))
            #expect(result == Self.transforms[name], "\(name)")
        }
    }
}
