// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What is fuzzed: each target takes any bytes, and traps where something that must always hold
// does not. The same functions replay failing inputs in the ordinary tests.

import HTMLScripts
import HookExtraction
import HookModel
import JSONLD
import MIMEParser
import SMTPProtocol

/// One thing that must bear any input.
public struct FuzzTarget: Sendable {
    public var name: String
    public var run: @Sendable ([UInt8]) -> Void
}

public enum FuzzTargets {
    public static let all: [FuzzTarget] = [
        FuzzTarget(name: "message", run: message), FuzzTarget(name: "header", run: header),
        FuzzTarget(name: "html", run: html), FuzzTarget(name: "json", run: json),
        FuzzTarget(name: "extraction", run: extraction), FuzzTarget(name: "smtp", run: smtp),
        FuzzTarget(name: "gzip", run: gzip), FuzzTarget(name: "nquads", run: nquads), FuzzTarget(name: "jsonld", run: jsonld),
        FuzzTarget(name: "post", run: post), FuzzTarget(name: "template", run: template),
    ]

    /// Structure, and every body and text of it.
    @Sendable private static func message(_ bytes: [UInt8]) {
        let message = MIMEMessage(bytes)
        precondition(!message.parts.isEmpty)
        for part in message.parts {
            precondition(part.body.upperBound <= message.sources[part.source].count)
            _ = message.body(of: part)
            if part.kind == .leaf { _ = message.unwrappedText(of: part) }
            for field in message.header(of: part) { _ = field.text }
            _ = (part.fileName, part.path)
            checkType(of: part)
        }
    }

    /// One value read as everything a field can be.
    @Sendable private static func header(_ bytes: [UInt8]) {
        let value = bytes.map { $0 == 0x0A ? 0x20 : $0 }
        for name in ["Content-Type", "Content-Disposition", "Subject", "From", "Date", "Message-ID"] {
            let message = MIMEMessage(Array("\(name): ".utf8) + value + Array("\r\n\r\n".utf8))
            let fields = message.header
            _ = (fields.text(name), fields.addresses(name), fields.date, message.messageID)
            for part in message.parts {
                _ = part.fileName
                checkType(of: part)
            }
        }
    }

    /// What is read of a type in place is what reading the whole field gives.
    private static func checkType(of part: MIMEPart) {
        let type = part.mediaType
        precondition(part.typeName == type.name)
        precondition(part.charsetLabel == type["charset"])
    }

    @Sendable private static func html(_ bytes: [UInt8]) {
        var last = 0
        for script in ScriptScanner.scan(bytes).elements {
            precondition(script.content.upperBound <= bytes.count)
            // In svg and math a script may hold elements, also scripts.
            if script.namespace == .html {
                precondition(script.content.lowerBound >= last)
                last = script.content.upperBound
            }
            _ = ScriptScanner.text(of: script, in: bytes)
            _ = (script.type, script.attribute("data-hook-key"))
        }
        _ = HTMLCharset.label(of: bytes)
    }

    /// What is read can be written, and reads the same again.
    @Sendable private static func json(_ bytes: [UInt8]) {
        guard let document = try? JSONDocument(bytes) else { return }
        precondition((try? JSONDocument(JSONDocument.onOneLine(document.root.text))) != nil)
        walk(document.root)
    }

    private static func walk(_ value: JSONValue) {
        var open = [value]
        while let value = open.popLast() {
            _ = (value.string, value.number?.doubleValue, value.integerValue)
            open += value.elements
            open += value.members.map(\.value)
        }
    }

    @Sendable private static func extraction(_ bytes: [UInt8]) {
        let message = MIMEMessage(bytes)
        for mode in RepairMode.allCases {
            for candidate in DocumentFinder(repair: mode).candidates(in: message) {
                precondition((candidate.document == nil) != (candidate.failure == nil))
            }
        }
    }

    /// Unpacked data is never larger than the limits, whatever the file says.
    @Sendable private static func gzip(_ bytes: [UInt8]) {
        let limits = ExtractionLimits(documentSize: 1 << 16, decompressedSize: 1 << 16)
        for input in [bytes, [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3] + bytes] {
            guard let unpacked = try? Gunzip.unpack(input, limits: limits) else { continue }
            precondition(unpacked.count <= 1 << 16)
        }
    }

    /// The whole of a connection with all extensions, in pieces of a size the input chooses; replies are whole lines.
    /// The first octet is the size, the second switches, and the rest is also read as a PROXY header.
    @Sendable private static func smtp(_ bytes: [UInt8]) {
        guard bytes.count > 2 else { return }
        proxyHeader(bytes[2...])
        let switches = bytes[1]
        var configuration = SMTPServerConfiguration(
            hostname: "fuzz.example", service: switches & 1 == 0 ? .smtp : .lmtp, messageSize: 4096)
        configuration.tls = switches & 2 == 0 ? .none : switches & 4 == 0 ? .offered : .required
        configuration.isSecured = switches & 8 != 0
        configuration.allowsXCLIENT = switches & 16 != 0
        configuration.bareNewline = switches & 32 == 0 ? .refuse : .normalize
        var session = SMTPServerSession(configuration: configuration)
        let piece = Int(bytes[0]) % 61 + 1
        var position = 2
        var output = session.takeOutput()
        while position < bytes.count {
            let end = min(position + piece, bytes.count)
            while position < end {
                var consumed = 0
                let action = bytes[position..<end].withUnsafeBytes { session.advance($0, consumed: &consumed) }
                position += consumed
                output += session.takeOutput()
                switch action {
                case .needInput: precondition(position == end)
                case .recipient(let path):
                    session.answerRecipient(path.hasPrefix("o") ? .otherHook : .accepted)
                case .message(let message):
                    precondition(message.bytes.count <= 4096 && !message.recipients.isEmpty)
                    session.answerMessage(message.recipients.map { _ in .init(250, "2.0.0", "Ok") })
                case .startTLS:
                    // All that came before the handshake is gone, and so is what it began.
                    precondition(position == end)
                    session.tlsStarted()
                    precondition(!session.isInTransaction && !session.isReadingLine)
                case .client(let client): session.answerClient(client.port == 25 ? .clientDenied : .accepted)
                case .close: return precondition(output.suffix(2) == [0x0D, 0x0A])
                }
            }
        }
    }

    /// A header is found with the same octets however many follow, and never in fewer.
    private static func proxyHeader(_ bytes: ArraySlice<UInt8>) {
        guard case .complete(let header, let consumed) = ProxyHeader.read(bytes) else { return }
        precondition(consumed <= 536 && consumed <= bytes.count)
        precondition(ProxyHeader.read(bytes.prefix(consumed)) == .complete(header, consumed: consumed))
        precondition(ProxyHeader.read(bytes.prefix(consumed - 1)) == .needsMore)
    }

    /// What is read and written reads the same again.
    @Sendable private static func nquads(_ bytes: [UInt8]) {
        guard let quads = try? NQuads.read(bytes) else { return }
        precondition((try? NQuads.read(NQuads.write(quads))) == quads)
        if quads.count < 50 { _ = try? DatasetCanonicalization.canonize(quads) }
    }

    @Sendable private static func jsonld(_ bytes: [UInt8]) {
        let processor = JSONLDProcessor()
        guard let expanded = try? processor.expand(.json(bytes)), let text = try? expanded.json() else { return }
        // What was written is JSON. (It need not expand again: a type that looks like a keyword becomes null.)
        precondition((try? JSONDocument(text)) != nil)
        _ = try? processor.compact(.json(bytes), context: Array("{\"@vocab\":\"http://schema.org/\"}".utf8))
        _ = try? processor.flatten(.json(bytes))
        _ = try? processor.toRDF(.json(bytes))
    }

    private static let mediaTypes = [
        "application/json", "application/x-www-form-urlencoded", "application/x-www-form-urlencoded; charset=iso-8859-1",
        "multipart/form-data; boundary=b", "multipart/form-data; boundary=\"b c\"", "text/xml; charset=utf-16", "text/plain",
        "application/ld+json", "application/json; charset=utf-16le", "multipart/form-data", "",
    ]

    /// A body of a post in a form that the first octet chooses: always JSON, an object or array, and not much larger than
    /// what came.
    @Sendable private static func post(_ bytes: [UInt8]) {
        guard let first = bytes.first else { return }
        let header = ReceivedPost.entityHeader(contentType: mediaTypes[Int(first) % mediaTypes.count])
        let payload = PostPayload(entity: header + bytes.dropFirst(), limits: ExtractionLimits())
        let document = try? JSONDocument(Array(payload.json), limits: JSONLimits(depth: 1024))
        precondition(document.map { $0.root.kind == .object || $0.root.kind == .array } == true)
        // A control character takes six, an octet of no charset three; a file has a frame.
        precondition(payload.json.count <= 600 * (bytes.count + 1))
    }

    /// A template and the data it is filled from, with a line feed between them.
    @Sendable private static func template(_ bytes: [UInt8]) {
        guard let end = bytes.firstIndex(of: 0x0A), let template = try? JSONDocument(Array(bytes[..<end])).root,
            let data = try? JSONDocument(Array(bytes[(end + 1)...])).root
        else { return }
        let compiled = TriggerTemplate(template)
        _ = compiled.references
        switch compiled.fill(from: .init(data: data, id: "evt_1", name: "a.b", createdAt: "2026-01-01T00:00:00Z")) {
        case .output(let output):
            precondition((try? JSONDocument(output, limits: JSONLimits(depth: 1024))) != nil)
            precondition(!output.contains(0x0A))
        case .tooCostly: break
        }
    }
}
