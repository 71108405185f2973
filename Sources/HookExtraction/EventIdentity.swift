// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The id of an event follows from what it is about, so that whoever sees a mail twice makes
// the same event twice, and everybody behind can tell.

import Crypto
import HookModel

enum EventIdentity {
    /// Raised when the meaning of the fields changes; ids of different versions never meet.
    private static let version = "mailhookd-event-1"

    /// `evt_` and 32 characters: the first 160 bits of SHA-256 over hook, content digest and the document's position.
    ///
    /// - Parameters:
    ///   - contentDigest: of the message, 32 octets.
    ///   - path: IMAP section number of the part (RFC 3501 section 6.4.5).
    ///   - index: position among the scripts of the part; 0 for a part that is a document.
    static func id(eventName: String, contentDigest: [UInt8], path: String, index: Int) -> String {
        id(of: [version, eventName, path, String(index)], contentDigest)
    }

    private static let postVersion = "mailhookd-post-event-1"

    /// The same for a POST, which is told from others by its identity alone: the sender's Idempotency-Key, else the
    /// request's own id, so that two posts of the same content are two events.
    static func id(eventName: String, postIdentity: String) -> String {
        id(of: [postVersion, eventName, postIdentity], [])
    }

    /// Every field is ended by NUL, which none of them can hold; the digest has a fixed length.
    private static func id(of fields: [String], _ digest: [UInt8]) -> String {
        var octets: [UInt8] = []
        octets.reserveCapacity(256)
        for var field in fields {
            field.withUTF8 { octets.append(contentsOf: $0) }
            octets.append(0)
        }
        octets += digest
        var hasher = SHA256()
        octets.withUnsafeBytes { hasher.update(bufferPointer: $0) }
        return hasher.finalize().withUnsafeBytes { Base32.lowerCase(.init(rebasing: $0.prefix(20)), behind: "evt_") }
    }
}

/// The short name of a message in replies and logs, the same by every road it may come.
public enum MessageIdentity {
    /// `msg_` and 26 characters: the first 128 bits of the content digest.
    public static func id(contentDigest: [UInt8]) -> String {
        contentDigest.withUnsafeBytes { Base32.lowerCase(.init(rebasing: $0.prefix(16)), behind: "msg_") }
    }
}
