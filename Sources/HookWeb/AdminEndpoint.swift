// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The side for whoever manages the daemon: hooks with their addresses, events, health. Reads
// only. Everything but health and the description of the interface wants an API key.

import HookModel
import HTTPTypes
import JSONLD
import Logging

struct AdminEndpoint: WebEndpoint {
    let data: any ManagementData
    let authorizer: any WebAuthorizer
    let logger: Logger

    private enum Resource {
        case health
        case readiness
        case description
        case hooks(HookType)
        case hook(HookType, id: Substring)
        case transactions(HookType, id: Substring)
        case events
        case event(id: Substring)

        init?(path: Substring) {
            let segments = path.split(separator: "/", maxSplits: 6, omittingEmptySubsequences: false).dropFirst()
            switch (segments.count, segments.first) {
            case (1, "healthz"): self = .health
            case (1, "readyz"): self = .readiness
            case (2..., "v1"):
                self.init(below: segments.dropFirst())
            default: return nil
            }
        }

        private init?(below segments: ArraySlice<Substring>) {
            let names = Array(segments)
            switch names.count {
            case 1 where names[0] == "openapi.json": self = .description
            case 1 where names[0] == "events": self = .events
            case 2 where names[0] == "events": self = .event(id: names[1])
            case 2 where names[0] == "hooks":
                guard let type = HookType(rawValue: String(names[1])) else { return nil }
                self = .hooks(type)
            case 3 where names[0] == "hooks":
                guard let type = HookType(rawValue: String(names[1])) else { return nil }
                self = .hook(type, id: names[2])
            case 4 where names[0] == "hooks" && names[3] == "transactions":
                guard let type = HookType(rawValue: String(names[1])) else { return nil }
                self = .transactions(type, id: names[2])
            default: return nil
            }
        }

        /// Any one of these is enough; empty for what everybody may read.
        var roles: Set<APIRole> {
            switch self {
            case .health, .readiness, .description: []
            case .hooks, .hook: [.readHooks, .readHooksLegacy]
            case .transactions: [.hooks]
            case .events, .event: [.readEvents]
            }
        }
    }

    func step(_ request: WebRequest) -> WebStep {
        guard let resource = Resource(path: request.path) else { return .answer(.notFound) }
        guard request.head.method == .get || request.head.method == .head else {
            return .answer(.methodNotAllowed("GET, HEAD"))
        }
        if let refusal = refusal(request, resource.roles) { return .answer(refusal) }
        switch resource {
        case .health: return .answer(Self.status("ok"))
        case .readiness: return .work { await readiness() }
        case .description: return .answer(WebAnswer(status: 200, body: Array(InterfaceDescription.json.utf8)))
        case .hooks(let type): return .answer(hooks(type, request))
        case .hook(let type, let id): return .answer(hook(type, id))
        case .transactions(let type, let id): return .work { await transactions(type, id, request) }
        case .events: return .work { await events(request) }
        case .event(let id): return .work { await event(String(id)) }
        }
    }

    private func refusal(_ request: WebRequest, _ roles: Set<APIRole>) -> WebAnswer? {
        guard !roles.isEmpty else { return nil }
        guard let key = HookEndpoint.bearer(request[.authorization]), let holder = authorizer.holder(ofKey: key) else {
            return .refusal(.unauthorized, fields: [.wwwAuthenticate: "Bearer"])
        }
        return holder.roles.isDisjoint(with: roles) ? .refusal(.forbidden) : nil
    }

    private static func status(_ text: String, status: Int = 200) -> WebAnswer {
        .json(status: status) { $0.object { $0.member("status", text) } }
    }

    /// Ready is who can read its store.
    private func readiness() async -> WebAnswer {
        do throws(StoreError) {
            _ = try await data.events(after: .max, limit: 1)
            return Self.status("ready")
        } catch {
            return Self.status("not ready", status: 503)
        }
    }

    // MARK: - Hooks

    private func hooks(_ type: HookType, _ request: WebRequest) -> WebAnswer {
        let all = data.hooks().filter { $0.addressed.hook.type == type }
        guard let page = AdminPage(request) else { return Self.badPage }
        return page.answer(all, path: "/v1/hooks/\(type.rawValue)") { write($0, to: &$1) }
    }

    /// By its id or its event name.
    private func hook(_ type: HookType, _ id: Substring) -> WebAnswer {
        guard let found = find(type, id) else { return .notFound }
        return .json {
            $0.object {
                $0.name("data")
                write(found, to: &$0)
            }
        }
    }

    private func find(_ type: HookType, _ id: Substring) -> ManagedHook? {
        data.hooks().first {
            $0.addressed.hook.type == type && ($0.id == id || $0.addressed.hook.eventName == id)
        }
    }

    private func write(_ managed: ManagedHook, to writer: inout JSONWriter) {
        let (hook, current) = (managed.addressed.hook, managed.addressed.current)
        writer.object {
            $0.member("id", managed.id)
            $0.member("type", "\(hook.type.rawValue)_hook")
            $0.object("attributes") {
                $0.member("title", hook.displayEventName ?? hook.eventName)
                $0.member("description", hook.description)
                $0.member(hook.type == .email ? "email" : "url", managed.address)
                $0.member("eventName", hook.eventName)
                $0.member("hash", current.token)
                $0.member("key", hook.type == .form ? nil : current.key)
                $0.member("app", hook.app)
            }
            $0.object("relationships") { $0.reference("org", type: "org", id: data.organization) }
            $0.object("links") { $0.member("self", "/v1/hooks/\(hook.type.rawValue)/\(managed.id)") }
        }
    }

    // MARK: - Transactions

    /// The newest events of a hook, newest first: those of the last day among the last `transactionDepth` events.
    private func transactions(_ type: HookType, _ id: Substring, _ request: WebRequest) async -> WebAnswer {
        guard let hook = find(type, id) else { return .notFound }
        guard let page = AdminPage(request) else { return Self.badPage }
        let name = hook.addressed.hook.eventName
        let dayAgo = request.receivedAt.advanced(by: .seconds(-86_400))
        do throws(StoreError) {
            let last = try await data.lastSequence()
            let newest = try await data.events(
                after: max(0, last - Int64(Self.transactionDepth)), limit: Self.transactionDepth)
            let all = newest.reversed().lazy.filter { $0.event.type == name }
                .compactMap { Transaction($0, since: dayAgo) }
            return page.answer(Array(all), path: "/v1/hooks/\(type.rawValue)/\(hook.id)/transactions") {
                write($0, of: hook, to: &$1)
            }
        } catch {
            return failure(error, request)
        }
    }

    /// How far back transactions are looked for. They show what a hook gets; events are for everything else.
    private static let transactionDepth = 1000

    private struct Transaction {
        var id: String
        var createdAt: String
        var data: ArraySlice<UInt8>

        init?(_ stored: StoredEvent, since: Timestamp) {
            // An event adds a level to what its document has.
            guard let root = try? JSONDocument(stored.event.json, limits: JSONLimits(depth: 1024)).root,
                let time = root["time"]?.string, let moment = Timestamp(rfc3339: time), moment > since,
                let data = root["data"]
            else { return nil }
            (id, createdAt, self.data) = (stored.event.id, time, data.text)
        }
    }

    private func write(_ transaction: Transaction, of hook: ManagedHook, to writer: inout JSONWriter) {
        writer.object {
            $0.member("id", transaction.id)
            $0.member("type", "hook_transaction")
            $0.object("attributes") {
                $0.name("data")
                $0.raw(transaction.data)
                $0.member("createdAt", transaction.createdAt)
            }
            $0.object("relationships") {
                $0.reference("org", type: "org", id: data.organization)
                $0.reference("hook", type: "\(hook.addressed.hook.type.rawValue)_hook", id: hook.id)
            }
            $0.object("links") { $0.member("self", "/v1/events/\(transaction.id)") }
        }
    }

    // MARK: - Events

    /// Oldest first; `after` is the position the answer before ended with.
    private func events(_ request: WebRequest) async -> WebAnswer {
        guard let after = Self.number(request, "after", in: 0...Int.max, else: 0),
            let limit = Self.number(request, "limit", in: 1...500, else: 100)
        else { return Self.badQuery("after is 0 or more, limit 1 to 500") }
        do throws(StoreError) {
            let found = try await data.events(after: Int64(after), limit: limit)
            return .json {
                $0.object {
                    $0.array("data") { for event in found { Self.write(event, to: &$0) } }
                    $0.object("links") {
                        $0.member("self", "/v1/events?after=\(after)&limit=\(limit)")
                        let last = found.count == limit ? found.last : nil
                        $0.member("next", last.map { "/v1/events?after=\($0.sequence)&limit=\(limit)" })
                    }
                }
            }
        } catch {
            return failure(error, request)
        }
    }

    private func event(_ id: String) async -> WebAnswer {
        do throws(StoreError) {
            guard let event = try await data.event(id: id) else { return .notFound }
            return .json {
                $0.object {
                    $0.name("data")
                    Self.write(event, to: &$0)
                }
            }
        } catch {
            return failure(error, nil)
        }
    }

    private static func write(_ stored: StoredEvent, to writer: inout JSONWriter) {
        writer.object {
            $0.member("id", stored.event.id)
            $0.member("type", "event")
            $0.name("attributes")
            $0.raw(stored.event.json)
            $0.object("meta") { $0.member("sequence", integer: Int(stored.sequence)) }
            $0.object("links") { $0.member("self", "/v1/events/\(stored.event.id)") }
        }
    }

    private func failure(_ error: StoreError, _ request: WebRequest?) -> WebAnswer {
        logger.error("store not read", metadata: ["request": "\(request?.id ?? "-")", "error": "\(error)"])
        return .refusal(error.outcome)
    }

    // MARK: - Queries

    /// `standard` where the query has no such parameter; nil where it is no number in `range`.
    static func number(
        _ request: WebRequest, _ name: String, in range: ClosedRange<Int>, else standard: Int
    ) -> Int? {
        guard let text = request.query(name) else { return standard }
        return Int(text).flatMap { range.contains($0) ? $0 : nil }
    }

    private static let badPage = badQuery("page is 1 to 10, pageSize 1 to 99")

    private static func badQuery(_ message: String) -> WebAnswer {
        .error(status: 400, code: "query_invalid", message)
    }
}
