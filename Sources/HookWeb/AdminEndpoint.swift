// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The side for whoever manages the daemon: hooks with their addresses, events, messages, health.
// Everything but health and the description of the interface wants an API key.

import HookModel
import HTTPTypes
import JSONLD
import Logging

struct AdminEndpoint: Sendable {
    let data: any ManagementData
    let authorizer: any WebAuthorizer
    let logger: Logger

    /// Octets of what a client may send: a hook's title, template and schema.
    private static let bodyLimit = 256 << 10

    func step(_ request: WebRequest) -> WebStep {
        guard let resource = AdminResource(path: request.path) else { return .answer(.notFound) }
        let method = request.method
        guard resource.methods.contains(method) else {
            return .answer(.methodNotAllowed(resource.methods.map(\.rawValue).joined(separator: ", ")))
        }
        if let refusal = refusal(request, resource.roles(method)) { return .answer(refusal) }
        return switch method {
        case .get, .head: read(resource, request)
        case .delete: .work { await remove(resource) }
        default: write(resource, request)
        }
    }

    private func read(_ resource: AdminResource, _ request: WebRequest) -> WebStep {
        switch resource {
        case .health: .answer(Self.status("ok"))
        case .readiness: .work { await readiness() }
        case .description: .answer(WebAnswer(status: 200, body: Array(InterfaceDescription.json.utf8)))
        case .hooks(let type): .answer(hooks(type, request))
        case .hook(let type, let id): .answer(hook(type, id, request))
        case .transactions(let type, let id): .work { await transactions(type, id, request) }
        case .events: .work { await events(request) }
        case .event(let id): .work { await event(String(id)) }
        case .messageOfEvent(let id): .work { await message(ofEvent: String(id)) }
        case .deliveriesOfEvent(let id): .work { await deliveries(ofEvent: String(id)) }
        case .message(let id): .work { await message(id, isRaw: false) }
        case .rawMessage(let id): .work { await message(id, isRaw: true) }
        case .rotation: .answer(.notFound)
        }
    }

    private func write(_ resource: AdminResource, _ request: WebRequest) -> WebStep {
        .body(limit: Self.bodyLimit, prefix: []) { octets in
            guard let octets else { return .refusal(.messageTooLarge) }
            switch resource {
            case .hooks(let type): return await create(type, octets, request)
            case .hook(let type, let id): return await change(type, id, octets, request)
            case .rotation(let type, let id): return await rotate(type, id, octets, request)
            case .health, .readiness, .description, .transactions, .events, .event, .messageOfEvent, .deliveriesOfEvent,
                .message, .rawMessage:
                return .notFound
            }
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

    func failure(_ error: StoreError, _ request: WebRequest?) -> WebAnswer {
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

    static let badPage = badQuery("page is 1 to 10, pageSize 1 to 99")

    static func badQuery(_ message: String) -> WebAnswer {
        .error(status: 400, code: "query_invalid", message)
    }
}
