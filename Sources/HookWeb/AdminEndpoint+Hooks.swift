// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Hooks in the management interface: shown as the model shows them, made, changed, given a new
// address, removed; and what a hook got in the last day.

import HookModel
import HTTPTypes
import JSONLD
import Logging

extension AdminEndpoint {
    // MARK: - Reading

    func hooks(_ type: HookType, _ request: WebRequest) -> WebAnswer {
        let all = data.hooks().filter { $0.addressed.hook.type == type }
        guard let page = AdminPage(request) else { return Self.badPage }
        return page.answer(all, path: "/v1/hooks/\(type.rawValue)") { write($0, request.receivedAt, to: &$1) }
    }

    /// By its id or its event name.
    func hook(_ type: HookType, _ id: Substring, _ request: WebRequest) -> WebAnswer {
        guard let found = find(type, id) else { return .notFound }
        return answer(found, request)
    }

    private func answer(_ hook: ManagedHook, status: Int = 200, _ request: WebRequest) -> WebAnswer {
        .json(status: status) {
            $0.object {
                $0.name("data")
                write(hook, request.receivedAt, to: &$0)
            }
        }
    }

    private func find(_ type: HookType, _ id: Substring) -> ManagedHook? {
        data.hooks().first {
            $0.addressed.hook.type == type && ($0.id == id || $0.addressed.hook.eventName == id)
        }
    }

    private static func path(_ hook: ManagedHook) -> String { "/v1/hooks/\(hook.addressed.hook.type.rawValue)/\(hook.id)" }

    private func write(_ managed: ManagedHook, _ now: Timestamp, to writer: inout JSONWriter) {
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
                $0.member("state", hook.policy.state.rawValue)
                $0.name("debug")
                $0.boolean(managed.debugUntil.map { now < $0 } ?? false)
                if let previous = managed.addressed.previous, now < previous.until {
                    $0.member("previousAddress", managed.previousAddress)
                    $0.member("previousUntil", previous.until.rfc3339)
                }
                $0.member("createdAt", managed.createdAt?.rfc3339)
                $0.member("modifiedAt", managed.modifiedAt?.rfc3339)
                $0.member("updatedAt", managed.modifiedAt?.rfc3339)
            }
            $0.object("relationships") { $0.reference("org", type: "org", id: data.organization) }
            $0.object("links") { $0.member("self", Self.path(managed)) }
        }
    }

    // MARK: - Changing

    func create(_ type: HookType, _ octets: [UInt8], _ request: WebRequest) async -> WebAnswer {
        let draft: HookDraft
        do throws(BodyProblem) {
            let body = try AdminBody(octets, names: ["title", "description", "eventName", "outputTemplate", "outputSchema"])
            guard let title = try body.text("title", 1...255) else { throw BodyProblem("title is missing") }
            draft = HookDraft(
                type: type, title: title, description: try body.text("description", 0...4000),
                eventName: try body.eventName("eventName"), outputTemplate: try body.object("outputTemplate"),
                outputSchema: try body.object("outputSchema"))
        } catch {
            return error.answer
        }
        return await changed(request) { () async throws(ManagementError) in
            let hook = try await data.create(draft, now: request.receivedAt)
            logger.notice("hook made", metadata: ["request": "\(request.id)", "hook": "\(hook.id)"])
            var answer = answer(hook, status: 201, request)
            answer.fields[.location] = Self.path(hook)
            return answer
        }
    }

    func change(_ type: HookType, _ id: Substring, _ octets: [UInt8], _ request: WebRequest) async -> WebAnswer {
        guard let hook = find(type, id) else { return .notFound }
        let change: HookChange
        do throws(BodyProblem) {
            let body = try AdminBody(octets, names: ["title", "description", "debug", "state"])
            var state: HookState?
            if let word = try body.text("state", 1...16) {
                state = HookState(rawValue: word)
                if state == nil { throw BodyProblem("state is active, paused or disabled") }
            }
            change = HookChange(
                title: try body.text("title", 1...255), description: try body.text("description", 0...4000),
                isWatched: try body.boolean("debug"), state: state)
        } catch {
            return error.answer
        }
        return await apply(change, to: hook, request)
    }

    func rotate(_ type: HookType, _ id: Substring, _ octets: [UInt8], _ request: WebRequest) async -> WebAnswer {
        guard let hook = find(type, id) else { return .notFound }
        do throws(BodyProblem) {
            let body = try AdminBody(octets.isEmpty ? Array("{}".utf8) : octets, names: ["overlap"])
            let seconds = try body.integer("overlap", in: 0...Self.longestOverlap) ?? 86_400
            return await apply(HookChange(rotation: .seconds(seconds)), to: hook, request)
        } catch {
            return error.answer
        }
    }

    /// Seconds for which an old address may be taken beside the new one: ninety days.
    private static let longestOverlap = 90 * 86_400

    private func apply(_ change: HookChange, to hook: ManagedHook, _ request: WebRequest) async -> WebAnswer {
        await changed(request) { () async throws(ManagementError) in
            let changed = try await data.change(hook.addressed.hook.eventName, change, now: request.receivedAt)
            logger.notice("hook changed", metadata: ["request": "\(request.id)", "hook": "\(hook.id)"])
            return answer(changed, request)
        }
    }

    func remove(_ resource: AdminResource) async -> WebAnswer {
        guard case .hook(let type, let id) = resource, let hook = find(type, id) else { return .notFound }
        return await changed(nil) { () async throws(ManagementError) in
            try await data.remove(hook.addressed.hook.eventName)
            logger.notice("hook removed", metadata: ["hook": "\(hook.id)"])
            return WebAnswer(status: 204)
        }
    }

    private func changed(
        _ request: WebRequest?, _ body: () async throws(ManagementError) -> WebAnswer
    ) async -> WebAnswer {
        do throws(ManagementError) {
            return try await body()
        } catch {
            switch error {
            case .notFound: return .notFound
            case .conflict(let code, let message): return .error(status: 409, code: code, message)
            case .unavailable(let reason):
                logger.error("hook not changed", metadata: ["request": "\(request?.id ?? "-")", "error": "\(reason)"])
                return .refusal(.storeFailed)
            }
        }
    }

    // MARK: - Transactions

    /// The newest events of a hook, newest first: those of the last day among the last `transactionDepth` events.
    func transactions(_ type: HookType, _ id: Substring, _ request: WebRequest) async -> WebAnswer {
        guard let hook = find(type, id) else { return .notFound }
        guard let page = AdminPage(request) else { return Self.badPage }
        let name = hook.addressed.hook.eventName
        let path = "\(Self.path(hook))/transactions"
        // Only what came while somebody watched, and for a day each.
        guard let since = hook.debugSince, let until = hook.debugUntil else {
            return page.answer([Transaction](), path: path) { _, _ in }
        }
        let dayAgo = request.receivedAt.advanced(by: .seconds(-86_400))
        do throws(StoreError) {
            let last = try await data.lastSequence()
            let newest = try await data.events(
                after: max(0, last - Int64(Self.transactionDepth)), limit: Self.transactionDepth)
            let all = newest.reversed().lazy.filter { $0.event.type == name }
                .compactMap { Transaction($0) }.filter { $0.moment > dayAgo && (since..<max(since, until)).contains($0.moment) }
            return page.answer(Array(all), path: path) {
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
        var moment: Timestamp
        var data: ArraySlice<UInt8>

        init?(_ stored: StoredEvent) {
            // An event adds a level to what its document has.
            guard let root = try? JSONDocument(stored.event.json, limits: JSONLimits(depth: 1024)).root,
                let time = root["time"]?.string, let moment = Timestamp(rfc3339: time),
                let data = root["data"]
            else { return nil }
            (id, createdAt, self.moment, self.data) = (stored.event.id, time, moment, data.text)
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
}
