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
        case "reader": APIKeyHolder(id: "key_r", roles: [.readHooksLegacy, .readEvents, .readMessages])
        case "writer": APIKeyHolder(id: "key_w", roles: [.createHooks, .updateHooks, .deleteHooks])
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

    /// The answer, with `body` if one is asked for.
    static func answer(_ endpoint: HookEndpoint, _ request: WebRequest, body: String = "{}") async -> WebAnswer {
        switch endpoint.step(request) {
        case .answer(let answer): answer
        case .body(let post):
            await withCheckedContinuation { continuation in
                endpoint.receive(post, post.entityStart + Array(body.utf8)) { continuation.resume(returning: $0) }
            }
        }
    }

    static func answer(_ endpoint: AdminEndpoint, _ request: WebRequest, body: String = "{}") async -> WebAnswer {
        switch endpoint.step(request) {
        case .answer(let answer): answer
        case .work(let work): await work()
        case .body(_, let prefix, let then): await then(prefix + Array(body.utf8))
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
        #expect(answer.isShared == isForm)
    }

    @Test func tooLargeABodyKeepsTheFields() async throws {
        let step = Fixture.endpoint.step(Fixture.request("/v1/hooks/form/tokform"))
        guard case .body(let post) = step else { throw Missing() }
        #expect(post.limit == 100)
        let answer = Fixture.endpoint.tooLarge(post)
        #expect(answer.status == 413)
        #expect(answer.fields[.rateLimit] == "2" && answer.isShared)
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
        #expect(answer.fields[.allowHeaders] == expected && answer.isShared)
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
    /// Whoever has one address of IPv6 has all of its network.
    @Test func aNetworkOfIPv6IsOnePeer() {
        let places = ConnectionPlaces(limit: 9, limitPerPeer: 2, isExempt: { _ in false })
        #expect(places.take("2001:db8:1:2::1") && places.take("2001:db8:1:2:ffff::7"))
        #expect(!places.take("2001:db8:1:2:3:4:5:6"))
        #expect(places.take("2001:db8:1:3::1"))
        places.release("2001:db8:1:2::1")
        #expect(places.take("2001:db8:1:2:3:4:5:6"))
    }

    @Test func fewWithoutAPlaceAreHeardOut() {
        let places = ConnectionPlaces(limit: 1, limitPerPeer: 1, isExempt: { _ in false })
        #expect((0..<200).count { _ in places.takeRefused() } == 64)
        places.refusedClosed()
        #expect(places.takeRefused() && !places.takeRefused())
    }

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
        /// When debug was set, in seconds from now.
        var watched: Range<Int>? = -90_000 ..< 10

        func hooks() -> [ManagedHook] {
            Fixture.hooks.map {
                ManagedHook(
                    id: "id-\($0.hook.eventName)", addressed: $0, address: "at \($0.current.token)",
                    debugSince: watched.map { Fixture.now.advanced(by: .seconds($0.lowerBound)) },
                    debugUntil: watched.map { Fixture.now.advanced(by: .seconds($0.upperBound)) })
            }
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

        func message(_ id: Int64) async throws(StoreError) -> StoredMessage? {
            if let error { throw error }
            guard (1...2).contains(id) else { return nil }
            let envelope = Envelope(source: id == 1 ? .smtp : .http, mailFrom: "a@b.example", recipients: ["x@hooks.example"])
            return StoredMessage(
                id: id, envelope: envelope, receivedAt: Fixture.now, bytes: id == 1 ? Array("A: b\r\n".utf8) : nil, size: 7,
                contentDigest: [], messageID: "m", duplicateOf: nil, answer: .accepted,
                verdicts: [StoredVerdict(eventName: "e.form", recipient: "x@hooks.example", outcome: .jsonInvalid, answer: .accepted, events: 0)])
        }

        func message(ofEvent id: String) async throws(StoreError) -> StoredMessage? {
            try await message(id == "evt_2" ? 1 : 9)
        }

        func deliveries(ofEvent id: String) async throws(StoreError) -> [StoredDelivery] {
            if let error { throw error }
            return [
                StoredDelivery(
                    id: 1, subscription: "erp", eventID: id, eventType: "e.form", state: .waiting, attempts: 2, due: Fixture.now,
                    createdAt: Fixture.now, changedAt: Fixture.now, reason: "http_503"),
                StoredDelivery(
                    id: 2, subscription: "log", eventID: id, eventType: "e.form", state: .delivered, attempts: 1, due: Fixture.now,
                    createdAt: Fixture.now, changedAt: Fixture.now, reason: ""),
            ]
        }

        func create(_ draft: HookDraft, now: Timestamp) async throws(ManagementError) -> ManagedHook {
            if draft.eventName == "e.form" { throw .conflict(code: "event_name_taken", "taken") }
            if draft.title == "broken" { throw .unavailable("/secret/path") }
            let hook = Hook(app: "api", eventName: draft.eventName ?? "made", displayEventName: draft.title, description: draft.description, type: draft.type)
            let addressed = AddressedHook(hook: hook, current: .init(token: "tokmade", key: "k_made"))
            return ManagedHook(id: "id-made", addressed: addressed, address: "at tokmade", isOwn: true, createdAt: now)
        }

        func change(_ eventName: String, _ change: HookChange, now: Timestamp) async throws(ManagementError) -> ManagedHook {
            guard var hook = hooks().first(where: { $0.addressed.hook.eventName == eventName }) else { throw .notFound }
            var (changed, credentials) = (hook.addressed.hook, hook.addressed.current)
            changed.displayEventName = change.title ?? changed.displayEventName
            changed.policy.state = change.state ?? .active
            hook.debugUntil = change.isWatched == true ? now.advanced(by: .seconds(5)) : nil
            if let overlap = change.rotation { credentials.token = "rotated\(overlap.components.seconds)" }
            hook.addressed = AddressedHook(hook: changed, current: credentials)
            return hook
        }

        func remove(_ eventName: String) async throws(ManagementError) {
            if eventName == "e.web" { throw .conflict(code: "hook_of_app", "no") }
        }

        private static func event(_ sequence: Int64) -> StoredEvent {
            // The first is older than a day.
            let time = Fixture.now.advanced(by: .seconds(sequence == 1 ? -86_401 : -5)).rfc3339
            let failure = sequence == 3 ? #""outputfailure":"x","# : ""
            let json = Array(#"{"id":"evt_\#(sequence)","time":"\#(time)",\#(failure)"data":1.10}"#.utf8)
            let type = sequence == 3 ? "e.web" : "e.form"
            return StoredEvent(sequence: sequence, event: Event(id: "evt_\(sequence)", type: type, json: json))
        }
    }

    private func answer(
        _ path: String, key: String? = "reader", _ method: HTTPRequest.Method = .get, error: StoreError? = nil,
        body: String = "{}", watched: Range<Int>? = -90_000 ..< 10
    ) async -> WebAnswer {
        let endpoint = AdminEndpoint(
            data: Data(error: error, watched: watched), authorizer: TwoKeys(),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let fields: HTTPFields = key.map { [.authorization: "Bearer \($0)"] } ?? [:]
        return await Fixture.answer(endpoint, Fixture.request(path, method, fields), body: body)
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

    /// What came five seconds ago is there only if somebody watched at that time.
    @Test(arguments: [
        (nil, 0), (-10 ..< 86_390, 1), (-5 ..< 86_395, 1), (-4 ..< 86_396, 0), (-86_400 ..< 0, 1), (-86_500 ..< -5, 0),
    ] as [(Range<Int>?, Int)])
    func transactionsAreThoseOfWatchedTimes(watched: Range<Int>?, count: Int) async throws {
        let answer = await answer("/v1/hooks/form/id-e.form/transactions", key: "sender", watched: watched)
        #expect(answer.status == 200)
        #expect(try Fixture.root(answer)["data"]?.elements.count == count)
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
        #expect(paths.count == 13)
        for (template, operations, _) in paths {
            let id = template.contains("events") ? "evt_2" : template.contains("messages") ? "1" : "e.form"
            let path = template.replacing("{type}", with: "form").replacing("{id}", with: id)
            #expect(!operations.members.isEmpty)
            for (name, operation, _) in operations.members {
                let method = try #require(HTTPRequest.Method(name.uppercased()))
                let answer = await answer(path, key: path.hasSuffix("transactions") ? "sender" : "reader", method, body: #"{"title":"t"}"#)
                // What is not read is refused to who may only read.
                let success = method == .get ? 200 : 403
                #expect(answer.status == success, "\(method) \(path)")
                #expect(operation["responses"]?[String(success)] != nil)
                let isOpen = await self.answer(path, key: nil, method).status == 200
                #expect(isOpen == (operation["security"]?.elements.isEmpty == true), "\(path)")
            }
        }
    }

    struct Write: Sendable, CustomTestStringConvertible {
        var method: HTTPRequest.Method
        var path: String
        var body: String
        var status: Int
        /// In the answer.
        var says: String
        var testDescription: String { "\(method) \(path) \(body)" }
    }

    @Test(arguments: [
        Write(method: .post, path: "/v1/hooks/web", body: #"{"title":"T","description":"d","eventName":"e.new","outputTemplate":{"a":1}}"#, status: 201, says: #""eventName":"e.new""#),
        Write(method: .post, path: "/v1/hooks/form", body: #"{"title":"T"}"#, status: 201, says: #""type":"form_hook""#),
        Write(method: .post, path: "/v1/hooks/form", body: #"{"title":"T","eventName":"e.form"}"#, status: 409, says: "event_name_taken"),
        Write(method: .post, path: "/v1/hooks/form", body: #"{"title":"broken"}"#, status: 503, says: "store_failed"),
        Write(method: .post, path: "/v1/hooks/form", body: "{}", status: 400, says: "title is missing"),
        Write(method: .post, path: "/v1/hooks/form", body: #"{"title":""}"#, status: 400, says: "body_invalid"),
        Write(method: .post, path: "/v1/hooks/form", body: #"{"title":"\ud800"}"#, status: 400, says: "body_invalid"),
        Write(method: .post, path: "/v1/hooks/form", body: #"{"title":"T","titel":"T"}"#, status: 400, says: "Known members are"),
        Write(method: .post, path: "/v1/hooks/form", body: #"{"title":"T","title":"T"}"#, status: 400, says: "body_invalid"),
        Write(method: .post, path: "/v1/hooks/form", body: #"{"title":"T","eventName":"a..b"}"#, status: 400, says: "eventName is"),
        Write(method: .post, path: "/v1/hooks/form", body: #"{"title":"T","outputTemplate":[]}"#, status: 400, says: "outputTemplate is an object"),
        Write(method: .post, path: "/v1/hooks/form", body: "nonsense", status: 400, says: "is no JSON"),
        Write(method: .post, path: "/v1/hooks/fax", body: #"{"title":"T"}"#, status: 404, says: "not_found"),
        Write(method: .patch, path: "/v1/hooks/form/e.form", body: #"{"title":"N","state":"paused","debug":true}"#, status: 200, says: #""state":"paused","debug":true"#),
        Write(method: .patch, path: "/v1/hooks/form/id-e.form", body: "{}", status: 200, says: "The form"),
        Write(method: .patch, path: "/v1/hooks/form/e.form", body: #"{"state":"odd"}"#, status: 400, says: "state is active"),
        Write(method: .patch, path: "/v1/hooks/form/e.form", body: #"{"debug":"yes"}"#, status: 400, says: "debug is true or false"),
        Write(method: .patch, path: "/v1/hooks/form/e.form", body: #"{"eventName":"x"}"#, status: 400, says: "Known members"),
        Write(method: .patch, path: "/v1/hooks/web/e.form", body: "{}", status: 404, says: "not_found"),
        Write(method: .post, path: "/v1/hooks/form/e.form/rotate", body: "", status: 200, says: "rotated86400"),
        Write(method: .post, path: "/v1/hooks/form/e.form/rotate", body: #"{"overlap":6e1}"#, status: 200, says: "rotated60"),
        Write(method: .post, path: "/v1/hooks/form/e.form/rotate", body: #"{"overlap":-1}"#, status: 400, says: "overlap is"),
        Write(method: .post, path: "/v1/hooks/form/e.form/rotate", body: #"{"overlap":1e400}"#, status: 400, says: "overlap is"),
        Write(method: .delete, path: "/v1/hooks/form/e.form", body: "", status: 204, says: ""),
        Write(method: .delete, path: "/v1/hooks/web/e.web", body: "", status: 409, says: "hook_of_app"),
        Write(method: .delete, path: "/v1/hooks/form/e.x", body: "", status: 404, says: "not_found"),
        Write(method: .delete, path: "/v1/hooks/form", body: "", status: 405, says: "Only GET, HEAD, POST"),
        Write(method: .patch, path: "/v1/hooks/form/e.form/rotate", body: "", status: 405, says: "Only POST"),
    ])
    func writing(_ write: Write) async throws {
        let answer = await answer(write.path, key: "writer", write.method, body: write.body)
        #expect(answer.status == write.status)
        let text = String(decoding: answer.body, as: UTF8.self)
        #expect(text.contains(write.says) || write.says.isEmpty, "\(text)")
        #expect(!text.contains("secret"))
        if write.status == 201 { #expect(answer.fields[.location] == "/v1/hooks/\(write.path.split(separator: "/")[2])/id-made") }
        // Nobody else may.
        #expect(await self.answer(write.path, key: "sender", write.method, body: write.body).status == (write.status == 405 || write.says == "not_found" && write.path.contains("fax") ? write.status : 403))
    }

    @Test func messagesAreShown() async throws {
        #expect(await answer("/v1/messages/1", key: "sender").status == 403)
        let root = try Fixture.root(await answer("/v1/messages/1"))
        #expect(root["data"]?["attributes"]?["verdicts"]?.elements.first?["outcome"]?.string == "json_invalid")
        #expect(root["data"]?["links"]?["raw"]?.string == "/v1/messages/1/raw")
        let raw = await answer("/v1/messages/1/raw")
        #expect(raw.status == 200 && raw.body == Array("A: b\r\n".utf8) && raw.fields[.contentType] == "message/rfc822")
        #expect(await answer("/v1/messages/2/raw").status == 410)
        for path in ["/v1/messages/3", "/v1/messages/x", "/v1/messages/-1", "/v1/messages/99999999999999999999", "/v1/messages/1/raw/x"] {
            #expect(await answer(path).status == 404, "\(path)")
        }
        #expect(await answer("/v1/events/evt_2/message").status == 200)
        #expect(await answer("/v1/events/evt_9/message").status == 404)
    }

    @Test func deliveriesAreShown() async throws {
        let root = try Fixture.root(await answer("/v1/events/evt_2/deliveries"))
        let attributes = try #require(root["data"]).elements.map { $0["attributes"] }
        #expect(attributes.map { $0?["state"]?.string } == ["waiting", "delivered"])
        #expect(attributes[0]?["reason"]?.string == "http_503" && attributes[0]?["nextRetry"] != nil)
        #expect(attributes[1]?["reason"] == nil && attributes[1]?["nextRetry"] == nil)
        #expect(await answer("/v1/events/evt_9/deliveries").status == 404)
    }

    @Test(arguments: [
        ("", ["evt_1", "evt_2", "evt_3"]), ("?hook=e.form", ["evt_1", "evt_2"]), ("?hook=e%2Eweb", ["evt_3"]), ("?hook=none", []),
        ("?since=2027-01-15T07:59:00Z", ["evt_2", "evt_3"]), ("?until=2027-01-15T07:59:00Z", ["evt_1"]),
        ("?since=2027-01-15T09%3A59%3A00%2B02:00&hook=e.form", ["evt_2"]), ("?outcome=output_invalid", ["evt_3"]),
        ("?outcome=accepted&limit=1&after=1", ["evt_2"]), ("?since=2028-01-01T00:00:00Z", []),
    ])
    func eventsAreFiltered(query: String, ids: [String]) async throws {
        let root = try Fixture.root(await answer("/v1/events" + query))
        #expect(root["data"]?.elements.map { $0["id"]?.string } == ids)
    }

    @Test(arguments: ["?since=yesterday", "?until=", "?outcome=odd", "?outcome=key_wrong"]) func badFilters(query: String) async {
        #expect(await answer("/v1/events" + query).status == 400)
    }

    /// What is filtered is looked through in pieces; the link leads on behind the last one.
    @Test func pagesOfFilteredEvents() async throws {
        let first = try Fixture.root(await answer("/v1/events?hook=e.form&limit=1"))
        let next = try #require(first["links"]?["next"]?.string)
        #expect(next == "/v1/events?after=1&limit=1&hook=e.form")
        let second = try Fixture.root(await answer(next))
        #expect(second["data"]?.elements.map { $0["id"]?.string } == ["evt_2"])
    }
}
