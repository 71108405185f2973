// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Form and web hooks behind TLS, by curl and by clients that break the rules.

import Foundation
import TestSupport
import Testing

@Suite(.openssl) struct HTTPSTests {
    private func installation(_ more: String = "") throws -> Installation {
        let installation = try Installation(
            "tls: { certificate: tls.crt, key: tls.key }\n\(more)",
            listen: "https: [\"127.0.0.1:0\"], http: [\"127.0.0.1:0\"]")
        try TestCertificate(in: installation.folder)
        try installation.start()
        return installation
    }

    private func formURL(_ installation: Installation) throws -> String {
        let hooks = try Installation.objects(installation.command(["hooks", "--json"]).output)
        return try #require(hooks.first { $0["type"] as? String == "form" }?["url"] as? String)
    }

    /// By the name that the certificate is made out to.
    private func curl(_ installation: Installation, _ url: String, _ arguments: [String]) throws -> Child.Result {
        let (host, port) = try installation.address(of: "https")
        return try Child.run(
            "curl",
            [
                "-sS", "-o", "/dev/null", "-w", "%{http_code} %{http_version}", "--cacert",
                installation.folder.path + "/tls.crt", "--resolve", "hooks.example.com:\(port):\(host)",
            ] + arguments + [url.replacingOccurrences(of: host, with: "hooks.example.com")])
    }

    @Test func curlPostsToAForm() throws {
        let installation = try installation()
        let url = try formURL(installation)
        #expect(url.hasPrefix("https://127.0.0.1:"))
        let sent = try curl(installation, url, ["--json", "{\"name\":\"x\"}"])
        #expect(sent.output == "202 1.1", "\(sent.output)\(sent.errors)")
        #expect(try installation.events().count == 1)
        // Who does not know the certificate does not send anything.
        let stranger = try Child.run("curl", ["-sS", "--json", "{}", url])
        #expect(stranger.status == 60, "\(stranger.errors)")
        let large = try installation.write("large.json", "\"" + String(repeating: "x", count: 3_000_000) + "\"")
        let refused = try curl(installation, url, ["-H", "Expect:", "--json", "@\(large.path)"])
        #expect(refused.output == "413 1.1", "\(refused.output)\(refused.errors)")
        let old = try curl(installation, url, ["--tls-max", "1.1", "--json", "{}"])
        #expect(old.status == 35, "\(old.errors)")
        #expect(try installation.events().count == 1)
        #expect(try installation.stop() == 0)
    }

    @Test func whoSpeaksNoTLSIsSentAway() throws {
        let installation = try installation("http: { idleTimeout: 2s }")
        let address = try installation.address(of: "https")
        let plain = try Connection(address)
        plain.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        #expect(!plain.rest().contains("HTTP/1.1"))
        let silent = try Connection(address)
        let begun = Date()
        #expect(silent.rest().isEmpty)
        #expect(Date().timeIntervalSince(begun) < 15)
        // The other listener is as it was.
        let (host, port) = try installation.address(of: "http")
        let answer = try Child.run("curl", ["-s", "-o", "/dev/null", "-w", "%{http_code}", "http://\(host):\(port)/"])
        #expect(answer.output == "404")
    }

    @Test func anotherCertificateByReload() throws {
        let installation = try installation()
        let url = try formURL(installation)
        #expect(try curl(installation, url, ["--json", "1"]).output.hasPrefix("202"))
        try TestCertificate(in: installation.folder)
        installation.daemon?.signal(SIGHUP)
        // The authority is the certificate itself: only the new one fits the file that is there now.
        try eventually("the new certificate is served") { try curl(installation, url, ["--json", "2"]).output.hasPrefix("202") }
    }
}
