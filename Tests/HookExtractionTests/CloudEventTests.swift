// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What a sender's characters become in the attributes of an event (CloudEvents 1.0 section 3.1).

import Foundation
import HookModel
import Testing

@testable import HookExtraction

@Suite struct CloudEventTests {
    private static func attributes(
        subject: String? = nil, mailSubject: String? = nil, output: String? = nil
    ) throws -> [String: Any] {
        let event = CloudEvent(
            id: "evt_a", source: "mailhookd://a/b", type: "t", hookType: .email, intake: .smtp, subject: subject,
            time: Timestamp(microseconds: 0), mediaType: "application/json", extensions: [("mailsubject", mailSubject)],
            output: output.map { Array($0.utf8) }, data: Array("{}".utf8)[...])
        return try #require(try JSONSerialization.jsonObject(with: Data(event.json())) as? [String: Any])
    }

    private static func text(_ scalars: [UInt32]) -> String {
        String(String.UnicodeScalarView(scalars.compactMap(Unicode.Scalar.init)))
    }

    /// Each alone between two letters, and whether it stays.
    @Test(arguments: [
        (0x20, true), (0x7E, true), (0xA0, true), (0xDF, true), (0xFDCF, true), (0xFFFD, true), (0x1F600, true), (0x1FFFD, true),
        (0x01, false), (0x09, false), (0x0A, false), (0x1B, false), (0x7F, false), (0x80, false), (0x85, false), (0x9F, false),
        (0xFDD0, false), (0xFDEF, false), (0xFFFE, false), (0xFFFF, false), (0x1FFFE, false), (0x10FFFF, false),
    ] as [(UInt32, Bool)])
    func noControlsAndNoNoncharacters(scalar: UInt32, stays: Bool) throws {
        let value = Self.text([0x61, scalar, 0x62])
        let kept = stays ? value : Self.text([0x61, 0xFFFD, 0x62])
        let attributes = try Self.attributes(subject: value, mailSubject: value)
        #expect(attributes["subject"] as? String == kept)
        #expect(attributes["mailsubject"] as? String == kept)
    }

    /// What a trigger made of the data means the same.
    @Test func outputIsTheSameJSON() throws {
        let value = Self.text([0xFC, 0x7F, 0x9B, 0x1FFFE, 0x10FFFF])
        let text = try #require(try Self.attributes(output: "{\"a\":\"\(value)\"}")["output"] as? String)
        #expect(text.unicodeScalars.allSatisfy { $0.value > 0x9F || (0x20...0x7E).contains($0.value) })
        #expect(text == "{\"a\":\"ü\\u007f\\u009b\\ud83f\\udffe\\udbff\\udfff\"}")
        let object = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: String]
        #expect(object == ["a": value])
    }
}
