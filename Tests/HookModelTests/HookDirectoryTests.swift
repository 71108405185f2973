// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// How an address, a key or a URL finds its hook.

import HookModel
import Testing

@Suite struct HookDirectoryTests {
    private static let now = Timestamp(seconds: 1_800_000_000)

    private static func addressed(
        _ name: String, token: String, aliases: [String] = [], type: HookType = .email,
        previous: (credentials: AddressedHook.Credentials, until: Timestamp)? = nil
    ) -> AddressedHook {
        AddressedHook(
            hook: Hook(app: "shop", eventName: name, type: type, policy: HookPolicy(aliases: aliases)),
            current: .init(token: token, key: "k_\(token)"), previous: previous)
    }

    private let directory = HookDirectory(
        hooks: [
            addressed("order", token: "aaaa", aliases: ["Orders@Shop.Example", "a+b@hooks.example", "bare"]),
            addressed(
                "parcel", token: "bbbb", aliases: ["orders@shop.example"],
                previous: (.init(token: "oldb", key: "k_oldb"), now.advanced(by: .seconds(60)))),
            addressed("form", token: "ffff", aliases: ["form@hooks.example"], type: .form),
        ], domains: ["Hooks.Example", "second.example"])

    struct Case: Sendable, CustomTestStringConvertible {
        var address: String
        var expected: String
        var tag: String?
        var testDescription: String { address }
    }

    @Test(arguments: [
        Case(address: "aaaa@hooks.example", expected: "order"),
        Case(address: "AAAA@HOOKS.EXAMPLE", expected: "order"),
        Case(address: "bbbb@second.example", expected: "parcel"),
        Case(address: "oldb@hooks.example", expected: "parcel"),
        Case(address: "orders@shop.example", expected: "order"),
        Case(address: "oRders+Black.Friday+2@shop.example", expected: "order", tag: "Black.Friday+2"),
        Case(address: "aaaa+@hooks.example", expected: "order", tag: ""),
        // An alias that holds a plus itself is found as it stands.
        Case(address: "a+b@hooks.example", expected: "order"),
        Case(address: "aaaa@shop.example", expected: "unknown"),
        Case(address: "cccc@hooks.example", expected: "unknown"),
        Case(address: "+aaaa@hooks.example", expected: "unknown"),
        Case(address: "ffff@hooks.example", expected: "unknown"),
        Case(address: "form@hooks.example", expected: "unknown"),
        Case(address: "postmaster", expected: "unknown"),
        // An alias is complete with its domain, or leads nowhere.
        Case(address: "bare", expected: "unknown"),
        Case(address: "", expected: "unknown"),
        Case(address: "aaaa@elsewhere.example", expected: "foreign"),
        Case(address: "aaaa@hooks.example@elsewhere.example", expected: "foreign"),
        Case(address: "aaaa%elsewhere.example@hooks.example", expected: "unknown"),
        Case(address: "aaaa@hooks.example.", expected: "foreign"),
    ])
    func resolves(_ row: Case) {
        switch directory.resolve(row.address, now: Self.now) {
        case .hook(let addressed, let tag):
            #expect(addressed.hook.eventName == row.expected)
            #expect(tag == row.tag)
        case .unknown: #expect(row.expected == "unknown")
        case .foreign: #expect(row.expected == "foreign")
        }
    }

    @Test func previousGenerationEnds() {
        let late = Self.now.advanced(by: .seconds(60))
        #expect(directory.resolve("oldb@hooks.example", now: late) == .unknown)
        let parcel = directory.hooks[1]
        #expect(parcel.keys(at: Self.now) == ["k_bbbb", "k_oldb"])
        #expect(parcel.keys(at: late) == ["k_bbbb"])
    }

    @Test func addressesAreShownForEmailHooksOnly() {
        #expect(directory.address(of: directory.hooks[0]) == "aaaa@hooks.example")
        #expect(directory.address(of: directory.hooks[2]) == nil)
    }

    @Test func withoutDomainsEverythingIsForeign() {
        #expect(HookDirectory(hooks: [], domains: []).resolve("postmaster", now: Self.now) == .foreign)
    }
}
