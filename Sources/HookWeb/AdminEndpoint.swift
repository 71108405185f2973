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
            default: return nil
            }
        }

        /// Any one of these is enough; empty for what everybody may read.
        var roles: Set<APIRole> {
            switch self {
            case .health, .readiness, .description: []
            case .hooks, .hook: [.readHooks, .readHooksLegacy]
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
        .json(status: status) { writer in
            writer.beginObject()
            writer.member("status", text)
            writer.endObject()
        }
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

    /// Ten pages of 99 at most, as the model has it.
    private func hooks(_ type: HookType, _ request: WebRequest) -> WebAnswer {
        guard let page = Self.number(request, "page", in: 1...10, else: 1),
            let size = Self.number(request, "pageSize", in: 1...99, else: 50)
        else { return Self.badQuery("page is 1 to 10, pageSize 1 to 99") }
        let all = data.hooks().filter { $0.addressed.hook.type == type }
        let start = min(all.count, (page - 1) * size)
        let shown = all[start..<min(all.count, start + size)]
        func link(_ page: Int) -> String { "/v1/hooks/\(type.rawValue)?page=\(page)&pageSize=\(size)" }
        return .json { writer in
            writer.beginObject()
            writer.name("meta")
            writer.beginObject()
            writer.name("page")
            writer.integer(page)
            writer.name("pageSize")
            writer.integer(size)
            writer.endObject()
            writer.name("data")
            writer.beginArray()
            for hook in shown { write(hook, to: &writer) }
            writer.endArray()
            writer.name("links")
            writer.beginObject()
            writer.member("self", link(page))
            writer.member("first", link(1))
            writer.member("prev", page > 1 ? link(page - 1) : nil)
            writer.member("next", start + size < all.count && page < 10 ? link(page + 1) : nil)
            writer.endObject()
            writer.endObject()
        }
    }

    /// By its id or its event name.
    private func hook(_ type: HookType, _ id: Substring) -> WebAnswer {
        let found = data.hooks().first {
            $0.addressed.hook.type == type && ($0.id == id || $0.addressed.hook.eventName == id)
        }
        guard let found else { return .notFound }
        return .json { writer in
            writer.beginObject()
            writer.name("data")
            write(found, to: &writer)
            writer.endObject()
        }
    }

    private func write(_ managed: ManagedHook, to writer: inout JSONWriter) {
        let (hook, current) = (managed.addressed.hook, managed.addressed.current)
        writer.beginObject()
        writer.member("id", managed.id)
        writer.member("type", "\(hook.type.rawValue)_hook")
        writer.name("attributes")
        writer.beginObject()
        writer.member("title", hook.displayEventName ?? hook.eventName)
        writer.member("description", hook.description)
        writer.member(hook.type == .email ? "email" : "url", managed.address)
        writer.member("eventName", hook.eventName)
        writer.member("hash", current.token)
        writer.member("key", hook.type == .form ? nil : current.key)
        writer.member("app", hook.app)
        writer.endObject()
        writer.name("relationships")
        writer.beginObject()
        writer.name("org")
        writer.beginObject()
        writer.name("data")
        writer.beginObject()
        writer.member("type", "org")
        writer.member("id", data.organization)
        writer.endObject()
        writer.endObject()
        writer.endObject()
        writer.name("links")
        writer.beginObject()
        writer.member("self", "/v1/hooks/\(hook.type.rawValue)/\(managed.id)")
        writer.endObject()
        writer.endObject()
    }

    // MARK: - Events

    /// Oldest first; `after` is the position the answer before ended with.
    private func events(_ request: WebRequest) async -> WebAnswer {
        guard let after = Self.number(request, "after", in: 0...Int.max, else: 0),
            let limit = Self.number(request, "limit", in: 1...500, else: 100)
        else { return Self.badQuery("after is 0 or more, limit 1 to 500") }
        do throws(StoreError) {
            let found = try await data.events(after: Int64(after), limit: limit)
            return .json { writer in
                writer.beginObject()
                writer.name("data")
                writer.beginArray()
                for event in found { Self.write(event, to: &writer) }
                writer.endArray()
                writer.name("links")
                writer.beginObject()
                writer.member("self", "/v1/events?after=\(after)&limit=\(limit)")
                let last = found.count == limit ? found.last : nil
                writer.member("next", last.map { "/v1/events?after=\($0.sequence)&limit=\(limit)" })
                writer.endObject()
                writer.endObject()
            }
        } catch {
            return failure(error, request)
        }
    }

    private func event(_ id: String) async -> WebAnswer {
        do throws(StoreError) {
            guard let event = try await data.event(id: id) else { return .notFound }
            return .json { writer in
                writer.beginObject()
                writer.name("data")
                Self.write(event, to: &writer)
                writer.endObject()
            }
        } catch {
            return failure(error, nil)
        }
    }

    private static func write(_ stored: StoredEvent, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("id", stored.event.id)
        writer.member("type", "event")
        writer.name("attributes")
        writer.raw(stored.event.json)
        writer.name("meta")
        writer.beginObject()
        writer.name("sequence")
        writer.integer(Int(stored.sequence))
        writer.endObject()
        writer.name("links")
        writer.beginObject()
        writer.member("self", "/v1/events/\(stored.event.id)")
        writer.endObject()
        writer.endObject()
    }

    private func failure(_ error: StoreError, _ request: WebRequest?) -> WebAnswer {
        logger.error("store not read", metadata: ["request": "\(request?.id ?? "-")", "error": "\(error)"])
        return .refusal(error.outcome)
    }

    // MARK: - Queries

    /// `standard` where the query has no such parameter; nil where it is no number in `range`.
    private static func number(
        _ request: WebRequest, _ name: String, in range: ClosedRange<Int>, else standard: Int
    ) -> Int? {
        guard let text = request.query(name) else { return standard }
        return Int(text).flatMap { range.contains($0) ? $0 : nil }
    }

    private static func badQuery(_ message: String) -> WebAnswer {
        .error(status: 400, code: "query_invalid", message)
    }
}
