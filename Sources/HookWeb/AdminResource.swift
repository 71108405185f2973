// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The paths of the management interface, what can be done with each, and which role of an API key
// is wanted for that.

import HookModel
import HTTPTypes

/// What a path of the management interface names.
enum AdminResource {
    case health
    case readiness
    case description
    case hooks(HookType)
    case hook(HookType, id: Substring)
    case rotation(HookType, id: Substring)
    case transactions(HookType, id: Substring)
    case events
    case event(id: Substring)
    case messageOfEvent(id: Substring)
    case deliveriesOfEvent(id: Substring)
    case message(id: Substring)
    case rawMessage(id: Substring)

    init?(path: Substring) {
        let segments = path.split(separator: "/", maxSplits: 6, omittingEmptySubsequences: false).dropFirst()
        switch (segments.count, segments.first) {
        case (1, "healthz"): self = .health
        case (1, "readyz"): self = .readiness
        case (2..., "v1"): self.init(below: Array(segments.dropFirst()))
        default: return nil
        }
    }

    private init?(below names: [Substring]) {
        switch (names.count, names[0]) {
        case (1, "openapi.json"): self = .description
        case (1, "events"): self = .events
        case (2, "events"): self = .event(id: names[1])
        case (3, "events") where names[2] == "message": self = .messageOfEvent(id: names[1])
        case (3, "events") where names[2] == "deliveries": self = .deliveriesOfEvent(id: names[1])
        case (2, "messages"): self = .message(id: names[1])
        case (3, "messages") where names[2] == "raw": self = .rawMessage(id: names[1])
        case (2..., "hooks"):
            guard let type = HookType(rawValue: String(names[1])) else { return nil }
            self.init(type, names)
        default: return nil
        }
    }

    private init?(_ type: HookType, _ names: [Substring]) {
        switch names.count {
        case 2: self = .hooks(type)
        case 3: self = .hook(type, id: names[2])
        case 4 where names[3] == "transactions": self = .transactions(type, id: names[2])
        case 4 where names[3] == "rotate": self = .rotation(type, id: names[2])
        default: return nil
        }
    }

    /// For the field Allow.
    var methods: [HTTPRequest.Method] {
        switch self {
        case .hooks: [.get, .head, .post]
        case .hook: [.get, .head, .patch, .delete]
        case .rotation: [.post]
        case .health, .readiness, .description, .transactions, .events, .event, .messageOfEvent, .deliveriesOfEvent,
            .message, .rawMessage:
            [.get, .head]
        }
    }

    /// Any one of these is enough; empty for what everybody may read.
    func roles(_ method: HTTPRequest.Method) -> Set<APIRole> {
        switch self {
        case .health, .readiness, .description: []
        case .hooks, .hook, .rotation:
            switch method {
            case .post: if case .rotation = self { [.updateHooks, .writeHooksLegacy] } else { [.createHooks, .writeHooksLegacy] }
            case .patch: [.updateHooks, .writeHooksLegacy]
            case .delete: [.deleteHooks, .writeHooksLegacy]
            default: [.readHooks, .readHooksLegacy]
            }
        case .transactions: [.hooks]
        case .events, .event, .deliveriesOfEvent: [.readEvents]
        case .messageOfEvent, .message, .rawMessage: [.readMessages]
        }
    }
}
