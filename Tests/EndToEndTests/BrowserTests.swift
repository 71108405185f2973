// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A real browser posts forms from a page of another origin and shows what it was told; and a
// tool that reads the description of the management interface tries to prove it wrong.

import Foundation
import TestSupport
import Testing

@Suite struct BrowserTests {
    static let browser: String? = ["chromium-headless-shell", "chromium"].first {
        (try? Child.run("which", [$0]))?.status == 0
    }

    /// JSON with a header that needs a preflight, a form with a file, and a refusal: each is readable to the page.
    @Test(.enabled(if: browser != nil, "skipped: there is no chromium here; scripts/test installs it"))
    func aPageOfAnotherOriginPosts() throws {
        let web = try WebInstallation()
        try web.start()
        let url = try web.url(try web.path(WebInstallation.contact))
        try FileManager.default.createDirectory(
            at: web.installation.folder.appendingPathComponent("pages"), withIntermediateDirectories: true)
        _ = try web.installation.write("pages/page.html", Self.page.replacingOccurrences(of: "HOOK", with: url))
        let pages = try Child(
            "python3", ["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", web.installation.folder.path + "/pages"])
        try pages.waitForOutput("says its port") { $0.contains { $0.hasPrefix("Serving HTTP") } }
        let port = try #require(pages.lines.first?.split(separator: " ").compactMap { Int($0) }.last)
        let shown = try Child.run(
            try #require(Self.browser),
            [
                "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                "--user-data-dir=\(web.installation.folder.path)/profile", "--virtual-time-budget=20000", "--dump-dom",
                "http://127.0.0.1:\(port)/page.html",
            ], seconds: 60)
        pages.signal(SIGTERM)
        let result = shown.output
        #expect(result.contains("json 202 evt_"), "\(result) \(shown.errors)")
        #expect(result.contains("form 202 evt_") && result.contains("refused 404 recipient_unknown"), "\(result)")
        let events = try web.installation.events()
        #expect(events.map { $0["bodyform"] as? String } == ["json", "multipart"])
        let form = try #require(events.last?["data"] as? [String: Any])
        #expect((form["file"] as? [String: Any])?["content"] as? String == Data("hello".utf8).base64EncodedString())
    }

    private static let page = """
        <!DOCTYPE html><title>page</title><body><script>
        const show = async (name, answer) => {
          const body = await answer.json();
          const id = answer.headers.get("x-request-id") ? "" : " no request id";
          document.body.append(name + " " + answer.status + " " + (body.data?.id ?? body.errors[0].code) + id + "; ");
        };
        (async () => {
          await show("json", await fetch("HOOK", { method: "POST", body: JSON.stringify({ a: 1 }),
            headers: { "Content-Type": "application/json", "Authorization": "Bearer nothing" } }));
          const form = new FormData();
          form.append("name", "Jörg");
          form.append("file", new File(["hello"], "hello.txt", { type: "text/plain" }));
          await show("form", await fetch("HOOK", { method: "POST", body: form }));
          await show("refused", await fetch("HOOKx", { method: "POST", body: "a=1" }));
        })().catch(error => document.body.append("failed " + error));
        </script></body>
        """
}

@Suite struct InterfaceTests {
    static let python: String? = ProcessInfo.processInfo.environment["MAILHOOKD_TEST_PYTHON"].flatMap {
        (try? Child.run($0, ["-c", "import schemathesis"]))?.status == 0 ? $0 : nil
    }

    @Test(.enabled(if: python != nil, "skipped: the PyPI package schemathesis is not installed; run scripts/test"))
    func theDescriptionHolds() throws {
        let web = try WebInstallation(listen: #"admin: ["127.0.0.1:0"]"#)
        try web.start()
        for number in 1...3 { _ = try web.curl(try web.path(WebInstallation.contact), ["-d", "n=\(number)"]) }
        let key = try web.key(
            "org.permission.hook.read", "org.permission.event.read", "org.hooks", "org.admin.hook.write",
            "org.permission.message.read")
        let tool = URL(fileURLWithPath: try #require(Self.python)).deletingLastPathComponent()
            .appendingPathComponent("schemathesis").path
        let result = try Child.run(
            tool,
            [
                "run", "http://\(try web.listener("admin"))/v1/openapi.json", "-H", "Authorization: Bearer \(key)",
                "--max-examples", "20", "--seed", "1", "--no-color",
            ], folder: web.installation.folder, seconds: 180)
        #expect(result.status == 0, "\(result.output)")
        #expect(!result.output.contains("FAILURES") && !result.output.contains("ERRORS"))
    }
}
