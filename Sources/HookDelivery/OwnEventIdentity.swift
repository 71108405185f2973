// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Ids of the daemon's own events, and of events that are sent again under a new id.

internal import Crypto
internal import HookModel

public enum OwnEventIdentity {
    private static let version = "mailhookd-own-event-1"
    private static let replayVersion = "mailhookd-replay-1"

    /// `evt_` and 32 characters: the first 160 bits of SHA-256 over type and identity.
    static func id(type: String, identity: String) -> String { digest([version, type, identity]) }

    /// The id of an event that is replayed under a new one: the same for the same event and the same replay.
    public static func id(replaying event: String, replay: String) -> String { digest([replayVersion, event, replay]) }

    private static func digest(_ fields: [String]) -> String {
        var hash = SHA256()
        for field in fields { hash.update(data: Array(field.utf8) + [0]) }
        return "evt_" + Base32.lowerCase(hash.finalize().prefix(20))
    }
}
