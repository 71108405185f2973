// Part of mailhookd. SPDX-License-Identifier: Apache-2.0

import Testing

@testable import HookDelivery

@Suite struct EventPatternTests {
    @Test(arguments: [
        ("a.b.c", "a.b.c", true), ("a.b.c", "a.b", false), ("a.b", "a.b.c", false), ("a.b", "A.b", false),
        ("a.*.c", "a.b.c", true), ("a.*.c", "a.b.b.c", false), ("a.*", "a.", false), ("*", "a", true), ("*", "a.b", false),
        ("a.>", "a.b", true), ("a.>", "a.b.c", true), ("a.>", "a", false), ("a.>", "ab.c", false), ("a.>", "a..b", false),
        (">", "a", true), (">", "a.b.c", true), ("*.>", "a.b", true), ("*.>", "a", false), ("*.*", "a.b", true),
        ("kustomer.app.ecommstore.>", "kustomer.app.ecommstore.order.update", true),
    ])
    func matches(pattern: String, name: String, expected: Bool) throws {
        #expect(try EventPattern(pattern).matches(name) == expected)
    }

    @Test(arguments: [
        ("", EventPatternError.empty), ("a..b", .emptySegment), (".", .emptySegment), ("a.", .emptySegment),
        (">.a", .openEndNotLast), ("a.>.b", .openEndNotLast), ("a*.b", .wildcardInsideSegment), ("a.>b", .wildcardInsideSegment),
        ("a b", .whitespaceOrControl), ("a\t", .whitespaceOrControl),
    ])
    func refuses(pattern: String, error: EventPatternError) {
        #expect(throws: error) { try EventPattern(pattern) }
    }

    @Test func tableNamesEachSubscriptionOnce() throws {
        let file = SinkConfiguration.file(FileConfiguration(path: "/dev/null"))
        let table = SubscriptionTable([
            Subscription(name: "all", events: [try EventPattern(">")], sink: file),
            Subscription(name: "both", events: [try EventPattern("a.*"), try EventPattern("a.b")], sink: file),
            Subscription(name: "none", events: [try EventPattern("x")], sink: file),
        ])
        for _ in 0..<2 { #expect(table.names(matching: "a.b") == ["all", "both"]) }
        #expect(table.names(matching: "a") == ["all"])
    }
}
