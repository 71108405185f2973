// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Events in the shape their subscriber asked for: as values, and in front of a sink.

import Foundation
import HookModel
import Logging
import Testing

@testable import HookDelivery

@Suite struct PayloadTests {
    struct Case: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var event: String
        /// nil: as it is.
        var shaped: String?
    }

    @Test(arguments: [
        Case(
            testDescription: "output",
            event: #"{"id":"e","subject":"s","datacontenttype":"application/ld+json","output":"{\"a\":1.10}","data":{"b":[2]}}"#,
            shaped: #"{"id":"e","subject":"s","datacontenttype":"application/json","data":{"a":1.10}}"#),
        Case(
            testDescription: "violation",
            event: #"{"id":"e","datacontenttype":"application/json","outputfailure":"output_invalid: /a","data":{"b":2}}"#,
            shaped: #"{"id":"e","outputfailure":"output_invalid: /a"}"#),
        Case(testDescription: "no template", event: #"{"id":"e","data":{"output":"{}"}}"#, shaped: nil),
        Case(testDescription: "other kinds", event: "[1]", shaped: nil),
        Case(testDescription: "no JSON", event: "{", shaped: nil),
    ])
    func shapes(_ one: Case) {
        let event = Event(id: "e", type: "a.b", json: Array(one.event.utf8))
        #expect(EventPayload.event.shaped(event) == event)
        let shaped = EventPayload.trigger.shaped(event)
        #expect(String(decoding: shaped.json, as: UTF8.self) == one.shaped ?? one.event)
        #expect(shaped.id == event.id && shaped.type == event.type)
    }

    /// A document of 128 levels below a template of as many can be had in each mode.
    @Test func theDeepestOutput() throws {
        let deep = String(repeating: "[", count: 255) + String(repeating: "]", count: 255)
        let json = #"{"id":"e","output":"{\"a\":\#(deep)}","data":{}}"#
        let shaped = EventPayload.trigger.shaped(Event(id: "e", type: "a.b", json: Array(json.utf8)))
        let binary = try #require(BinaryEvent(shaped.json))
        #expect(String(decoding: binary.body, as: UTF8.self) == #"{"a":\#(deep)}"#)
        #expect(binary.contentType == "application/json")
    }

    @Test(arguments: EventPayload.allCases) func theSinkOfASubscription(_ payload: EventPayload) async throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("payload-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        var subscription = Subscription(
            name: "s", events: [try EventPattern(">")], sink: .file(FileConfiguration(path: path)))
        subscription.payload = payload
        let sink = Dispatcher.standardSink(
            for: subscription, userAgent: "test", logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let json = #"{"output":"[1]","data":{"b":2}}"#
        let delivery = ClaimedDelivery(
            id: 1, subscription: "s", event: Event(id: "e", type: "a.b", json: Array(json.utf8)), attempt: 1,
            createdAt: Timestamp(seconds: 1))
        let now = Timestamp(seconds: 2)
        #expect(await sink.deliver([delivery], now: now) == [.delivered])
        #expect(await sink.answers([delivery], now: now).map(\.verdict) == [.delivered])
        let line = payload == .event ? json : #"{"datacontenttype":"application/json","data":[1]}"#
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "\(line)\n\(line)\n")
        #expect(sink.maxBatch == 256 && sink.concurrency == 1 && sink.timeout == .seconds(30))
        await sink.shutdown()
    }
}
