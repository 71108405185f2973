// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The section `http` of the configuration.

import HookIntake

enum HTTPSettingsReader {
    private static let keys = [
        "publicURL", "organization", "bodySize", "connections", "connectionsPerPeer", "trustedProxies", "idleTimeout",
        "requestTimeout", "perHook", "perPeer",
    ]

    static func read(
        _ node: YAMLNode, file: String, into settings: inout Configuration.HTTPSettings,
        _ diagnostics: inout Diagnostics
    ) {
        let section = YAMLSection(node, file: file, place: "http", keys: keys, into: &diagnostics)
        let url = section.value(
            "publicURL", expected: "a URL such as https://hooks.example.com", into: &diagnostics, url)
        settings.publicURL = url ?? settings.publicURL
        let organization = section.value(
            "organization", expected: "letters, digits, - and _, 64 at most", into: &diagnostics, organization)
        settings.organization = organization ?? settings.organization
        if let size = section.size("bodySize", into: &diagnostics) {
            if (1000...16 << 20).contains(size) {
                settings.bodySize = size
            } else {
                section.complain("bodySize", "must be from 1kB to 16MiB", into: &diagnostics)
            }
        }
        let counts = 1...65_000
        settings.connections = section.integer("connections", in: counts, into: &diagnostics) ?? settings.connections
        settings.connectionsPerPeer =
            section.integer("connectionsPerPeer", in: counts, into: &diagnostics) ?? settings.connectionsPerPeer
        let proxies = section.list(
            "trustedProxies", of: "an address or range such as 192.0.2.0/24", into: &diagnostics
        ) { NetworkRange($0) }
        settings.trustedProxies = proxies ?? settings.trustedProxies
        readTimes(section, into: &settings, &diagnostics)
        settings.perHook = rate(section, "perHook", else: settings.perHook, &diagnostics)
        settings.perPeer = rate(section, "perPeer", else: settings.perPeer, &diagnostics)
    }

    private static func readTimes(
        _ section: YAMLSection, into settings: inout Configuration.HTTPSettings, _ diagnostics: inout Diagnostics
    ) {
        settings.idleTimeout = section.duration("idleTimeout", into: &diagnostics) ?? settings.idleTimeout
        settings.requestTimeout = section.duration("requestTimeout", into: &diagnostics) ?? settings.requestTimeout
        for (key, value) in [("idleTimeout", settings.idleTimeout), ("requestTimeout", settings.requestTimeout)]
        where section.node(key) != nil && value < .seconds(1) {
            section.complain(key, "must be 1s or more", into: &diagnostics)
        }
    }

    private static func rate(
        _ section: YAMLSection, _ key: String, else standard: Int?, _ diagnostics: inout Diagnostics
    ) -> Int? {
        let range = 1...100_000_000
        let expected = "a whole number from 1 to \(range.upperBound), or unlimited"
        let read: Int?? = section.value(key, expected: expected, into: &diagnostics) { text in
            if text == "unlimited" { return .some(nil) }
            return Int(text).flatMap { range.contains($0) ? .some($0) : nil }
        }
        return read ?? standard
    }

    /// Whether only this machine can reach an address: the management interface shows every hook's address.
    static func isLocal(_ address: ListenAddress) -> Bool {
        switch address {
        case .unix: true
        case .tcp(let host, _):
            host == "localhost" || ["127.0.0.0/8", "::1"].contains { NetworkRange($0)?.contains(host) == true }
        }
    }

    /// http or https, a host, and nothing that could not stand before a path.
    private static func url(_ text: String) -> String? {
        guard let scheme = ["https://", "http://"].first(where: { text.hasPrefix($0) }) else { return nil }
        var rest = text.dropFirst(scheme.count)
        while rest.last == "/" { rest.removeLast() }
        let isGood = rest.first.map { $0 != "/" && $0 != ":" } == true
            && rest.utf8.allSatisfy { (33...126).contains($0) && !"?#\"<>\\@".utf8.contains($0) }
        return isGood ? scheme + rest : nil
    }

    private static func organization(_ text: String) -> String? {
        let isGood = (1...64).contains(text.utf8.count)
            && text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == "_") }
        return isGood ? text : nil
    }
}
