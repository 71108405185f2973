// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What only shows when the configuration is read as a whole: listeners in each other's way, and subscriptions
// that no event will ever reach.

import Foundation
import TestSupport
import Testing

@testable import MailHookKit

@Suite struct SetupFindingsTests {
    private static func load(_ yaml: String, http: [String] = []) throws -> Result<Setup, SetupFailure> {
        let folder = try Folder()
        let hooks = ["order.update", "order.cancel"].map {
            #"{"eventName":"kustomer.app.s.\#($0)","displayEventName":"A","description":"d","type":"email"}"#
        }
        try folder.write("apps.json", #"{"app":"s","version":"1.0.0","title":"S","hooks":[\#(hooks.joined(separator: ","))]}"#)
        try folder.write("m.yaml", "apps: apps.json\ndata: /nowhere/data\n\(yaml)\n")
        var request = SetupRequest(configurationFile: folder.path + "/m.yaml")
        request.http = http
        return Setup.load(request)
    }

    @Test(arguments: [
        (#"smtp: ["127.0.0.1:25", "127.0.0.1:25"]"#, ":3:34: error: listen.smtp[1]: 127.0.0.1:25 is taken already (listen.smtp[0])"),
        (#"smtp: ["127.0.0.1:25"], http: ["127.0.0.1:25"]"#, "listen.http[0]: 127.0.0.1:25 is taken already (listen.smtp[0])"),
        (#"smtp: ["0.0.0.0:25", "127.0.0.1:25"]"#, "listen.smtp[1]: 127.0.0.1:25 cannot be beside 0.0.0.0:25 (listen.smtp[0])"),
        (#"smtp: ["127.0.0.1:25"], lmtp: ["0.0.0.0:25"]"#, "listen.lmtp[0]: 0.0.0.0:25 cannot be beside 127.0.0.1:25"),
        (#"smtp: ["[::]:25", "[::1]:25"]"#, "listen.smtp[1]: [::1]:25 cannot be beside [::]:25"),
        (#"smtp: ["[::]:25", "127.0.0.1:25"]"#, "listen.smtp[1]: 127.0.0.1:25 cannot be beside [::]:25"),
        (#"smtp: ["[0::0]:25"], lmtp: ["192.0.2.1:25"]"#, "listen.lmtp[0]: 192.0.2.1:25 cannot be beside [0::0]:25"),
        (#"smtp: ["[::1]:25", "[0:0::1]:25"]"#, "listen.smtp[1]: [0:0::1]:25 cannot be beside [::1]:25"),
        (#"smtp: ["localhost:25"], http: ["LOCALHOST:25"]"#, "listen.http[0]: LOCALHOST:25"),
        (#"smtp: ["[::ffff:127.0.0.1]:25"], http: ["127.1:25"]"#, "listen.http[0]: 127.1:25 cannot be beside [::ffff:127.0.0.1]:25"),
        (#"lmtp: ["/run/a.sock"], admin: ["/run//./a.sock"]"#, "listen.admin[0]: /run/a.sock is taken already (listen.lmtp[0])"),
        (#"lmtp: ["/nowhere/data/./control.sock"]"#, "listen.lmtp[0]: /nowhere/data/control.sock is taken already (the daemon's own socket)"),
        (#"lmtp: ["/tmp/a.sock"], admin: ["/tmp/../tmp/a.sock"]"#, "listen.admin[0]: /tmp/../tmp/a.sock is the same socket as /tmp/a.sock"),
        (#"lmtp: ["/run/a.sock"], admin: ["/run/a.sock"]"#, "listen.admin[0]: /run/a.sock is taken already (listen.lmtp[0])"),
        (#"lmtp: ["/nowhere/data/receive.sock"]"#, "listen.lmtp[0]: /nowhere/data/receive.sock is taken already (the daemon's own socket)"),
    ])
    func listenersInEachOthersWay(listen: String, finding: String) throws {
        guard case .failure(let failure) = try Self.load("listen: { \(listen) }") else {
            Issue.record("taken: \(listen)")
            return
        }
        #expect(failure.exitStatus == 78)
        #expect(failure.diagnostics.count == 1 && failure.diagnostics[0].description.contains(finding), "\(failure.diagnostics)")
    }

    @Test(arguments: [
        #"smtp: ["127.0.0.1:0", "127.0.0.1:0", "0.0.0.0:0"]"#, #"smtp: ["0.0.0.0:25", "[::]:25"]"#, #"smtp: ["0.0.0.0:25", "[0::0]:25"]"#,
        #"smtp: ["127.0.0.1:25", "127.0.0.2:25", "[::1]:25"]"#, #"smtp: ["0.0.0.0:25", "[::1]:25"]"#,
        #"smtp: ["127.0.0.1:25"], lmtp: ["127.0.0.1:24", "/run/a.sock", "/run/b.sock"]"#,
        #"smtp: ["mail.example.com:25"], lmtp: ["127.0.0.1:25"]"#, #"smtp: ["[::ffff:0.0.0.0]:25", "[::]:25"]"#, #"smtp: ["[::]:25", "0:25"]"#,
        #"lmtp: ["/run/a.sock", "/run/..a.sock", "/run/.a.sock"]"#,
    ])
    func listenersBesideEachOther(listen: String) throws {
        let setup = try Self.load("listen: { \(listen) }").get()
        #expect(setup.warnings.isEmpty, "\(setup.warnings)")
    }

    /// Which of the two it is, the machine says.
    @Test func localhostIsAnAddressOfThisMachine() throws {
        let clashes = try ["127.0.0.1", "[::1]"].filter { address in
            guard case .failure(let failure) = try Self.load(#"listen: { smtp: ["localhost:25"], http: ["\#(address):25"] }"#) else { return false }
            return failure.diagnostics.map(\.reason) == ["\(address):25 cannot be beside localhost:25 (listen.smtp[0]): one includes the other"]
        }
        #expect(clashes.count == 1, "\(clashes)")
    }

    /// Whatever order names come in: those of a dictionary come in another one each time.
    @Test func hintsAreAlwaysTheSame() {
        let names = ["order.update", "order.updata", "order.updatf", "order.cancel"]
        for known in [names, names.reversed()] {
            #expect(suggestion(for: "order.updat", among: known) == "did you mean 'order.updata'?")
        }
        #expect(suggestion(for: "invoice", among: names) == nil)
    }

    @Test func listenersOfTheCommandLineCount() throws {
        guard case .failure(let failure) = try Self.load(#"listen: { smtp: ["127.0.0.1:25"] }"#, http: ["0.0.0.0:25"]) else {
            Issue.record("taken")
            return
        }
        #expect(failure.diagnostics.map(\.description) == [
            "--http: error: 0.0.0.0:25 cannot be beside 127.0.0.1:25 (listen.smtp[0]): one includes the other"
        ])
    }

    @Test(arguments: [
        ("kustomer.app.s.order.updat", "subscriptions[0].events: 'kustomer.app.s.order.updat' matches no hook of any app (did you mean 'kustomer.app.s.order.update'?)"),
        ("kustomer.app.t.>", "'kustomer.app.t.>' matches no hook of any app"), ("kustomer.app.s.*", "'kustomer.app.s.*' matches no hook"),
        ("mailhookd.delivery.daed", "(did you mean 'mailhookd.delivery.dead'?)"), (">", nil), ("kustomer.app.s.order.*", nil),
        ("kustomer.app.s.order.cancel", nil), ("mailhookd.>", nil), ("mailhookd.hook.silent", nil),
    ] as [(String, String?)])
    func subscriptionsToNothing(pattern: String, finding: String?) throws {
        let setup = try Self.load("subscriptions: [{ name: a, events: [\"\(pattern)\"], file: { path: e } }]").get()
        #expect(setup.warnings.count == (finding == nil ? 0 : 1), "\(setup.warnings)")
        if let finding {
            let text = try #require(setup.warnings.first?.description)
            #expect(text.contains(":3:28: warning: ") && text.contains(finding), "\(text)")
        }
    }
}
