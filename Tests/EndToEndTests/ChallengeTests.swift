// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Form hooks with a challenge: a local server plays the verifier, rightly and wrongly.

import Foundation
import TestSupport
import Testing

@Suite struct ChallengeTests {
    /// Says yes to `right`, no to all others; `slow` never gets an answer, `odd` one that means nothing.
    private static let verifier = """
        import http.server, json, sys, time, urllib.parse
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                fields = urllib.parse.parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
                print(json.dumps(fields), flush=True)
                answer = fields["response"][0]
                if answer == "slow":
                    time.sleep(20)
                body = b"odd" if answer == "odd" else json.dumps({"success": answer == "right & <good>"}).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            def log_message(self, *rest):
                pass
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        print(server.server_address[1], flush=True)
        server.serve_forever()
        """

    @Test func answersAreChecked() throws {
        let web = try WebInstallation()
        let script = try web.installation.write("verifier.py", Self.verifier)
        let verifier = try Child("python3", [script.path])
        defer { verifier.signal(SIGKILL) }
        try verifier.waitForOutput("says its port") { !$0.isEmpty }
        let port = try #require(verifier.lines.first)
        _ = try web.installation.write("captcha.key", "s3cret+\n")
        let challenge = """
              \(WebInstallation.contact):
                challenge: { url: "http://127.0.0.1:\(port)/siteverify", field: h-captcha-response, secretFile: captcha.key, timeout: 1s }

            """
        _ = try web.installation.write(
            "mailhookd.yaml", web.installation.file("mailhookd.yaml").replacingOccurrences(of: "hooks:\n", with: "hooks:\n" + challenge))
        try web.start()
        let path = try web.path(WebInstallation.contact)
        func post(_ answer: String?) throws -> WebInstallation.Answer {
            try web.curl(path, ["-F", "name=Ines"] + (answer.map { ["--form-string", "h-captcha-response=\($0)"] } ?? []))
        }
        let passed = try post("right & <good>")
        #expect(passed.status == 202, "\(passed.text)")
        #expect((try web.event(passed.id)["data"] as? [String: Any])?["name"] as? String == "Ines")
        let json = try web.curl(path, ["--json", #"{"h-captcha-response":"right & <good>"}"#])
        #expect(json.status == 202)
        for (answer, status, code) in [("wrong", 403, "challenge_failed"), ("slow", 503, "challenge_unavailable"), ("odd", 503, "challenge_unavailable")] {
            let refused = try post(answer)
            #expect(refused.status == status && refused.code == code, "\(answer): \(refused.text)")
            // A page of any origin can read why.
            #expect(refused.fields["access-control-allow-origin"] == "*")
        }
        #expect(try post(nil).code == "challenge_failed")
        // Nobody was asked about a post without an answer.
        let asked = verifier.lines.dropFirst()
        #expect(asked.count == 5)
        #expect(asked.allSatisfy { $0.contains(#""secret": ["s3cret+"]"#) })
        verifier.signal(SIGKILL)
        #expect(try post("right & <good>").code == "challenge_unavailable")
        #expect(try web.installation.events().count == 2)
        #expect(try web.installation.stop() == 0)
        #expect(!web.installation.lastLog.contains("s3cret") && !web.installation.lastLog.contains("right"))
    }
}
