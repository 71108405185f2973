// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Filters on data, patterns of the daemon's own events, and rotation of files.

import Foundation
import HookModel
import Testing

@testable import HookDelivery

@Suite struct FilterTests {
    static let data = #"{"a":{"b":[1,2.50,{"c~d/e":"x"}],"n":null,"t":true,"":"empty"},"s":"text"}"#

    struct Case: CustomTestStringConvertible, Sendable {
        var path: String
        var test: EventFilter.Test
        var isMatch: Bool
        var testDescription: String { "\(path) \(test)" }
    }

    @Test(arguments: [
        Case(path: "", test: .exists(true), isMatch: true),
        Case(path: "/a/b", test: .exists(true), isMatch: true),
        Case(path: "/a/n", test: .exists(true), isMatch: true),
        Case(path: "/a/x", test: .exists(true), isMatch: false),
        Case(path: "/a/x", test: .exists(false), isMatch: true),
        Case(path: "/a/b/0", test: .isOne(of: [.number("1.0")]), isMatch: true),
        Case(path: "/a/b/1", test: .isOne(of: [.number("2.5")]), isMatch: true),
        Case(path: "/a/b/1", test: .isOne(of: [.string("2.50")]), isMatch: false),
        Case(path: "/a/b/3", test: .exists(true), isMatch: false),
        Case(path: "/a/b/01", test: .exists(true), isMatch: false),
        Case(path: "/a/b/-1", test: .exists(true), isMatch: false),
        Case(path: "/a/b/-", test: .exists(true), isMatch: false),
        Case(path: "/a/b/2/c~0d~1e", test: .isOne(of: [.string("x")]), isMatch: true),
        Case(path: "/a/", test: .isOne(of: [.string("empty")]), isMatch: true),
        Case(path: "/a/t", test: .isOne(of: [.boolean(false), .boolean(true)]), isMatch: true),
        Case(path: "/a/t", test: .isOne(of: [.string("true")]), isMatch: false),
        Case(path: "/a/n", test: .isOne(of: [.null]), isMatch: true),
        Case(path: "/s", test: .isOne(of: [.string("text"), .string("other")]), isMatch: true),
        Case(path: "/s", test: .isOne(of: []), isMatch: false),
        Case(path: "/s/0", test: .exists(true), isMatch: false),
    ])
    func conditions(_ one: Case) throws {
        let condition = try #require(EventFilter.Condition(pointer: one.path, one.test))
        let json = Array(#"{"specversion":"1.0","data":\#(Self.data)}"#.utf8)
        #expect(EventFilter([condition]).matches(json) == one.isMatch)
    }

    @Test(arguments: ["a", "a/b", "/a~", "/a~2", "/~b"]) func noPointer(_ text: String) {
        #expect(EventFilter.Condition(pointer: text, .exists(true)) == nil)
    }

    @Test func withoutDataOnlyAbsenceMatches() throws {
        let there = EventFilter([try #require(.init(pointer: "/a", .exists(true)))])
        let absent = EventFilter([try #require(.init(pointer: "/a", .exists(false)))])
        for text in ["{}", #"{"data":null}"#, #"{"data":[]}"#] {
            #expect(!there.matches(Array(text.utf8)) && absent.matches(Array(text.utf8)))
        }
        #expect(!absent.matches(Array("no json".utf8)))
    }

    @Test func theTableAsksFilters() throws {
        func subscription(_ name: String, _ value: String?) throws -> Subscription {
            var subscription = Subscription(name: name, events: [try EventPattern(">")], sink: .standardOutput)
            if let value { subscription.filter = EventFilter([try #require(.init(pointer: "/k", .isOne(of: [.string(value)])))]) }
            return subscription
        }
        let table = SubscriptionTable([try subscription("all", nil), try subscription("x", "x"), try subscription("y", "y")])
        let event = Event(id: "1", type: "t", json: Array(#"{"data":{"k":"x"}}"#.utf8))
        #expect(table.names(for: event) == ["all", "x"])
        #expect(table.names(matching: "t") == ["all", "x", "y"])
    }

    @Test(arguments: OwnEvents.names + ["mailhookd.x"]) func ownEventsAreAskedForByName(_ name: String) throws {
        for pattern in [">", "*.>", "*.*.*", "*.*"] { #expect(try !EventPattern(pattern).matches(name), "\(pattern)") }
        #expect(try EventPattern("mailhookd.>").matches(name))
        #expect(try EventPattern(name).matches(name))
        #expect(try EventPattern(">").matches("mailhookdx.y"))
        #expect(try EventPattern(">").matches("mailhookd"))
    }
}

@Suite struct StandardOutputTests {
    @Test func linesGoToADescriptor() async throws {
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        let sink = StandardOutputSink(descriptor: ends[1])
        let event = Event(id: "e", type: "a", json: Array("{\"a\":\n1}".utf8))
        let delivery = ClaimedDelivery(id: 1, subscription: "s", event: event, attempt: 1, createdAt: Timestamp(seconds: 0))
        #expect(await sink.deliver([delivery, delivery], now: Timestamp(seconds: 0)) == [.delivered, .delivered])
        var buffer = [UInt8](repeating: 0, count: 99)
        let count = read(ends[0], &buffer, 99)
        #expect(String(decoding: buffer.prefix(max(0, count)), as: UTF8.self) == "{\"a\": 1}\n{\"a\": 1}\n")
        close(ends[0])
        #expect(await sink.deliver([delivery], now: Timestamp(seconds: 0)) == [.retry(reason: "connection_closed")])
        close(ends[1])
        await sink.shutdown()
    }
}

@Suite struct FileRotationTests {
    private func files(_ folder: URL) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
    }

    private func delivery(_ id: Int64) -> ClaimedDelivery {
        ClaimedDelivery(
            id: id, subscription: "s", event: Event(id: "e\(id)", type: "a", json: Array("{\"n\":\(id)}".utf8)), attempt: 1,
            createdAt: Timestamp(seconds: 0))
    }

    @Test func bySizeAndAge() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("mailhookd-rotation-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        var configuration = FileConfiguration(path: folder.appendingPathComponent("out.ndjson").path)
        configuration.rotationSize = 20
        configuration.kept = 2
        let sink = FileSink(configuration)
        let now = Timestamp(seconds: Int64(Date().timeIntervalSince1970))
        for index in 1...7 {
            #expect(await sink.deliver([delivery(Int64(index))], now: now.advanced(by: .seconds(index))) == [.delivered])
        }
        // Two lines of eight octets fit; two files of those put aside are kept, and files of others are left alone.
        #expect(try String(contentsOf: folder.appendingPathComponent("out.ndjson"), encoding: .utf8) == "{\"n\":7}\n")
        let aside = try files(folder).filter { $0 != "out.ndjson" }
        #expect(aside.count == 2)
        #expect(try aside.map { try String(contentsOf: folder.appendingPathComponent($0), encoding: .utf8) } == ["{\"n\":3}\n{\"n\":4}\n", "{\"n\":5}\n{\"n\":6}\n"])
        await sink.shutdown()

        configuration.rotationSize = nil
        configuration.rotationAge = .seconds(86_400)
        let daily = FileSink(configuration)
        #expect(await daily.deliver([delivery(8)], now: now) == [.delivered])
        #expect(try files(folder).count == 3)
        #expect(await daily.deliver([delivery(9)], now: now.advanced(by: .seconds(86_400))) == [.delivered])
        #expect(try String(contentsOf: folder.appendingPathComponent("out.ndjson"), encoding: .utf8) == "{\"n\":9}\n")
        await daily.shutdown()
    }
}
