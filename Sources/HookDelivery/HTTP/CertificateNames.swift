// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Whether a certificate is made out to the name a webhook's URL says. NIOSSL compares names too, but takes a
// certificate for the address that was connected to as well, and whoever answers for a name in DNS chooses that
// address. Pure.

enum CertificateNames {
    /// RFC 9525 section 6.3: a name as a whole, or with `*` in place of its first label.
    ///
    /// - Parameters:
    ///   - names: the certificate's names of hosts (subjectAltName, dNSName).
    ///   - host: of the URL. Case and a full stop at the end make no difference.
    static func fit(_ names: some Sequence<[UInt8]>, _ host: String) -> Bool {
        let wanted = normal(Array(host.utf8))
        guard !wanted.isEmpty else { return false }
        let parent = wanted.firstIndex(of: UInt8(ascii: ".")).map { wanted[$0...] }
        return names.contains { name in
            let name = normal(name)
            if name == wanted { return true }
            // `*.example.com` says nothing of `example.com`, nor of `a.b.example.com`.
            guard name.starts(with: "*.".utf8), let parent, parent.startIndex > 0 else { return false }
            return name.dropFirst() == parent
        }
    }

    private static func normal(_ name: [UInt8]) -> [UInt8] {
        var name = name.map { (65...90).contains($0) ? $0 + 32 : $0 }
        if name.last == UInt8(ascii: ".") { name.removeLast() }
        return name
    }
}
