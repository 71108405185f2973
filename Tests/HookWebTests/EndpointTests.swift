// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What the two endpoints decide before a body is read, as values: no sockets.

import HookModel
import HTTPTypes
import JSONLD
import Logging
import Testing

@testable import HookWeb

/// Lets in two keys; believes the signature `good`.
struct TwoKeys: WebAuthorizer {
    func holder(ofKey key: String) -> APIKeyHolder? {
        switch key {
        case "sender": APIKeyHolder(id: "key_s", roles: [.hooks])
        case "reader": APIKeyHolder(id: "key_r", roles: [.readHooksLegacy, .readEvents])
        default: nil
        }
    }

    func isValid(_ signature: PostSignature, body: ArraySlice<UInt8>, keys: [String], now: Timestamp) -> Bool {
        signature.hub == "good" && keys == ["k_web"] && Array(body) == Array("{}".utf8)
    }
}

/// Accepts everything and shows what it got as the event's id.
struct Echo: PostReceiver {
    func receive(_ post: ReceivedPost, completion: @escaping @Sendable (PostReception) -> Void) {
        let sender = post.message.envelope.mailFrom ?? "-"
        let id = "\(post.hook.hook.eventName) \(sender) \(post.identity.hasPrefix("req_") ? "req" : post.identity)"
        completion(PostReception(answer: .accepted, eventID: id))
    }
}

enum Fixture {
    static let now = Timestamp(seconds: 1_800_000_000)

    static var hooks: [AddressedHook] {
        [("form", HookType.form), ("web", .web), ("mail", .email)].map { name, type in
            AddressedHook(
                hook: Hook(app: "a", eventName: "e.\(name)", displayEventName: "The \(name)", type: type),
                current: .init(token: "tok\(name)", key: "k_\(name)"),
                previous: (.init(token: "old\(name)", key: "k_old"), now))
        }
    }

    static var endpoint: HookEndpoint {
        let directory = HookDirectory(hooks: hooks, domains: ["hooks.example"])
        return HookEndpoint(
            directory: { directory }, receiver: Echo(), authorizer: TwoKeys(), organization: "org1", bodySize: 100,
            hookLimiter: RateLimiter(limit: 2), peerLimiter: RateLimiter(limit: 3),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    static func request(
        _ path: String, _ method: HTTPRequest.Method = .post, _ fields: HTTPFields = [:], peer: String = "192.0.2.1"
    ) -> WebRequest {
        WebRequest(
            head: HTTPRequest(method: method, scheme: "http", authority: "x", path: path, headerFields: fields),
            peer: peer, id: "req_1", receivedAt: now)
    }

    /// The answer, with the body `{}` if one is asked for.
    static func answer(_ endpoint: any WebEndpoint, _ request: WebRequest) async -> WebAnswer {
        switch endpoint.step(request) {
        case .answer(let answer): answer
        case .work(let work): await work()
        case .body(_, let prefix, let then): await then(prefix + Array("{}".utf8))
        }
    }

    static func root(_ answer: WebAnswer) throws -> JSONValue { try JSONDocument(answer.body).root }
}

@Suite struct HookEndpointTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var path: String
        var method = HTTPRequest.Method.post
        var fields: HTTPFields = [:]
        var status: Int
        /// The code of an error, or the id that the receiver made.
        var says: String
        var testDescription: String { "\(method) \(path) \(fields.count)" }
    }

    @Test(arguments: [
        Case(path: "/v1/hooks/form/tokform", status: 202, says: "e.form - req"),
        Case(path: "/v1/hooks/form/TOKFORM?utm=1", status: 202, says: "e.form - req"),
        Case(path: "http://h.example/v1/hooks/form/tokform", status: 202, says: "e.form - req"),
        Case(path: "/v1/hooks/form/org1/tokform", status: 202, says: "e.form - req"),
        Case(path: "/v1/hooks/form/org2/tokform", status: 404, says: "recipient_unknown"),
        Case(path: "/v1/hooks/form/oldform", status: 404, says: "recipient_unknown"),
        Case(path: "/v1/hooks/form/tokweb", status: 404, says: "recipient_unknown"),
        Case(path: "/v1/hooks/form/tokmail", status: 404, says: "recipient_unknown"),
        Case(path: "/v1/hooks/email/tokmail", status: 404, says: "not_found"),
        Case(path: "/v1/hooks/form/", status: 404, says: "not_found"),
        Case(path: "//v1/hooks/form/tokform", status: 404, says: "not_found"),
        Case(path: "/v1/hooks/web/org1/tokweb", status: 404, says: "not_found"),
        Case(path: "/v1/hooks/form/tokform", method: .get, status: 405, says: "method_not_allowed"),
        Case(path: "/v1/hooks/web/tokweb", method: .options, status: 405, says: "method_not_allowed"),
        Case(
            path: "/v1/hooks/form/tokform", fields: [.authorization: "Bearer x", .idempotencyKey: "k"], status: 202,
            says: "e.form - k"),
        Case(
            path: "/v1/hooks/form/tokform", fields: [.idempotencyKey: ""], status: 400, says: "idempotency_key_invalid"),
        Case(
            path: "/v1/hooks/form/tokform", fields: [.contentEncoding: "br"], status: 415,
            says: "media_type_unsupported"),
        Case(path: "/v1/hooks/form/tokform", fields: [.contentEncoding: "identity"], status: 202, says: "e.form - req"),
        Case(path: "/v1/hooks/web/tokweb", status: 401, says: "unauthorized"),
        Case(path: "/v1/hooks/web/tokweb", fields: [.authorization: "Bearer"], status: 401, says: "unauthorized"),
        Case(path: "/v1/hooks/web/tokweb", fields: [.authorization: "Basic sender"], status: 401, says: "unauthorized"),
        Case(path: "/v1/hooks/web/tokweb", fields: [.authorization: "Bearer reader"], status: 403, says: "forbidden"),
        Case(
            path: "/v1/hooks/web/tokweb", fields: [.authorization: "bearer  sender"], status: 202,
            says: "e.web key_s req"),
        Case(path: "/v1/hooks/web/tokweb", fields: [.hubSignature: "good"], status: 202, says: "e.web signature req"),
        // The id of a signature that does not cover it names nothing.
        Case(
            path: "/v1/hooks/web/tokweb", fields: [.hubSignature: "good", .webhookID: "i"], status: 202,
            says: "e.web signature req"),
        Case(path: "/v1/hooks/web/tokweb", fields: [.hubSignature: "bad"], status: 401, says: "unauthorized"),
        Case(
            path: "/v1/hooks/web/tokweb", fields: [.hubSignature: "good", .authorization: "Bearer reader"], status: 202,
            says: "e.web signature req"),
    ])
    func answers(_ test: Case) async throws {
        let answer = await Fixture.answer(Fixture.endpoint, Fixture.request(test.path, test.method, test.fields))
        #expect(answer.status == test.status)
        let root = try Fixture.root(answer)
        let code = root["errors"]?.elements.first?["code"]?.string
        #expect((root["data"]?["id"]?.string ?? code) == test.says)
        #expect((answer.status < 300) == (root["errors"] == nil))
        #expect(answer.fields[.contentType] == "application/json")
        let isForm = ["/v1/hooks/form/tok", "/v1/hooks/form/o"].contains {
            test.path.replacing("http://h.example", with: "").lowercased().hasPrefix($0)
        }
        #expect((answer.fields[.allowOrigin] == "*") == isForm)
    }

    @Test func tooLargeABodyKeepsTheFields() async throws {
        let step = Fixture.endpoint.step(Fixture.request("/v1/hooks/form/tokform"))
        guard case .body(let limit, _, let then) = step else { throw Missing() }
        #expect(limit == 100)
        let answer = await then(nil)
        #expect(answer.status == 413)
        #expect(answer.fields[.rateLimit] == "2" && answer.fields[.allowOrigin] == "*")
    }

    struct Missing: Error {}

    @Test func theTighterBudgetIsShown() async {
        let endpoint = Fixture.endpoint
        func post(_ name: String, peer: String = "192.0.2.1") async -> WebAnswer {
            let path = "/v1/hooks/\(name)/tok\(name)"
            return await Fixture.answer(endpoint, Fixture.request(path, .post, [.authorization: "Bearer sender"], peer: peer))
        }
        let first = await post("form")
        #expect(first.fields[.rateLimit] == "2" && first.fields[.rateRemaining] == "1")
        #expect(first.fields[.rateReset] == "1800000060")
        #expect(await post("form").fields[.rateRemaining] == "0")
        // The peer has one left for the other hook, and then none.
        #expect(await post("web").fields[.rateLimit] == "3")
        let refused = await post("web")
        #expect(refused.status == 429 && refused.fields[.rateLimit] == "3" && refused.fields[.retryAfter] == "60")
        // Another peer meets the hook's own limit.
        #expect(await post("form", peer: "192.0.2.2").fields[.rateLimit] == "2")
        #expect(await post("web", peer: "192.0.2.2").status == 202)
    }

    /// Who is not let in does not use up what belongs to those who are.
    @Test func unauthorizedPostsLeaveTheHooksBudgetAlone() async {
        let endpoint = Fixture.endpoint
        for peer in 1...5 {
            let refused = Fixture.request("/v1/hooks/web/tokweb", peer: "198.51.100.\(peer)")
            #expect(await Fixture.answer(endpoint, refused).status == 401)
        }
        let request = Fixture.request("/v1/hooks/web/tokweb", .post, [.authorization: "Bearer sender"])
        #expect(await Fixture.answer(endpoint, request).fields[.rateRemaining] == "1")
    }

    @Test(arguments: [
        (nil, "content-type, idempotency-key"), ("authorization,X-A", "authorization,X-A"),
        ("a\"b", "content-type, idempotency-key"), (String(repeating: "a", count: 1025), "content-type, idempotency-key"),
    ])
    func preflight(asked: String?, expected: String) async {
        var fields: HTTPFields = [:]
        fields[.requestHeaders] = asked
        let answer = await Fixture.answer(Fixture.endpoint, Fixture.request("/v1/hooks/form/x", .options, fields))
        #expect(answer.status == 204 && answer.body.isEmpty)
        #expect(answer.fields[.allowHeaders] == expected && answer.fields[.allowOrigin] == "*")
    }
}

@Suite struct RateLimiterTests {
    @Test func aNewMinuteBeginsAnew() throws {
        let limiter = RateLimiter(limit: 1)
        #expect(try #require(limiter.take("a", now: Timestamp(seconds: 59))).isExceeded == false)
        let second = try #require(limiter.take("a", now: Timestamp(seconds: 59)))
        #expect(second.isExceeded && second.remaining == 0 && second.reset == 60)
        #expect(try #require(limiter.take("b", now: Timestamp(seconds: 59))).isExceeded == false)
        #expect(try #require(limiter.take("a", now: Timestamp(seconds: 60))).isExceeded == false)
        #expect(RateLimiter(limit: nil).take("a", now: Timestamp(seconds: 0)) == nil)
    }

    /// Beyond the limit of names all others share one counter.
    @Test func memoryDoesNotFollowTheNumberOfPeers() throws {
        let limiter = RateLimiter(limit: 10)
        for number in 0..<(RateLimiter.nameLimit + 10) { _ = limiter.take("\(number)", now: Timestamp(seconds: 0)) }
        #expect(try #require(limiter.take("late", now: Timestamp(seconds: 0))).isExceeded)
        #expect(try #require(limiter.take("7", now: Timestamp(seconds: 0))).remaining == 8)
    }

    @Test(arguments: [
        ("192.0.2.1", "192.0.2.1"), ("::ffff:192.0.2.1", "192.0.2.1"), ("unix", "unix"),
        ("2001:db8:1:2:3:4:5:6", "20:1:d:b8:0:1:0:2::/64"), ("2001:db8:1:2::9", "20:1:d:b8:0:1:0:2::/64"),
    ])
    func peersOfIPv6CountByNetwork(address: String, name: String) { #expect(RateLimiter.name(ofPeer: address) == name) }
}

@Suite struct ConnectionPlacesTests {
    @Test func placesAreTakenAndGivenBack() {
        let places = ConnectionPlaces(limit: 3, limitPerPeer: 1, isExempt: { $0 == "proxy" })
        #expect(places.take("a"))
        #expect(!places.take("a"))
        #expect(places.take("proxy") && places.take("proxy"))
        #expect(!places.take("b"))
        places.release("proxy")
        #expect(places.take("b"))
        places.release("a")
        #expect(places.take("a"))
    }
}

@Suite struct AdminEndpointTests {
    struct Data: ManagementData {
        var organization: String { "org1" }
        var error: StoreError?

        func hooks() -> [ManagedHook] {
            Fixture.hooks.map { ManagedHook(id: "id-\($0.hook.eventName)", addressed: $0, address: "at \($0.current.token)") }
        }

        func events(after sequence: Int64, limit: Int) async throws(StoreError) -> [StoredEvent] {
            if let error { throw error }
            return [1, 2, 3].filter { $0 > sequence }.prefix(limit).map(Self.event)
        }

        func lastSequence() async throws(StoreError) -> Int64 {
            if let error { throw error }
            return 3
        }

        func event(id: String) async throws(StoreError) -> StoredEvent? {
            if let error { throw error }
            return id == "evt_2" ? Self.event(2) : nil
        }

        private static func event(_ sequence: Int64) -> StoredEvent {
            // The first is older than a day.
            let time = Fixture.now.advanced(by: .seconds(sequence == 1 ? -86_401 : -5)).rfc3339
            let json = Array(#"{"id":"evt_\#(sequence)","time":"\#(time)","data":1.10}"#.utf8)
            let type = sequence == 3 ? "e.web" : "e.form"
            return StoredEvent(sequence: sequence, event: Event(id: "evt_\(sequence)", type: type, json: json))
        }
    }

    private func answer(
        _ path: String, key: String? = "reader", _ method: HTTPRequest.Method = .get, error: StoreError? = nil
    ) async -> WebAnswer {
        let endpoint = AdminEndpoint(
            data: Data(error: error), authorizer: TwoKeys(),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let fields: HTTPFields = key.map { [.authorization: "Bearer \($0)"] } ?? [:]
        return await Fixture.answer(endpoint, Fixture.request(path, method, fields))
    }

    @Test(arguments: [
        ("/healthz", nil, 200), ("/readyz", nil, 200), ("/v1/openapi.json", nil, 200), ("/v1/events", nil, 401),
        ("/v1/events", "sender", 403), ("/v1/events", "reader", 200), ("/v1/events/evt_2", "reader", 200),
        ("/v1/events/evt_9", "reader", 404), ("/v1/hooks/form", nil, 401), ("/v1/hooks/form", "sender", 403),
        ("/v1/hooks/form", "reader", 200), ("/v1/hooks/fax", "reader", 404), ("/v1/hooks", "reader", 404),
        ("/v1/hooks/form/id-e.form", "reader", 200), ("/v1/hooks/form/e.form", "reader", 200),
        ("/v1/hooks/web/e.form", "reader", 404), ("/v1/hooks/form?page=0", "reader", 400),
        ("/v1/hooks/form?pageSize=100", "reader", 400), ("/v1/events?limit=x", "reader", 400), ("/", "reader", 404),
        ("/v1/events?after=-1", "reader", 400), ("/v1/events/evt_2/x", "reader", 404),
    ])
    func statuses(path: String, key: String?, status: Int) async throws {
        let answer = await answer(path, key: key)
        #expect(answer.status == status)
        #expect(try (Fixture.root(answer)["errors"] == nil) == (status == 200))
    }

    @Test func onlyReads() async {
        #expect(await answer("/v1/events", .post).status == 405)
        #expect(await answer("/v1/events", .head).status == 200)
    }

    @Test func hooksAreShownAsDocumented() async throws {
        let root = try Fixture.root(await answer("/v1/hooks/web"))
        #expect(root["meta"]?["pageSize"]?.integerValue == 50)
        #expect(root["links"]?["self"]?.string == "/v1/hooks/web?page=1&pageSize=50")
        let hook = try #require(root["data"]?.elements.first)
        #expect(root["data"]?.elements.count == 1)
        #expect(hook["type"]?.string == "web_hook" && hook["id"]?.string == "id-e.web")
        let attributes = try #require(hook["attributes"])
        #expect(attributes["title"]?.string == "The web" && attributes["url"]?.string == "at tokweb")
        #expect(attributes["hash"]?.string == "tokweb" && attributes["key"]?.string == "k_web")
        #expect(hook["relationships"]?["org"]?["data"]?["id"]?.string == "org1")
        let form = try Fixture.root(await answer("/v1/hooks/form/e.form"))
        #expect(form["data"]?["attributes"]?["key"] == nil)
        let mail = try Fixture.root(await answer("/v1/hooks/email/e.mail"))
        #expect(mail["data"]?["attributes"]?["email"]?.string == "at tokmail")
    }

    @Test func transactionsAreTheHooksOwnOfTheLastDay() async throws {
        let path = "/v1/hooks/form/id-e.form/transactions"
        #expect(await answer(path, key: nil).status == 401)
        #expect(await answer(path).status == 403)
        #expect(await answer("/v1/hooks/form/x/transactions", key: "sender").status == 404)
        #expect(await answer(path + "?page=11", key: "sender").status == 400)
        let root = try Fixture.root(await answer(path, key: "sender"))
        #expect(root["data"]?.elements.map { $0["id"]?.string } == ["evt_2"])
        let transaction = try #require(root["data"]?.elements.first)
        #expect(transaction["attributes"]?["data"]?.number?.text == "1.10")
        #expect(transaction["relationships"]?["hook"]?["data"]?["id"]?.string == "id-e.form")
        #expect(root["links"]?["self"]?.string == path + "?page=1&pageSize=50")
    }

    @Test func eventsComeInPages() async throws {
        let first = try Fixture.root(await answer("/v1/events?limit=2"))
        #expect(first["data"]?.elements.map { $0["id"]?.string } == ["evt_1", "evt_2"])
        let event = try #require(first["data"]?.elements.first)
        #expect(event["attributes"]?["data"]?.number?.text == "1.10" && event["meta"]?["sequence"]?.integerValue == 1)
        let next = try #require(first["links"]?["next"]?.string)
        #expect(next == "/v1/events?after=2&limit=2")
        let second = try Fixture.root(await answer(next))
        #expect(second["data"]?.elements.count == 1 && second["links"]?["next"] == nil)
    }

    @Test func aStoreThatFailsIsTemporary() async throws {
        #expect(await answer("/readyz", error: .failed("disk at /secret/path")).status == 503)
        for path in ["/v1/events", "/v1/events/evt_2"] {
            let answer = await answer(path, error: .failed("disk at /secret/path"))
            #expect(answer.status == 503)
            #expect(!String(decoding: answer.body, as: UTF8.self).contains("secret"))
        }
    }

    /// Every path that is described is there, and answers something.
    @Test func theDescriptionIsTrue() async throws {
        let root = try JSONDocument(Array(InterfaceDescription.json.utf8)).root
        let paths = try #require(root["paths"]).members
        #expect(paths.count == 8)
        for (template, operations, _) in paths {
            let path = template.replacing("{type}", with: "form")
                .replacing("{id}", with: template.contains("events") ? "evt_2" : "e.form")
            let answer = await answer(path, key: path.hasSuffix("transactions") ? "sender" : "reader")
            #expect(answer.status == 200, "\(path)")
            #expect(operations["get"]?["responses"]?["200"] != nil)
            let isOpen = await self.answer(path, key: nil).status == 200
            #expect(isOpen == (operations["get"]?["security"]?.elements.isEmpty == true), "\(path)")
        }
    }
}
