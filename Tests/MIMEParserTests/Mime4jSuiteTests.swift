// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The messages of mime-mime4j: the tree of parts, the fields of every header, the decoded bodies.

import Foundation
import TestSupport
import Testing

@testable import MIMEParser

struct Mime4jSuiteTests {
    static let suite = "mime-mime4j"

    /// What the two expected files say: a tree in the form of `tree(of:)`, fields in order, files of leaves in order.
    struct Expected {
        var tree = ""
        var fields: [String] = []
        var leaves: [String] = []

        init(_ xml: [UInt8]) {
            let text = String(decoding: xml.map { UInt16($0) }, as: UTF16.self)  // ISO 8859-1, and CR LF stays two characters
            var index = text.unicodeScalars.startIndex
            let scalars = text.unicodeScalars
            while let open = scalars[index...].firstIndex(of: "<"), let close = scalars[open...].firstIndex(of: ">") {
                let tag = String(scalars[scalars.index(after: open)..<close])
                index = scalars.index(after: close)
                switch tag {
                case "message": tree += "message("
                case "multipart": tree += "multipart("
                case "body-part": tree += "part("
                case "/message", "/multipart", "/body-part": tree += ")"
                case "field":
                    let end = scalars[index...].firstIndex(of: "<") ?? scalars.endIndex
                    fields.append(Self.unescaped(String(scalars[index..<end])))
                case _ where tag.hasPrefix("text-body name=") || tag.hasPrefix("binary-body name="):
                    tree += "body"
                    leaves.append(String(tag.split(separator: "\"")[1]))
                default: break
                }
            }
        }

        private static func unescaped(_ text: String) -> String {
            text.replacingOccurrences(of: "&lt;", with: "<").replacingOccurrences(of: "&gt;", with: ">")
                .replacingOccurrences(of: "&quot;", with: "\"").replacingOccurrences(of: "&amp;", with: "&")
        }
    }

    /// The same tree from ours: a body, a multipart or a message in each entity.
    static func tree(of message: MIMEMessage) -> String {
        var text = ""
        var closing: [(depth: Int, text: String)] = []
        for part in message.parts {
            while let last = closing.last, last.depth >= part.depth {
                text += last.text
                closing.removeLast()
            }
            let isWhole = part.parent.map { message.parts[$0].kind == .message } ?? true
            text += isWhole ? "message(" : "part("
            switch part.kind {
            case .leaf: text += "body"
            case .multipart: text += "multipart("
            case .message: break
            }
            closing.append((part.depth, part.kind == .multipart ? "))" : ")"))
        }
        return text + closing.reversed().map(\.text).joined()
    }

    /// Name and value with blanks put together: how lines are folded is another matter.
    static func normal(_ field: String) -> String {
        let words = field.split(whereSeparator: { $0.unicodeScalars.allSatisfy { " \t\r\n".unicodeScalars.contains($0) } })
        return words.joined(separator: " ").replacingOccurrences(of: " :", with: ":").replacingOccurrences(
            of: ": ", with: ":")
    }

    static func fields(of message: MIMEMessage) -> [String] {
        message.parts.flatMap { part in
            message.header(of: part).map { field -> String in
                normal("\(field.name):\(field.rawValue)")
            }
        }
    }

    private static let startsBody =
        "a line that is no field is left out of a header that goes on behind it, as in the suite's first setting"
    private static let noParts =
        "a multipart whose boundary never comes is a leaf, so that its text is not lost (RFC 2046 section 5.1.1)"
    private static let blanks = "a boundary does not end in blanks (RFC 2046 section 5.1.1, bcharsnospace)"

    static let exceptions = [
        "basic-plain-with-bad-header-separator":
            "a line of blanks ends a header if no field follows (RFC 5322 section 4.2 lets obsolete folding go on)",
        "malformedHeader-noheader":
            "a message that begins without a field is all body (RFC 5322 section 3.5: the body is what no field is)",
        "malformedHeaderStartsBody-noheader":
            "a message that begins without a field is all body, its first line too (RFC 5322 section 3.5)",
        "malformedHeaderStartsBody-nocrlfcrlf": startsBody,
        "missing-boundary": noParts, "missing-inner-boundary": noParts,
        "very-long-boundary": blanks, "very-very-long-boundary": blanks, "weird-boundary": blanks,
    ]

    @Test(.conformance(suite)) func messages() throws {
        var report = SuiteReport("mime-mime4j", exceptions: Self.exceptions)
        let sizes = try #require(
            try JSONSerialization.jsonObject(with: Data(Conformance.bytes(Self.suite, "testmsgs/decoded-bodies.json")))
                as? [String: [String: [String: Any]]])
        for file in Conformance.files(Self.suite, "testmsgs", extensions: ["msg"]) {
            let name = String(file.dropLast(4))
            let bytes = try Conformance.bytes(Self.suite, "testmsgs/\(file)")
            let expected = Expected(try Conformance.bytes(Self.suite, "testmsgs/\(name)_decoded.xml"))
            let message = MIMEMessage(bytes)
            var differences = message.violations
            let tree = Self.tree(of: message)
            if tree != expected.tree { differences.append("\(tree), not \(expected.tree)") }
            let fields = Self.fields(of: message)
            let wanted = expected.fields.map { Self.normal($0) }
            if fields != wanted {
                differences.append(
                    "fields \(zip(fields, wanted).first { $0 != $1 }.map { "\($0)" } ?? "\(fields.count), not \(wanted.count)")"
                )
            }
            for (part, leaf) in zip(message.parts.filter { $0.kind == .leaf }, expected.leaves) {
                let body = message.body(of: part)
                let size = sizes[name]?[leaf]?["bytes"] as? Int
                if size != body.count { differences.append("\(leaf) has \(body.count) octets, not \(size ?? -1)") }
                // Bodies that are no text are known by their size and digest only.
                if let text = try? Conformance.bytes(Self.suite, "testmsgs/\(leaf)"), text != body {
                    differences.append("\(leaf) differs")
                }
            }
            // The same tree and fields with the other line ends.
            for other in [lf(bytes), crlf(bytes)] {
                let variant = MIMEMessage(other)
                if Self.tree(of: variant) != tree { differences.append("other tree with other line ends") }
                if Self.fields(of: variant) != fields { differences.append("other fields with other line ends") }
            }
            report.count(name, differences)
        }
        report.finish(atLeast: 32)
    }
}
