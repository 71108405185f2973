// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What a person should know about a mail in which nothing was found.

import HookExtraction
import MIMEParser

extension Trial {
    /// Sentences, most likely cause first; empty where there is nothing to add.
    var hints: [String] {
        var hints: [String] = []
        let documents = processed.candidates.filter { $0.document != nil }
        if processed.candidates.isEmpty, Self.looksForwarded(processed.mail) {
            hints.append(
                "this mail looks forwarded by a mail program: these take scripts out of what they forward; have the "
                    + "sender write to the hook directly, or attach the original mail")
        }
        if !documents.isEmpty, documents.allSatisfy(\.isAttached) {
            hints.append("the data stands in an attached message, from which events are not made")
        }
        if processed.candidates.isEmpty, Self.holdsMicrodata(processed.mail) {
            hints.append("the HTML holds microdata (itemscope), which is not read; JSON-LD is")
        }
        return hints
    }

    /// Octets of an HTML or text part that are looked at: marks of forwarding stand at the beginning.
    private static let lookedAt = 256 << 10

    /// Words mail programs put above what they forward, and before its subject.
    private static let marks = [
        "gmail_quote", "---------- Forwarded message", "Begin forwarded message:", "-----Original Message-----",
        "-------- Forwarded Message --------", "-----Ursprüngliche Nachricht-----", "moz-forward-container",
    ]
    private static let prefixes = ["fwd:", "fw:", "wg:", "tr:", "i:", "rv:", "doorst:", "vs:", "vl:"]

    private static func looksForwarded(_ mail: MIMEMessage) -> Bool {
        if let subject = mail.header.text("subject")?.lowercased(), prefixes.contains(where: { subject.hasPrefix($0) }) {
            return true
        }
        return texts(of: mail).contains { text in marks.contains { text.contains($0) } }
    }

    private static func holdsMicrodata(_ mail: MIMEMessage) -> Bool {
        texts(of: mail).contains { $0.contains("itemscope") && $0.contains("schema.org") }
    }

    private static func texts(of mail: MIMEMessage) -> [String] {
        mail.parts.filter { $0.kind == .leaf && $0.mediaType.type == "text" && !$0.isAttached }.map { part in
            String(decoding: mail.text(of: part).prefix(lookedAt), as: UTF8.self)
        }
    }
}
