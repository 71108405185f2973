// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Form and web hooks from outside: curl and plain sockets against the running daemon.

import Foundation
import TestSupport
import Testing

/// A daemon with the example app, which has a form and a web hook.
final class WebInstallation {
    let installation: Installation
    private(set) var hooks: [String: [String: Any]] = [:]

    static let contact = "kustomer.app.ecommstore.contact.request"
    static let stock = "kustomer.app.ecommstore.stock.change"

    /// - Parameter listen: further listeners, for example `admin: ["127.0.0.1:0"]`.
    init(_ configuration: String = "", listen: String? = nil) throws {
        installation = try Installation(configuration)
        guard let listen else { return }
        let text = installation.file("mailhookd.yaml").replacingOccurrences(of: "listen: {", with: "listen: { \(listen),")
        _ = try installation.write("mailhookd.yaml", text)
    }

    func start(_ arguments: [String] = []) throws {
        try installation.start(["--http", "127.0.0.1:0"] + arguments)
        for hook in try Installation.objects(installation.command(["hooks", "--json"]).output) {
            hooks[try #require(hook["eventName"] as? String)] = hook
        }
    }

    var http: (host: String, port: String) { get throws { try installation.address(of: "http") } }

    var admin: (host: String, port: String) { get throws { try installation.address(of: "admin") } }

    /// What `serve` printed of a listener.
    func listener(_ name: String) throws -> Substring {
        try #require(installation.daemon?.lines.first { $0.hasPrefix(name + " ") }).dropFirst(name.count + 1)
    }

    /// Makes an API key.
    func key(_ roles: String...) throws -> String {
        let made = try installation.command(["keys", "create", "--name", "a test"] + roles.flatMap { ["--role", $0] })
        #expect(made.status == 0, "\(made.errors)")
        return made.output.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// The path of a hook as `mailhookd hooks` shows it.
    func path(_ eventName: String) throws -> String {
        let text = try #require(hooks[eventName]?["url"] as? String)
        let base = try url("")
        #expect(text.hasPrefix(base))
        return String(text.dropFirst(base.count))
    }

    func url(_ path: String) throws -> String {
        let (host, port) = try http
        return "http://\(host):\(port)\(path)"
    }

    struct Answer {
        var status: Int
        /// Names in lower case.
        var fields: [String: String]
        var text: String
        var object: [String: Any] { (try? JSONSerialization.jsonObject(with: Data(text.utf8))) as? [String: Any] ?? [:] }
        var code: String? { (object["errors"] as? [[String: Any]])?.first?["code"] as? String }
        var id: String? { (object["data"] as? [String: Any])?["id"] as? String }
    }

    /// Runs curl; arguments go before the URL.
    func curl(_ path: String, _ arguments: [String] = [], input: String? = nil) throws -> Answer {
        try Self.curl(try url(path), arguments, input: input)
    }

    static func curl(_ url: String, _ arguments: [String], input: String? = nil) throws -> Answer {
        let result = try Child.run("curl", ["-sS", "-i", "--max-time", "20"] + arguments + [url], input: input)
        guard result.status == 0 else { throw Child.Failure(description: "curl: \(result.errors)") }
        return parse(result.output)
    }

    static func parse(_ output: String) -> Answer {
        var rest = output[...]
        var status = 0
        var fields: [String: String] = [:]
        // Interim answers come first.
        repeat {
            let end = rest.range(of: "\r\n\r\n") ?? rest.endIndex..<rest.endIndex
            let lines = rest[..<end.lowerBound].components(separatedBy: "\r\n")
            status = Int(lines[0].split(separator: " ").dropFirst().first ?? "") ?? 0
            fields = [:]
            for line in lines.dropFirst() {
                let halves = line.split(separator: ":", maxSplits: 1)
                if halves.count == 2 { fields[halves[0].lowercased()] = halves[1].trimmingCharacters(in: .whitespaces) }
            }
            rest = rest[end.upperBound...]
        } while status < 200 && !rest.isEmpty
        return Answer(status: status, fields: fields, text: String(rest))
    }

    /// The data of every stored event of this id.
    func event(_ id: String?) throws -> [String: Any] {
        let events = try installation.events().filter { $0["id"] as? String == id }
        #expect(events.count == 1)
        return try #require(events.first)
    }
}

@Suite struct FormHookTests {
    @Test func postsOfAllFormsBecomeEvents() throws {
        let web = try WebInstallation()
        try web.start()
        let path = try web.path(WebInstallation.contact)
        #expect(path.hasPrefix("/v1/hooks/form/"))

        let json = try web.curl(
            path, ["-H", "Content-Type: application/json", "-d", #"{"mail.address": "ines@example.test", "n": 1.10}"#])
        #expect(json.status == 202)
        #expect(json.fields["x-request-id"]?.hasPrefix("req_") == true)
        #expect(json.fields["access-control-allow-origin"] == "*")
        let data = try #require(json.object["data"] as? [String: Any])
        #expect(data["type"] as? String == "hook_transaction")
        #expect((data["links"] as? [String: Any])?["self"] as? String == "/v1/events/\(try #require(json.id))")
        let event = try web.event(json.id)
        #expect(event["type"] as? String == WebInstallation.contact)
        #expect(event["hooktype"] as? String == "form" && event["intake"] as? String == "http")
        #expect(event["trust"] as? String == "none" && event["bodyform"] as? String == "json")
        #expect((event["data"] as? [String: Any])?["mail.address"] as? String == "ines@example.test")

        // The short address, and a useless Authorization.
        let token = try #require(path.split(separator: "/").last)
        let form = try web.curl(
            "/v1/hooks/form/\(token)",
            ["-H", "Authorization: Bearer nonsense", "--data-urlencode", "name=Jörg & Co", "-d", "tag=a", "-d", "tag=b"])
        #expect(form.status == 202)
        let fields = try web.event(form.id)["data"] as? [String: Any]
        #expect(fields?["name"] as? String == "Jörg & Co")
        #expect(fields?["tag"] as? [String] == ["a", "b"])

        let photo = try web.installation.write("photo.txt", "not a photo")
        let upload = try web.curl(path, ["-F", "note=hello", "-F", "photo=@\(photo.path);type=image/png"])
        #expect(upload.status == 202)
        let parts = try #require(try web.event(upload.id)["data"] as? [String: Any])
        #expect(parts["note"] as? String == "hello")
        let file = try #require(parts["photo"] as? [String: Any])
        #expect(file["filename"] as? String == "photo.txt" && file["contentType"] as? String == "image/png")
        #expect(file["size"] as? Int == 11)
        #expect(file["content"] as? String == Data("not a photo".utf8).base64EncodedString())

        let xml = try web.curl(path, ["-H", "Content-Type: text/xml", "-d", "<order id='1'/>"])
        #expect((try web.event(xml.id)["data"] as? [String: Any])?["xml"] as? String == "<order id='1'/>")
        let text = try web.curl(path, ["-H", "Content-Type: application/json", "-d", "{broken"])
        #expect(text.status == 202)
        #expect((try web.event(text.id)["data"] as? [String: Any])?["unstructured"] as? String == "{broken")
        #expect(try web.installation.stop() == 0)
    }

    @Test func identicalPostsAreTwoEventsUnlessAKeySaysOtherwise() throws {
        let web = try WebInstallation()
        try web.start()
        let path = try web.path(WebInstallation.contact)
        func post(_ body: String, _ key: String? = nil) throws -> WebInstallation.Answer {
            try web.curl(path, ["-d", body] + (key.map { ["-H", "Idempotency-Key: \($0)"] } ?? []))
        }
        let first = try post("a=1")
        let second = try post("a=1")
        #expect(first.id != second.id)
        let keyed = try post("a=1", "k-1")
        let again = try post("a=1", "k-1")
        #expect(keyed.status == 202 && again.status == 202 && keyed.id == again.id)
        let other = try post("a=2", "k-1")
        #expect(other.status == 422 && other.code == "idempotency_key_reused")
        // Its sender tries again: what was refused is not done by now. Nor is it because somebody else posts the same.
        let retried = try post("a=2", "k-1")
        #expect(retried.status == 422 && retried.code == "idempotency_key_reused")
        #expect(try post("a=2", "k-2").status == 202)
        #expect(try post("a=2", "k-1").status == 422)
        #expect(try post("a=1", String(repeating: "k", count: 256)).status == 400)
        #expect(try web.installation.events().count == 4)
        // Each of the four is found again; what was refused neither makes an event nor takes the place of the one with its key.
        let replayed = try web.installation.command(["events", "replay", "--since", "1h", "--dry-run"])
        #expect(replayed.status == 0 && !replayed.output.contains("new "), "\(replayed.output)")
        #expect("\(replayed.output)\(replayed.errors)".contains("4 same"), "\(replayed.output)\(replayed.errors)")
    }

    @Test func pagesOfAnyOriginMayPost() throws {
        let web = try WebInstallation()
        try web.start()
        let path = try web.path(WebInstallation.contact)
        let preflight = try web.curl(
            path,
            [
                "-X", "OPTIONS", "-H", "Origin: https://shop.example", "-H", "Access-Control-Request-Method: POST", "-H",
                "Access-Control-Request-Headers: authorization,content-type",
            ])
        #expect(preflight.status == 204)
        #expect(preflight.fields["access-control-allow-origin"] == "*")
        #expect(preflight.fields["access-control-allow-methods"] == "POST")
        #expect(preflight.fields["access-control-allow-headers"] == "authorization,content-type")
        // Pages can read refusals, too.
        let unknown = try web.curl("/v1/hooks/form/nothing", ["-d", "a=1"])
        #expect(unknown.status == 404 && unknown.fields["access-control-allow-origin"] == "*")
    }

    @Test func refusals() throws {
        let web = try WebInstallation("http: { bodySize: 400kB }")
        try web.start()
        let path = try web.path(WebInstallation.contact)
        let token = try #require(path.split(separator: "/").last)
        #expect(try web.curl("/").status == 404)
        #expect(try web.curl("/v1/hooks/form/\(token)/x/y", ["-d", "a"]).code == "not_found")
        #expect(try web.curl("/v1/hooks/form/someoneelse/\(token)", ["-d", "a"]).code == "recipient_unknown")
        #expect(try web.curl("/v1/hooks/web/\(token)", ["-d", "a"]).code == "recipient_unknown")
        let got = try web.curl(path)
        #expect(got.status == 405 && got.fields["allow"] == "POST, OPTIONS")
        let packed = try web.curl(path, ["-H", "Content-Encoding: gzip", "-d", "a"])
        #expect(packed.status == 415 && packed.code == "media_type_unsupported")

        let fits = try web.installation.write("fits", String(repeating: "x", count: 400_000))
        let large = try web.installation.write("large", String(repeating: "x", count: 400_001))
        #expect(try web.curl(path, ["-H", "Content-Type: text/plain", "--data-binary", "@\(fits.path)"]).status == 202)
        for extra in [[], ["-H", "Transfer-Encoding: chunked"], ["-H", "Expect: 100-continue"]] {
            let refused = try web.curl(
                path, ["-H", "Content-Type: text/plain", "--data-binary", "@\(large.path)"] + extra)
            #expect(refused.status == 413 && refused.code == "message_too_large", "\(extra)")
            #expect(refused.fields["x-request-id"] != nil)
        }
        let header = try web.curl(path, ["-H", "X-Long: \(String(repeating: "y", count: 20_000))", "-d", "a"])
        #expect(header.status == 431 && header.code == "header_too_large")
        #expect(try web.installation.events().count == 1)
    }

    @Test func tooManyPostsAreToldWhenToComeBack() throws {
        let web = try WebInstallation("http: { perHook: 3, perPeer: 1000 }")
        try web.start()
        let path = try web.path(WebInstallation.contact)
        // A minute may end in between: then the count begins anew, once.
        var refused: WebInstallation.Answer?
        for _ in 0..<8 where refused == nil {
            let answer = try web.curl(path, ["-d", "a=1"])
            #expect(answer.fields["x-ratelimit-limit"] == "3")
            if answer.status == 429 { refused = answer } else { #expect(answer.status == 202) }
        }
        let answer = try #require(refused)
        #expect(answer.code == "rate_limited")
        #expect(answer.fields["x-ratelimit-remaining"] == "0")
        let reset = try #require(answer.fields["x-ratelimit-reset"].flatMap { Double($0) })
        #expect((-1...61).contains(reset - Date().timeIntervalSince1970))
        #expect((1...60).contains(try #require(answer.fields["retry-after"].flatMap { Int($0) })))
    }

    @Test func peersBehindATrustedProxyAreToldApart() throws {
        let web = try WebInstallation("http: { perHook: unlimited, perPeer: 3 }")
        try web.start()
        let path = try web.path(WebInstallation.contact)
        func statuses(_ forwarded: [String]) throws -> [Int] {
            try forwarded.map { try web.curl(path, ["-d", "a", "-H", "X-Forwarded-For: \($0)"]).status }
        }
        func minute() -> Int { Int(Date().timeIntervalSince1970) / 60 }
        let peer = Array(repeating: "192.0.2.7, 198.51.100.1", count: 4)
        var answers: [Int] = []
        for _ in 0..<5 {
            let begun = minute()
            // What stands to the left was written by the client itself.
            answers = try statuses(peer + ["192.0.2.99, 198.51.100.1", "198.51.100.2"])
            // Counts begin anew with every minute.
            if minute() == begun { break }
        }
        #expect(answers == [202, 202, 202, 429, 429, 202])
    }
}

@Suite struct WebHookTests {
    @Test func keysOfTheRightRoleOpenWebHooks() throws {
        let web = try WebInstallation()
        try web.start()
        let path = try web.path(WebInstallation.stock)
        func post(_ key: String?) throws -> WebInstallation.Answer {
            try web.curl(path, ["--json", #"{"sku":"7"}"#] + (key.map { ["-H", "Authorization: Bearer \($0)"] } ?? []))
        }
        let none = try post(nil)
        #expect(none.status == 401 && none.code == "unauthorized" && none.fields["www-authenticate"] == "Bearer")
        #expect(none.fields["access-control-allow-origin"] == nil)
        let (right, wrong) = (try web.key("org.hooks"), try web.key("org.permission.hook.read"))
        #expect(try post(right + "x").status == 401)
        #expect(try post(wrong).status == 403)
        let posted = try post(right)
        #expect(posted.status == 202)
        let event = try web.event(posted.id)
        #expect(event["hooktype"] as? String == "web" && event["trust"] as? String == "key")

        let listed = try Installation.objects(web.installation.command(["keys", "list", "--json"]).output)
        #expect(listed.map { $0["roles"] as? [String] } == [["org.hooks"], ["org.permission.hook.read"]])
        let file = web.installation.file("data/keys.json")
        #expect(!file.contains(right) && !file.isEmpty)
        let id = try #require(listed[0]["id"] as? String)
        #expect(try web.installation.command(["keys", "revoke", id]).status == 0)
        #expect(try post(right).status == 401)
        #expect(try web.installation.command(["keys", "revoke", id]).status == 1)
        #expect(try web.installation.command(["keys", "create", "--role", "org.king", "--name", "x"]).status != 0)
    }

    @Test func signaturesInstead() throws {
        let web = try WebInstallation()
        try web.start()
        let path = try web.path(WebInstallation.stock)
        let key = try #require(web.hooks[WebInstallation.stock]?["key"] as? String)
        let secret = try #require(web.hooks[WebInstallation.stock]?["signingSecret"] as? String)
        let body = #"{"sku":"8"}"#
        func openssl(_ text: String) throws -> [UInt8] {
            let made = try Child.run("openssl", ["dgst", "-sha256", "-hmac", key, "-r"], input: text)
            return hexadecimal(String(made.output.prefix(64)))
        }
        let code = try openssl(body).map { String(format: "%02x", $0) }.joined()
        let hub = try web.curl(path, ["-d", body, "-H", "X-Hub-Signature-256: sha256=\(code)"])
        #expect(hub.status == 202)
        #expect(try web.event(hub.id)["trust"] as? String == "signature")
        #expect(try web.curl(path, ["-d", body + " ", "-H", "X-Hub-Signature-256: sha256=\(code)"]).status == 401)
        #expect(try web.curl(path, ["-d", body, "-H", "X-Hub-Signature-256: sha256=00"]).status == 401)

        // Standard Webhooks: the secret is the key's octets in base64.
        #expect(secret == "whsec_" + Data(key.utf8).base64EncodedString())
        func signed(_ id: String, at time: Int, _ further: [String] = []) throws -> WebInstallation.Answer {
            let signature = Data(try openssl("\(id).\(time).\(body)")).base64EncodedString()
            return try web.curl(
                path,
                [
                    "-d", body, "-H", "webhook-id: \(id)", "-H", "webhook-timestamp: \(time)", "-H",
                    "webhook-signature: v1,\(signature)",
                ] + further)
        }
        let now = Int(Date().timeIntervalSince1970)
        let first = try signed("msg_1", at: now)
        #expect(first.status == 202)
        // Its id makes it the same event when it is sent again.
        #expect(try signed("msg_1", at: now + 1).id == first.id)
        // Whoever has recorded it does not make another one of it with a field that is not signed.
        #expect(try signed("msg_1", at: now, ["-H", "Idempotency-Key: other"]).id == first.id)
        #expect(try signed("msg_2", at: now - 3600).status == 401)
        #expect(try web.installation.events().count == 2)
    }
}

@Suite struct ManagementTests {
    @Test func hooksAndEventsOverASocket() throws {
        let web = try WebInstallation(listen: #"admin: ["/tmp/mailhookd-\#(UUID().uuidString).sock", "127.0.0.1:0"]"#)
        try web.start()
        let path = String(try web.listener("admin"))
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? NSNumber
        #expect(mode?.intValue == 0o660)
        func get(_ path: String, _ key: String? = nil) throws -> WebInstallation.Answer {
            let fields = key.map { ["-H", "Authorization: Bearer \($0)"] } ?? []
            return try WebInstallation.curl("http://localhost\(path)", ["--unix-socket", String(try web.listener("admin"))] + fields)
        }
        #expect(try get("/readyz").object["status"] as? String == "ready")
        #expect(try get("/v1/hooks/form").status == 401)
        let key = try web.key("org.permission.hook.read", "org.permission.event.read")
        let hooks = try #require(try get("/v1/hooks/form", key).object["data"] as? [[String: Any]])
        let attributes = try #require(hooks.first?["attributes"] as? [String: Any])
        #expect(attributes["eventName"] as? String == WebInstallation.contact)
        let form = try web.path(WebInstallation.contact)
        #expect((attributes["url"] as? String)?.hasSuffix(form) == true)

        let posted = try web.curl(form, ["-d", #"{"n": 1.10}"#])
        let link = try #require((posted.object["data"] as? [String: Any])?["links"] as? [String: Any])["self"] as? String
        let event = try get(try #require(link), key)
        #expect(event.status == 200 && event.text.contains(#""data":{"n": 1.10}"#))
        #expect((try get("/v1/events", key).object["data"] as? [Any])?.count == 1)
        // What belongs to one side is not on the other.
        #expect(try web.curl("/v1/events", ["-H", "Authorization: Bearer \(key)"]).status == 404)
        #expect(try web.curl("/healthz").status == 404)
        #expect(try web.installation.stop() == 0)
    }

    @Test func anAddressThatIsTakenEndsTheStart() throws {
        let web = try WebInstallation()
        try web.start()
        let (host, port) = try web.http
        let second = try Installation()
        let result = try second.command(["serve", "--http", "\(host):\(port)"], seconds: 20)
        #expect(result.status == 75)
        #expect(result.errors.contains("cannot listen on \(host):\(port)"))
    }
}

@Suite struct WebHardeningTests {
    /// Half a body is none, however its end is told.
    @Test func truncatedPostsMakeNoEvent() throws {
        let web = try WebInstallation()
        try web.start()
        let path = try web.path(WebInstallation.contact)
        for head in ["Content-Length: 20\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n5\r\n"] {
            let connection = try Connection(web.http)
            connection.send("POST \(path) HTTP/1.1\r\nHost: x\r\n\(head)a=1&b")
            connection.finishSending()
            #expect(!connection.rest().contains(" 202 "))
        }
        #expect(try web.curl(path, ["-d", "a=1"]).status == 202)
        #expect(try web.installation.events().count == 1)
    }

    /// RFC 9112 section 9.6, and what HTTP says of names of options.
    @Test(arguments: ["close", "Close", "foo, CLOSE"]) func connectionsEndWhenAsked(option: String) throws {
        let web = try WebInstallation("http: { idleTimeout: 30s }")
        try web.start()
        let connection = try Connection(web.http, timeout: 10)
        let start = Date()
        connection.send(
            "POST \(try web.path(WebInstallation.contact)) HTTP/1.1\r\nHost: x\r\nConnection: \(option)\r\n"
                + "Content-Length: 3\r\n\r\na=1")
        #expect(WebInstallation.parse(connection.rest()).status == 202)
        #expect(Date().timeIntervalSince(start) < 8)
    }

    @Test func slowRequestsAreEnded() throws {
        let web = try WebInstallation("http: { idleTimeout: 1s, requestTimeout: 2s }")
        try web.start()
        let path = try web.path(WebInstallation.contact)
        // A header that never ends.
        let header = try Connection(web.http)
        header.send("POST \(path) HTTP/1.1\r\nHost: x\r\nX-A: ")
        // A body of which a little comes all the time.
        let body = try Connection(web.http)
        body.send("POST \(path) HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        let start = Date()
        for _ in 0..<6 {
            usleep(500_000)
            body.send("x")
            header.send("y")
        }
        let answer = WebInstallation.parse(body.rest())
        #expect(answer.status == 408 && answer.code == "timed_out")
        _ = header.rest()
        #expect(Date().timeIntervalSince(start) < 15)
        #expect(try web.installation.events().isEmpty)
    }

    @Test func connectionsOfOnePeerAreLimited() throws {
        let web = try WebInstallation("http: { connectionsPerPeer: 2, trustedProxies: [192.0.2.1] }")
        try web.start()
        let path = try web.path(WebInstallation.contact)
        let request = "POST \(path) HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na=1"
        let held = [try Connection(web.http), try Connection(web.http)]
        for connection in held { connection.send(request) }
        try eventually("two events") { try web.installation.events().count == 2 }
        let third = try Connection(web.http)
        third.send(request)
        #expect(third.rest().isEmpty)
        #expect(try web.installation.events().count == 2)
    }

    /// 200 bodies and requests that are broken in some way: each is answered or ended, and the daemon lives.
    @Test func brokenRequests() throws {
        let web = try WebInstallation("http: { perPeer: unlimited, perHook: unlimited, requestTimeout: 1s, idleTimeout: 1s }")
        try web.start()
        let path = try web.path(WebInstallation.contact)
        var random = Mutation(seed: 20261125)
        let good = Self.goodRequests(path)
        var answered = 0
        for round in 0..<200 {
            var request = good[round % good.count]
            random.change(&request)
            let connection = try Connection(web.http)
            connection.send(request)
            connection.finishSending()
            let answer = connection.rest()
            if !answer.isEmpty { answered += 1 }
            #expect(answer.isEmpty || answer.hasPrefix("HTTP/1.1 "), "\(round)")
            for word in ["Swift", ".swift", "NIO", "fatal", "/home", "/root", "sqlite"] {
                #expect(!answer.contains(word), "\(round): \(answer)")
            }
        }
        #expect(answered > 100)
        #expect(try web.curl(path, ["-d", "a=1"]).status == 202)
        #expect(try web.installation.stop() == 0)
    }

    private static func goodRequests(_ path: String) -> [[UInt8]] {
        func request(_ type: String, _ body: String) -> [UInt8] {
            Array(
                """
                POST \(path) HTTP/1.1\r\nHost: x\r\nContent-Type: \(type)\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)
                """.utf8)
        }
        let part = "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.txt\"\r\n\r\nhello\r\n--b--\r\n"
        return [
            request("application/json", #"{"a":[1,2,{"b":"\u00e9"}],"c":null}"#),
            request("application/x-www-form-urlencoded", "a=1&b=%C3%A9&c"),
            request("multipart/form-data; boundary=b", part),
            request("application/xml", "<?xml version=\"1.0\"?><a>b</a>"),
            request("text/plain; charset=iso-2022-jp", "\u{1B}$B%F%9%H\u{1B}(B"),
            Array("POST \(path) HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na=1\r\n0\r\n\r\n".utf8),
        ]
    }

    /// Changes octets, removes and doubles pieces; the same for the same seed.
    struct Mutation {
        private var state: UInt64

        init(seed: UInt64) { state = seed }

        private mutating func next(below bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((state >> 33) % UInt64(max(1, bound)))
        }

        mutating func change(_ bytes: inout [UInt8]) {
            for _ in 0...next(below: 4) where !bytes.isEmpty {
                let position = next(below: bytes.count)
                switch next(below: 4) {
                case 0: bytes[position] = UInt8(next(below: 256))
                case 1: bytes.remove(at: position)
                case 2: bytes.insert(contentsOf: bytes[position..<min(bytes.count, position + 20)], at: position)
                default: bytes.removeLast(min(bytes.count, next(below: 30)))
                }
            }
        }
    }
}

@Suite struct WebCrashTests {
    /// What was answered with 202 is there after `kill -9`, with the id that was told.
    @Test func nothingAcknowledgedIsLost() throws {
        let web = try WebInstallation("http: { perPeer: unlimited, perHook: unlimited }")
        try web.start()
        let path = try web.path(WebInstallation.contact)
        let script = try web.installation.write("load.py", Self.load)
        let load = try Child("python3", [script.path, try web.url(path), "16"])
        try load.waitForOutput("is under way") { $0.count > 500 }
        try web.installation.kill()
        let acknowledged = try load.wait(seconds: 30).output.split(separator: "\n").map(String.init)
        try web.installation.start()
        let stored = Set(try web.installation.events().compactMap { $0["id"] as? String })
        #expect(acknowledged.count > 500)
        #expect(Set(acknowledged).count == acknowledged.count)
        #expect(acknowledged.allSatisfy { stored.contains($0) })
    }

    /// Posts from several connections until the server is gone; prints each id it was told.
    private static let load = """
        import http.client, json, sys, threading, urllib.parse
        url = urllib.parse.urlsplit(sys.argv[1])
        lock = threading.Lock()
        def run(number):
            connection = http.client.HTTPConnection(url.hostname, url.port, timeout=10)
            count = 0
            while True:
                body = json.dumps({"thread": number, "count": count, "text": "x" * 1000})
                try:
                    connection.request("POST", url.path, body, {"Content-Type": "application/json"})
                    response = connection.getresponse()
                    text = response.read()
                except (OSError, http.client.HTTPException):
                    return
                if response.status != 202:
                    return
                with lock:
                    sys.stdout.write(json.loads(text)["data"]["id"] + "\\n")
                    sys.stdout.flush()
                count += 1
        threads = [threading.Thread(target=run, args=(n,)) for n in range(int(sys.argv[2]))]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        """
}
