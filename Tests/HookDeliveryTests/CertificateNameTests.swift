// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Which names in a certificate stand for which host.

import Testing

@testable import HookDelivery

@Suite struct CertificateNameTests {
    static let cases: [(names: [String], host: String, fits: Bool)] = [
        (["hooks.example.com"], "hooks.example.com", true),
        (["HOOKS.example.COM"], "hooks.Example.com", true),
        (["hooks.example.com."], "hooks.example.com", true),
        (["hooks.example.com"], "hooks.example.com.", true),
        (["other.example.com", "hooks.example.com"], "hooks.example.com", true),
        (["*.example.com"], "hooks.example.com", true),
        (["*.example.com"], "example.com", false),
        (["*.example.com"], "a.hooks.example.com", false),
        (["*.example.com"], ".example.com", false),
        (["*"], "localhost", false),
        (["*.com"], "com", false),
        (["h*.example.com"], "hooks.example.com", false),
        (["hooks.*.com"], "hooks.example.com", false),
        (["hooks.example.com"], "hooks.example.org", false),
        (["hooks.example.com\0.evil.example"], "hooks.example.com", false),
        ([""], "", false),
        ([], "hooks.example.com", false),
    ]

    @Test(arguments: cases) func fits(names: [String], host: String, fits: Bool) {
        #expect(CertificateNames.fit(names.map { Array($0.utf8) }, host) == fits)
    }
}
