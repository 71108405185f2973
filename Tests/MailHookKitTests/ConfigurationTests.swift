// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The configuration: every key, every diagnostic, and that the example shows them all.

import Foundation
import HookDelivery
import HookModel
import HookTLS
import TestSupport
import HookStore
import Testing

@testable import HookIntake
@testable import MailHookKit

@Suite struct ConfigurationTests {
    private func read(_ text: String) -> (configuration: Configuration?, findings: [String]) {
        var reader = ConfigurationReader(file: "m.yaml", folder: "/etc/mh")
        let configuration = reader.read(Array(text.utf8), over: ConfigurationReader.builtIn())
        return (configuration, reader.diagnostics.all.map(\.description))
    }

    @Test func builtInDefaults() {
        let configuration = ConfigurationReader.builtIn()
        #expect(configuration.data == "/var/lib/mailhookd")
        #expect(configuration.apps == "/etc/mailhookd/apps")
        #expect(configuration.listen.smtp == [.tcp(host: "127.0.0.1", port: 2525)])
        #expect(configuration.maildirs.isEmpty)
        #expect(configuration.listen.lmtp.isEmpty && configuration.hooks.isEmpty && configuration.subscriptions.isEmpty)
        let limits = configuration.limits
        #expect(limits.connections == 200 && limits.connectionsPerPeer == 10 && limits.recipients == 100)
        #expect(limits.messageSize == 25 << 20)
        #expect(limits.idleTimeout == .seconds(300) && limits.dataTimeout == .seconds(600))
        #expect(limits.perPeerExempt.count == 2)
        #expect(configuration.domains == [configuration.hostname])
        #expect(configuration.logLevel == "info")
        #expect(configuration.listen.http.isEmpty && configuration.listen.admin.isEmpty)
        let http = configuration.http
        #expect(http.publicURL == nil && http.organization == nil && http.bodySize == 400_000)
        #expect(http.connections == 1000 && http.connectionsPerPeer == 100 && http.trustedProxies.count == 2)
        #expect(http.idleTimeout == .seconds(60) && http.requestTimeout == .seconds(30))
        #expect(http.perHook == 2000 && http.perPeer == 600)
    }

    @Test func readsHTTPSettings() throws {
        let (read, findings) = read(
            """
            listen: { http: ["0.0.0.0:8025"], admin: ["127.0.0.1:8026", "[::1]:8026", "localhost:1", "/run/admin.sock"] }
            http:
              publicURL: https://hooks.example.com/in/
              organization: fern_leaf-1
              bodySize: 1MiB
              connections: 5
              connectionsPerPeer: 4
              trustedProxies: [10.0.0.0/8]
              idleTimeout: 2s
              requestTimeout: 3s
              perHook: unlimited
              perPeer: 9
            """)
        #expect(findings.isEmpty, "\(findings)")
        let configuration = try #require(read)
        #expect(configuration.listen.http == [.tcp(host: "0.0.0.0", port: 8025)])
        #expect(configuration.listen.admin.count == 4)
        let http = configuration.http
        #expect(http.publicURL == "https://hooks.example.com/in" && http.organization == "fern_leaf-1")
        #expect(http.bodySize == 1 << 20 && http.connections == 5 && http.connectionsPerPeer == 4)
        #expect(http.trustedProxies == [NetworkRange("10.0.0.0/8")])
        #expect(http.idleTimeout == .seconds(2) && http.requestTimeout == .seconds(3))
        #expect(http.perHook == nil && http.perPeer == 9)
    }

    /// Every example in the built-in file is loaded as it stands, without its comment sign.
    @Test func commentedExamplesAreTrue() {
        let lines = String(decoding: ConfigurationReader.builtInText, as: UTF8.self).split(
            separator: "\n", omittingEmptySubsequences: false)
        // Explanations have one space behind the sign; keys have none, and what is below them two or more.
        let examples = lines.filter { $0.hasPrefix("#") && $0 != "#" && (!$0.hasPrefix("# ") || $0.hasPrefix("#  ")) }
            .map { $0.dropFirst() }
        #expect(examples.count > 20)
        let (_, findings) = read(examples.joined(separator: "\n"))
        // Files the examples name do not exist here; nothing else may be wrong.
        let missing = ["erp.key", "erp.token", "erp.crt", "erp.pem", "erp-ca.crt", "order.schema.json", "tls/fullchain.pem", "captcha.key"]
            .map { "/etc/mh/\($0): No such file" }
        #expect(findings.allSatisfy { finding in missing.contains { finding.contains($0) } }, "\(findings)")
        #expect(findings.count == missing.count)
    }

    /// What can be set can be found: every key the readers know stands in the built-in file.
    @Test(arguments: [
        "zzzzzzzz: 1", "listen: { zzzzzzzz: 1 }", "limits: { zzzzzzzz: 1 }", "http: { zzzzzzzz: 1 }",
        "tls: { zzzzzzzz: 1 }", "smtp: { zzzzzzzz: 1 }",
        "hooks: { a.b: { zzzzzzzz: 1 } }", "hooks: { a.b: { challenge: { zzzzzzzz: 1 } } }", "maildirs: [{ zzzzzzzz: 1 }]", "subscriptions: [{ zzzzzzzz: 1 }]",
        "subscriptions: [{ name: a, events: [a], webhook: { zzzzzzzz: 1 } }]",
        "subscriptions: [{ name: a, events: [a], exec: { zzzzzzzz: 1 } }]",
        "subscriptions: [{ name: a, events: [a], file: { zzzzzzzz: 1 } }]",
        "retention: { zzzzzzzz: 1 }", "hooks: { a.b: { retention: { zzzzzzzz: 1 } } }",
        "subscriptions: [{ name: a, events: [a], file: { path: x, rotate: { zzzzzzzz: 1 } } }]",
        "subscriptions: [{ name: a, events: [a], breaker: { zzzzzzzz: 1 } }]",
        "subscriptions: [{ name: a, events: [a], filter: [{ zzzzzzzz: 1 }] }]",
    ])
    func everyKeyIsShown(text: String) throws {
        let finding = try #require(read(text).findings.first { $0.contains("unknown key 'zzzzzzzz' (known: ") })
        let list = try #require(finding.components(separatedBy: "(known: ").last?.dropLast())
        let builtIn = String(decoding: ConfigurationReader.builtInText, as: UTF8.self)
        for key in list.components(separatedBy: ", ") {
            #expect(builtIn.contains("\(key):") , "\(key)")
        }
    }

    @Test func readsHowDeliveriesGo() throws {
        let (read, findings) = read(
            """
            hooks: { a.b: { expectEvery: 36h } }
            subscriptions:
              - name: a
                events: ["mailhookd.>"]
                file: { path: out.ndjson, rotate: { size: 1MiB, age: 1d, keep: 3 } }
                ordered: true
                payload: trigger
                rate: 600/m
                filter:
                  - { path: /a/b, exists: true }
                  - { path: /n, equals: 5 }
                  - { path: /s, in: ["5", x, true, null] }
              - { name: b, events: [">"], stdout: {} }
            """)
        #expect(findings.isEmpty)
        let configuration = try #require(read)
        #expect(configuration.hooks["a.b"]?.expectEvery == .seconds(36 * 3600))
        let first = configuration.subscriptions[0]
        #expect(first.isOrdered && first.breaker == nil)
        #expect(configuration.subscriptions.map(\.payload) == [.trigger, .event])
        #expect(first.rate == DeliveryRate(count: 600, per: .seconds(60)))
        var file = FileConfiguration(path: "/etc/mh/out.ndjson")
        (file.rotationSize, file.rotationAge, file.kept) = (1 << 20, .seconds(86_400), 3)
        #expect(first.sink == .file(file))
        let expected: [EventFilter.Condition?] = [
            .init(pointer: "/a/b", .exists(true)), .init(pointer: "/n", .isOne(of: [.number("5")])),
            .init(pointer: "/s", .isOne(of: [.string("5"), .string("x"), .boolean(true), .null])),
        ]
        #expect(first.filter == EventFilter(expected.compactMap { $0 }))
        #expect(configuration.subscriptions[1].sink == .standardOutput)
    }

    @Test(arguments: [
        ("rate: 0/s", "rate: must be a number and a time"), ("rate: 5", "rate: must be a number and a time"),
        ("ordered: yes", "ordered: must be true or false"), ("payload: raw", "payload: must be event or trigger"), ("allowPrivate: true", "allowPrivate: only goes with webhook"),
        ("breaker: \"off\"", "breaker: only goes with webhook"), ("filter: [{ exists: true }]", "filter[0]: needs 'path'"),
        ("filter: [{ path: a, exists: true }]", "is no JSON Pointer"), ("filter: [{ path: /a }]", "needs one of exists, equals and in"),
        ("filter: [{ path: /a, equals: [1] }]", "equals: must be a single value"),
    ])
    func saysWhatIsWrongWithADelivery(_ text: String, _ finding: String) {
        let (_, findings) = read("subscriptions:\n  - { name: a, events: [a], file: { path: x }, \(text) }")
        #expect(findings.count == 1 && findings[0].contains(finding), "\(findings)")
    }

    @Test(arguments: [
        ("rotate: {}", "rotate: needs size, age or both"), ("rotate: { age: 5s }", "age: must be 1m or more"),
        ("rotate: { size: 1MiB, keep: 0 }", "keep: must be a whole number"),
    ])
    func saysWhatIsWrongWithAFile(_ text: String, _ finding: String) {
        let (_, findings) = read("subscriptions:\n  - { name: a, events: [a], file: { path: x, \(text) } }")
        #expect(findings.count == 1 && findings[0].contains(finding), "\(findings)")
    }

    @Test func readsHowMailIsTaken() throws {
        let (read, findings) = read(
            """
            limits:
              receivedFields: 30
              allowClients: [10.0.0.0/8]
              proxyPeers: [10.0.0.1, "2001:db8::/32"]
              xclientPeers: 10.0.0.2
            smtp: { greetDelay: 3s, bareNewline: normalize, oneHookPerTransaction: true }
            """)
        #expect(findings.isEmpty)
        let configuration = try #require(read)
        #expect(configuration.limits.receivedFields == 30 && configuration.limits.messageSize == 25 << 20)
        #expect(configuration.limits.allowClients == [NetworkRange("10.0.0.0/8")].compactMap { $0 })
        #expect(configuration.limits.proxyPeers.count == 2 && configuration.limits.xclientPeers.count == 1)
        #expect(configuration.smtp.greetDelay == .seconds(3) && configuration.smtp.normalizesBareNewlines)
        #expect(configuration.smtp.oneHookPerTransaction)
        let builtIn = ConfigurationReader.builtIn()
        #expect(builtIn.limits.receivedFields == 50 && builtIn.limits.allowClients.isEmpty && builtIn.tls == nil)
        #expect(builtIn.smtp == Configuration.SMTPSettings())
    }

    @Test(.openssl) func readsTLS() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("mailhookd-tls-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let pair = try TestCertificate(in: folder)
        let text = """
            listen: { smtps: ["127.0.0.1:465"] }
            tls: { certificate: \(pair.certificate.path), key: \(pair.key.path), require: true, minimumVersion: "1.3" }
            """
        let configuration = try #require(read(text).configuration)
        #expect(configuration.listen.smtps == [.tcp(host: "127.0.0.1", port: 465)])
        let files = TLSFiles(certificate: pair.certificate.path, key: pair.key.path, minimum: .v13)
        #expect(configuration.tls == Configuration.TLSSettings(files: files, requiresSTARTTLS: true))
    }

    @Test func readsAWholeConfiguration() throws {
        let (read, findings) = read(
            """
            hostname: Hooks.Example.COM
            domains: [hooks.example.com, mail.example.com]
            data: /srv/data
            apps: my/apps
            listen: { smtp: ["0.0.0.0:25", "[::]:25"], lmtp: ["/run/lmtp.sock", "127.0.0.1:24"] }
            maildirs:
              - { path: mail/a }
              - { path: /var/mail/b, to: a.b, afterwards: delete }
            hooks:
              a.b: { aliases: [x@example.com], key: required, onNoData: reject, generation: 3,
                     senders: [shop.example, "<>"], messageSize: 2KiB }
              "*": { sources: [scripts, parts], previousUntil: 2026-12-31T00:00:00Z }
            limits: { messageSize: 400kB, idleTimeout: 90s, perPeerExempt: [10.0.0.0/8] }
            subscriptions:
              - { name: all, events: [">"], file: { path: out.ndjson }, retry: [1s, 2m], concurrency: 3 }
              - { name: x, events: [a.b, "c.*"], exec: { command: [/bin/true, "-v"], timeout: 5s, folder: work } }
            log: debug
            """)
        #expect(findings.isEmpty)
        let configuration = try #require(read)
        #expect(configuration.hostname == "hooks.example.com")
        #expect(configuration.domains == ["hooks.example.com", "mail.example.com"])
        #expect(configuration.data == "/srv/data" && configuration.apps == "/etc/mh/my/apps")
        #expect(configuration.listen.smtp == [.tcp(host: "0.0.0.0", port: 25), .tcp(host: "::", port: 25)])
        #expect(configuration.listen.lmtp == [.unix(path: "/run/lmtp.sock"), .tcp(host: "127.0.0.1", port: 24)])
        #expect(
            configuration.maildirs == [
                Maildir(path: "/etc/mh/mail/a"), Maildir(path: "/var/mail/b", to: "a.b", afterwards: .delete),
            ])
        let hook = try #require(configuration.hooks["a.b"])
        #expect(hook.policy.aliases == ["x@example.com"] && hook.policy.key == .required)
        #expect(hook.policy.onNoData == .reject && hook.generation == 3)
        #expect(hook.policy.senders.map(\.description) == ["shop.example", "<>"] && hook.policy.messageSize == 2048)
        // From "*", although it stands below.
        #expect(hook.policy.sources == [.scripts, .parts])
        #expect(hook.previousUntil == Timestamp(rfc3339: "2026-12-31T00:00:00Z"))
        #expect(configuration.limits.messageSize == 400_000 && configuration.limits.idleTimeout == .seconds(90))
        #expect(configuration.limits.connections == 200)
        #expect(configuration.subscriptions.map(\.name) == ["all", "x"])
        #expect(configuration.subscriptions[0].schedule.delays == [.seconds(1), .seconds(120)])
        #expect(configuration.subscriptions[0].concurrency == 3)
    }

    @Test func retentionOfAllAndOfSingleHooks() throws {
        let days = { (count: Int64) in Duration.seconds(count * 86_400) }
        let standard = ConfigurationReader.builtIn().retentionPolicy
        #expect(standard.ages == .init(messages: days(30), events: days(90)) && standard.hooks.isEmpty)
        #expect(standard.delivered == days(30) && standard.dead == days(90) && standard.duplicates == days(180))
        #expect(standard.size == 10 << 30 && ConfigurationReader.builtIn().limits.freeSpace == 100 << 20)
        let (configuration, findings) = read(
            """
            limits: { freeSpace: 0 }
            retention: { events: 60d, dead: unlimited, size: unlimited, duplicates: unlimited }
            hooks:
              a.b: { retention: { messages: 1h } }
              c.d: { retention: { events: unlimited } }
              e.f: { key: required }
              "*": { retention: { messages: 2d } }
            """)
        #expect(findings.isEmpty)
        let policy = try #require(configuration).retentionPolicy
        #expect(policy.ages == .init(messages: days(2), events: days(60)))
        #expect(policy.hooks["a.b"] == .init(messages: .seconds(3600), events: days(60)))
        #expect(policy.hooks["c.d"] == .init(messages: days(2), events: nil))
        #expect(policy.hooks["e.f"] ?? policy.ages == policy.ages)
        #expect(policy.delivered == days(30) && policy.dead == nil && policy.size == nil && policy.duplicates == nil)
        #expect(configuration?.limits.freeSpace == 0)
    }

    struct Mistake: Sendable, CustomTestStringConvertible {
        var text: String
        var finding: String
        var testDescription: String { text }
    }

    @Test(arguments: [
        Mistake(
            text: "hostnam: x.example",
            finding: "m.yaml:1:1: error: unknown key 'hostnam' (did you mean 'hostname'?)"),
        Mistake(
            text: "listen:\n  smptp: []",
            finding: "m.yaml:2:3: error: listen: unknown key 'smptp' (did you mean 'smtp'?)"),
        Mistake(
            text: "listen: { smtps: [\"127.0.0.1:465\"] }",
            finding: "m.yaml:1:9: error: listen.smtps: needs a certificate: see 'tls'"),
        Mistake(
            text: "tls:\nlisten: { smtps: [\"127.0.0.1:465\"] }",
            finding: "m.yaml:2:9: error: listen.smtps: needs a certificate: see 'tls'"),
        Mistake(
            text: "listen: { smtps: [/run/smtps.sock] }",
            finding: "m.yaml:1:19: error: listen.smtps[0]: must be HOST:PORT or [IPV6]:PORT"),
        Mistake(text: "tls: { certificate: a.pem }", finding: "m.yaml:1:6: error: tls: needs 'key', a file in PEM"),
        Mistake(
            text: "smtp: { oneHookPerTransaction: yes }",
            finding: "m.yaml:1:32: error: smtp.oneHookPerTransaction: must be true or false"),
        Mistake(
            text: "tls: { certificate: a.pem, key: b.pem }",
            finding: "m.yaml:1:21: error: tls.certificate: /etc/mh/a.pem: No such file or directory"),
        Mistake(text: "smtp: { greetDelay: 2m }", finding: "m.yaml:1:21: error: smtp.greetDelay: must be from 0s to 1m"),
        Mistake(text: "smtp: { bareNewline: mend }", finding: "m.yaml:1:22: error: smtp.bareNewline: must be refuse or normalize"),
        Mistake(text: "limits: { receivedFields: 0 }", finding: "m.yaml:1:27: error: limits.receivedFields: must be a whole number from 1 to 1000"),
        Mistake(
            text: "limits: { proxyPeers: [balancer] }",
            finding: "m.yaml:1:24: error: limits.proxyPeers[0]: must be an address or range such as 192.0.2.0/24"),
        Mistake(
            text: "listen: { smtp: [\"localhost\"] }",
            finding: "m.yaml:1:18: error: listen.smtp[0]: must be HOST:PORT, [IPV6]:PORT or the absolute path of a socket"),
        Mistake(text: "data: [a]", finding: "m.yaml:1:7: error: data: must be a non-empty text"),
        Mistake(text: "data: /a\ndata: /b", finding: "m.yaml:2:1: error: the key 'data' stands here twice"),
        Mistake(text: "listen: yes", finding: "m.yaml:1:9: error: listen: must be a mapping, not a single value"),
        Mistake(
            text: "limits: { connections: many }",
            finding: "m.yaml:1:24: error: limits.connections: must be a whole number from 1 to 65000"),
        Mistake(
            text: "limits: { messageSize: 1KiB }",
            finding: "m.yaml:1:24: error: limits.messageSize: must be from 64KiB to 512MiB"),
        Mistake(
            text: "limits: { idleTimeout: 5 }",
            finding: "m.yaml:1:24: error: limits.idleTimeout: must be a time such as 20s, 5m, 2h or 1d"),
        Mistake(
            text: "hooks: { a: { key: maybe } }",
            finding: "m.yaml:1:20: error: hooks.a.key: must be optional or required"),
        Mistake(
            text: "hooks: { a: { aliases: [nobody] } }",
            finding: "m.yaml:1:25: error: hooks.a.aliases[0]: must be an address such as orders@hooks.example.com"),
        Mistake(
            text: "hooks: { a: { senders: [a@b.example, \"a b\"] } }",
            finding: "m.yaml:1:38: error: hooks.a.senders[1]: must be an address, a domain, *.domain or <>"),
        Mistake(
            text: "hooks: { a: { messageSize: 3 } }",
            finding: "m.yaml:1:28: error: hooks.a.messageSize: must be 1KiB or more"),
        Mistake(
            text: "hooks: { \"*\": { aliases: [a@b.example] } }",
            finding: "m.yaml:1:26: error: hooks.*.aliases: an alias belongs to one hook, not to all"),
        Mistake(
            text: "maildirs: [{ to: a }]",
            finding: "m.yaml:1:12: error: maildirs[0]: needs 'path' (the folder that holds new, cur and tmp)"),
        Mistake(
            text: "maildirs: [{ path: a, afterwards: keep }]",
            finding: "m.yaml:1:35: error: maildirs[0].afterwards: must be move or delete"),
        Mistake(
            text: "maildirs: [{ path: a }, { path: a }]",
            finding: "m.yaml:1:33: error: maildirs[1].path: stands in this list twice"),
        Mistake(
            text: "maildirs: [{ path: a, too: b }]",
            finding: "m.yaml:1:23: error: maildirs[0]: unknown key 'too' (did you mean 'to'?)"),
        Mistake(text: "domains: []", finding: "m.yaml:1:10: error: domains: must name at least one domain"),
        Mistake(text: "hostname: -x-", finding: "m.yaml:1:11: error: hostname: must be a host name"),
        Mistake(
            text: "log: loud",
            finding: "m.yaml:1:6: error: log: must be one of trace, debug, info, notice, warning, error"),
        Mistake(
            text: "processorBinding: yes",
            finding: "m.yaml:1:19: error: processorBinding: must be one of auto, always, never"),
        Mistake(
            text: "subscriptions:\n  - { events: [\">\"], file: { path: x } }",
            finding: "m.yaml:2:5: error: subscriptions[0]: needs 'name' (for logs and for the store)"),
        Mistake(
            text: "subscriptions:\n  - { name: a, events: [\"a..b\"], file: { path: x } }",
            finding: "m.yaml:2:24: error: subscriptions[0].events: 'a..b' is no pattern: "),
        Mistake(
            text: "subscriptions:\n  - { name: a, events: [\">\"] }",
            finding: "m.yaml:2:5: error: subscriptions[0]: needs one sink: webhook, exec, file"),
        Mistake(
            text: "subscriptions:\n  - { name: a, events: [\">\"], exec: {} }",
            finding: "m.yaml:2:37: error: subscriptions[0].exec: needs 'command' (a list: the program and its arguments)"),
        Mistake(
            text: "subscriptions:\n  - { name: a, events: [\">\"], webhook: { url: \"https://x.example\" } }",
            finding: "m.yaml:2:40: error: subscriptions[0].webhook: needs 'secretFile'"),
        Mistake(
            text: "listen: { admin: [\"0.0.0.0:8026\"] }",
            finding: "m.yaml:1:18: error: listen.admin: must be a socket or an address of this machine's own"),
        Mistake(
            text: "http: { publicURL: hooks.example.com }",
            finding: "m.yaml:1:20: error: http.publicURL: must be a URL such as https://hooks.example.com"),
        Mistake(text: "http: { publicURL: \"https:///x\" }", finding: "m.yaml:1:20: error: http.publicURL: must be a URL"),
        Mistake(
            text: "http: { organization: a/b }",
            finding: "m.yaml:1:23: error: http.organization: must be letters, digits, - and _, 64 at most"),
        Mistake(text: "http: { bodySize: 10 }", finding: "m.yaml:1:19: error: http.bodySize: must be from 1kB to 16MiB"),
        Mistake(text: "http: { perHook: 0 }", finding: "m.yaml:1:18: error: http.perHook: must be a whole number from 1"),
        Mistake(text: "http: { idleTimeout: 0s }", finding: "m.yaml:1:22: error: http.idleTimeout: must be 1s or more"),
        Mistake(text: "http: { trustedProxies: [all] }", finding: "m.yaml:1:26: error: http.trustedProxies[0]: must be"),
        Mistake(
            text: "hooks:\n  a.b: { form: compacted }",
            finding: "m.yaml:2:16: error: hooks.a.b.form: needs 'context', a JSON file"),
        Mistake(
            text: "hooks:\n  a.b: { form: expanded, frame: x }",
            finding: "m.yaml:2:33: error: hooks.a.b.frame: only goes with form: framed"),
        Mistake(
            text: "hooks:\n  a.b: { form: framed, frame: no.json }",
            finding: "m.yaml:2:31: error: hooks.a.b.frame: /etc/mh/no.json: No such file"),
        Mistake(
            text: "retention: { messages: long }",
            finding: "m.yaml:1:24: error: retention.messages: must be a time such as 20s, 5m, 2h or 1d, or unlimited"),
        Mistake(text: "retention: { dead: 10ms }", finding: "m.yaml:1:20: error: retention.dead: must be 1s or more"),
        Mistake(text: "retention: { size: 1kB }", finding: "m.yaml:1:20: error: retention.size: must be a size such as 10GiB"),
        Mistake(
            text: "retention: { duplicates: 5d }",
            finding: "m.yaml:1:26: error: retention.duplicates: must not be shorter than messages and events"),
        Mistake(
            text: "hooks: { a.b: { retention: { events: 365d } } }",
            finding: "m.yaml: error: retention.duplicates: must not be shorter than messages and events, of single hooks too"),
        Mistake(text: "limits: { freeSpace: some }", finding: "m.yaml:1:22: error: limits.freeSpace: must be a size such as"),
        Mistake(text: "data: \"unfinished", finding: "m.yaml:1:"),
        Mistake(text: "a: &x [*x]", finding: "m.yaml:1:"),
        Mistake(text: "- a", finding: "m.yaml:1:1: error: must be a mapping, not a list"),
    ])
    func tellsWhatIsWrong(_ mistake: Mistake) {
        let (configuration, findings) = read(mistake.text)
        #expect(configuration == nil)
        #expect(findings.count == 1, "\(findings)")
        #expect(findings.first?.hasPrefix(mistake.finding) == true, "\(findings)")
    }

    @Test func tellsEverythingAtOnce() {
        let (_, findings) = read("hostnam: x\nlog: loud\nlimits: { recipients: 0 }\n")
        #expect(findings.count == 3)
    }

    @Test func nullAndEmptyKeepTheDefaults() throws {
        for text in ["", "# nothing\n", "data:\nlisten:\nlimits: ~\n"] {
            let (configuration, findings) = read(text)
            #expect(findings.isEmpty)
            #expect(try #require(configuration).data == "/var/lib/mailhookd")
        }
    }
}

@Suite struct UnitsTests {
    @Test(arguments: [
        ("0", 0), ("7", 7), ("7B", 7), ("1kB", 1000), ("1 KiB", 1024), ("25MiB", 26_214_400), ("2GB", 2_000_000_000),
    ])
    func sizes(text: String, expected: Int) { #expect(Units.size(text) == expected) }

    @Test(arguments: ["", "-1", "1kb", "1.5MiB", "MiB", "99999999999GiB", "١"])
    func noSizes(text: String) { #expect(Units.size(text) == nil) }

    @Test func durations() {
        #expect(Units.duration("250ms") == .milliseconds(250))
        #expect(Units.duration("1d") == .seconds(86_400))
        for text in ["", "5", "s", "-5s", "5y", "9223372036854775807d"] { #expect(Units.duration(text) == nil) }
    }
}

@Suite struct AddressFormTests {
    @Test(arguments: ["127.0.0.1:25", "[::1]:2525", "localhost:0", "/run/x.sock"])
    func listenAddressesRoundTrip(text: String) { #expect(ListenAddress(text)?.description == text) }

    @Test(arguments: ["", ":25", "host", "host:", "host:65536", "host:-1", "::1:25", "run/x.sock"])
    func refusesOthers(text: String) { #expect(ListenAddress(text) == nil) }

    @Test(arguments: [
        ("127.0.0.0/8", "127.255.0.1", true), ("127.0.0.0/8", "128.0.0.1", false), ("10.1.2.3", "10.1.2.3", true),
        ("10.1.2.3", "10.1.2.4", false), ("0.0.0.0/0", "203.0.113.9", true), ("192.0.2.128/25", "192.0.2.127", false),
        ("127.0.0.0/8", "::ffff:127.0.0.1", true), ("2001:db8::/33", "2001:db8:7fff::1", true),
        ("2001:db8::/33", "2001:db8:8000::1", false), ("::/0", "10.0.0.1", false), ("::1/128", "::1", true),
    ])
    func ranges(range: String, address: String, expected: Bool) throws {
        #expect(try #require(NetworkRange(range)).contains(address) == expected)
    }

    @Test(arguments: ["", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0/8", "host", "::/129", "10.0.0.0/"])
    func noRanges(text: String) { #expect(NetworkRange(text) == nil) }
}
