// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Whom a mail without an envelope is for, and what `to` may say.

import HookIntake
import HookModel
import Testing

@testable import MailHookKit

@Suite struct MaildirRouteTests {
    private static func hook(_ name: String, _ alias: String, type: HookType = .email) -> AddressedHook {
        AddressedHook(
            hook: Hook(
                app: "shop", eventName: name, type: type, policy: HookPolicy(aliases: ["\(alias)@hooks.example.com"])),
            current: .init(token: "token\(alias)", key: "k"))
    }

    private func recipient(_ header: String, hooks: [AddressedHook]) -> String? {
        let finder = RecipientFinder(directory: HookDirectory(hooks: hooks, domains: ["hooks.example.com"]))
        return finder.recipient(HeaderGlance(Array(header.utf8)), now: Timestamp(microseconds: 0))
    }

    @Test(arguments: [
        ("To: a@hooks.example.com\n\n", "a@hooks.example.com"),
        ("to:  \"A, B\" <b+x@hooks.example.com>, c@d.example\r\n\r\n", "b+x@hooks.example.com"),
        ("To: x@y.example,\n\tB <B@hooks.example.com>\nSubject: x\n\n", "B@hooks.example.com"),
        ("To: a@hooks.example.com\nDelivered-To: b@hooks.example.com\n\n", "b@hooks.example.com"),
        ("To: a@hooks.example.com\nX-Original-To: b@hooks.example.com\nDelivered-To: u@host.example\n\n", "b@hooks.example.com"),
        ("Cc: a@hooks.example.com", "a@hooks.example.com"),
        ("From a@b Tue Nov 24\nTo: tokena@hooks.example.com\n\n", "tokena@hooks.example.com"),
        ("Subject: x\n\nTo: a@hooks.example.com\n", nil), ("Resent-To: a@hooks.example.com\n\n", nil),
        ("Tox: a@hooks.example.com\n\n", nil), ("", nil), ("\n", nil), ("To:", nil), ("To: web@hooks.example.com\n\n", nil),
    ])
    func ofSeveralHooks(header: String, expected: String?) {
        let hooks = [Self.hook("o.a", "a"), Self.hook("o.b", "b"), Self.hook("o.w", "web", type: .web)]
        #expect(recipient(header, hooks: hooks) == expected)
    }

    @Test func theOnlyHookTakesEverything() {
        let hooks = [Self.hook("o.a", "a"), Self.hook("o.w", "web", type: .web)]
        #expect(recipient("To: x@y.example\n\n", hooks: hooks) == "tokena@hooks.example.com")
        #expect(recipient("To: a+t@hooks.example.com\n\n", hooks: hooks) == "a+t@hooks.example.com")
    }

    @Test(arguments: [
        ("Return-Path: <a@b.example>\n\n", "a@b.example"), ("return-path: <>\n\n", ""), ("Return-Path: \n\n", nil),
        ("Subject: x\n\nReturn-Path: <a@b.example>\n", nil), ("Return-Path: <a@b.example>\nReturn-Path: <>\n\n", "a@b.example"),
    ])
    func returnPaths(header: String, expected: String?) { #expect(HeaderGlance(Array(header.utf8)).returnPath == expected) }

    /// However long a header and whatever is in it: a moment's work.
    @Test func hostileHeaders() {
        let pieces = ["To:", "\n", "\r\n", " ", ",", "a@hooks.example.com", "\n\t", ":", "\0", "<", "@"]
        let hooks = [Self.hook("o.a", "a"), Self.hook("o.b", "b")]
        let clock = ContinuousClock()
        let time = clock.measure {
            for piece in pieces {
                let header = "To: x@y.example\n" + String(repeating: piece, count: 300_000 / piece.utf8.count)
                _ = recipient(header, hooks: hooks)
            }
        }
        #expect(time < .seconds(10))
    }

    // MARK: - Compressed mail

    private static let route = MaildirRoute(
        directory: { HookDirectory(hooks: [], domains: []) }, now: { Timestamp(microseconds: 0) })

    /// A gzip member (RFC 1952) of one block of 32 KiB, not compressed (RFC 1951 section 3.2.4).
    private static let member: [UInt8] = {
        let content = [UInt8](repeating: UInt8(ascii: "m"), count: 32 << 10)
        var sum = UInt32.max
        for octet in content {
            sum ^= UInt32(octet)
            for _ in 0..<8 { sum = sum & 1 == 1 ? (sum >> 1) ^ 0xEDB8_8320 : sum >> 1 }
        }
        func octets(_ number: UInt32, _ count: Int) -> [UInt8] {
            (0..<count).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) }
        }
        let size = UInt32(content.count)
        return [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF, 1] + octets(size, 2) + octets(~size, 2) + content + octets(~sum, 4)
            + octets(size, 4)
    }()

    /// The limit is that of a mail, not that of one document in it.
    @Test func compressedMailMayBeAsLargeAsOtherMail() throws {
        let packed = Array(repeatElement(Self.member, count: 96).joined())
        #expect(try Self.route.unpack(packed, limit: 25 << 20).count == 3 << 20)
        #expect(try Self.route.unpack(packed, limit: 3 << 20).count == 3 << 20)
        #expect(throws: MaildirUnpackFailure(.messageTooLarge)) { try Self.route.unpack(packed, limit: (3 << 20) - 1) }
        let cut = Array(packed.dropLast())
        #expect(throws: MaildirUnpackFailure(.unreadable)) { try Self.route.unpack(cut, limit: 25 << 20) }
    }
}
