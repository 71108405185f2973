// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Finds the documents of a message by the rules of the extraction contract: JSON parts, JSON
// files, the text body, script elements of HTML, gzip files; in attached messages too. What
// looks like a document and is none becomes a candidate with a failure.

import HookModel
import HTMLScripts
import JSONLD
public import MIMEParser

/// Whether broken JSON is mended.
public enum RepairMode: String, Sendable, Hashable, CaseIterable {
    case off
    /// Every kind of `JSONRepair` may be used.
    case on
}

public struct DocumentFinder: Sendable {
    private let limits: ExtractionLimits
    private let repair: RepairMode

    public init(limits: ExtractionLimits = ExtractionLimits(), repair: RepairMode = .off) {
        self.limits = limits
        self.repair = repair
    }

    /// All candidates, depth first, in the order of the parts and of the scripts in them.
    public func candidates(in message: MIMEMessage) -> [Candidate] {
        var found: [Candidate] = []
        for index in message.parts.indices where message.parts[index].kind == .leaf {
            guard found.count <= limits.documents else { break }
            addCandidates(of: index, in: message, to: &found)
        }
        guard found.count > limits.documents else { return found }
        found.removeSubrange((limits.documents + 1)...)
        found[limits.documents].content = .failure(
            DocumentFailure(.limit, "the message holds more than \(limits.documents) documents"))
        return found
    }

    private func addCandidates(of index: Int, in message: MIMEMessage, to found: inout [Candidate]) {
        let part = message.parts[index]
        switch PartRule(part) {
        case .none: break
        case .json(let kind, let source, let isMislabelled):
            var candidate = Self.candidate(part, kind, source: source, isMislabelled: isMislabelled)
            if kind == .jsonLD { candidate.placement = Self.placement(of: index, in: message) }
            (candidate.content, candidate.repairs) = jsonPart(part, message)
            found.append(candidate)
        case .gzip(let kind, let source):
            var candidate = Self.candidate(part, kind, source: source, isMislabelled: false)
            (candidate.content, candidate.repairs) = gzipPart(part, message)
            found.append(candidate)
        case .text:
            guard let document = textBody(part, message) else { return }
            var candidate = Self.candidate(part, .json, source: .body, isMislabelled: false)
            candidate.origin = .body
            candidate.content = .document(document)
            found.append(candidate)
        case .html: addScripts(of: part, in: message, to: &found)
        }
    }

    private static func candidate(
        _ part: MIMEPart, _ kind: Candidate.Kind, source: DocumentSources, isMislabelled: Bool
    ) -> Candidate {
        Candidate(
            path: part.path, index: 0, kind: kind, origin: .part, source: source, fileName: part.fileName,
            isAttached: part.isAttached, key: nil, isMislabelled: isMislabelled, placement: nil, repairs: [],
            content: .failure(DocumentFailure(.invalidJSON, "")))
    }

    // MARK: - Parts

    private func jsonPart(_ part: MIMEPart, _ message: MIMEMessage) -> (Candidate.Content, [JSONRepair]) {
        if Self.isPacked(part, message) { return gzipPart(part, message) }
        if part.encoding.isIdentity, part.typeName != "text/plain", !Self.mayBeWide(message.encodedBody(of: part)) {
            // Read where it stands in the message.
            return document(message.sources[part.source], in: part.body)
        }
        // Four octets for each of the text: UTF-32, which becomes shorter.
        let (body, isCut) = decodedBody(part, message, limit: limits.documentSize * 4)
        guard !isCut else {
            return (.failure(DocumentFailure(.limit, "is larger than \(limits.documentSize) octets")), [])
        }
        if let label = Self.wideEncoding(body, charset: part.charsetLabel) {
            return document(Charset.utf8(body, label: label))
        }
        // The charset parameter has no meaning for JSON types (RFC 8259 section 11), but it has for text/plain.
        if part.typeName == "text/plain" { return document(message.text(of: part)) }
        return document(body)
    }

    /// Content-Encoding is a field of HTTP (RFC 9110 section 8.4); programs that write both put it into mail as well.
    private static func isPacked(_ part: MIMEPart, _ message: MIMEMessage) -> Bool {
        guard let value = message.header(of: part).rawValue("content-encoding") else { return false }
        return ["gzip", "x-gzip"].contains(value.lowercased().trimmed)
    }

    /// UTF-8 without a NUL or a byte order mark in its first octets is what it seems to be.
    private static func mayBeWide(_ body: ArraySlice<UInt8>) -> Bool {
        body.prefix(4).contains { $0 == 0 || $0 >= 0xFE }
    }

    /// UTF-16 and UTF-32, which JSON no longer allows, but senders still write: told by the byte order mark, or by
    /// the charset where the octets agree.
    private static func wideEncoding(_ body: [UInt8], charset: String?) -> String? {
        if body.starts(with: [0xFF, 0xFE, 0x00, 0x00]) { return "utf-32le" }
        if body.starts(with: [0xFF, 0xFE]) { return "utf-16le" }
        if body.starts(with: [0xFE, 0xFF]) { return "utf-16be" }
        // Without a mark: JSON begins with ASCII, so every second octet of the beginning is NUL (RFC 4627 section 3).
        guard body.count >= 4, charset?.lowercased().hasPrefix("utf-16") ?? false else { return nil }
        if body[0] == 0, body[1] != 0 { return "utf-16be" }
        return body[0] != 0 && body[1] == 0 ? "utf-16le" : nil
    }

    private func gzipPart(_ part: MIMEPart, _ message: MIMEMessage) -> (Candidate.Content, [JSONRepair]) {
        do throws(Gunzip.Failure) {
            return document(try Gunzip.unpack(message.body(of: part), limits: limits))
        } catch {
            let failure: DocumentFailure =
                switch error {
                case .notGzip: DocumentFailure(.decompress, "is no gzip file")
                case .damaged: DocumentFailure(.decompress, "the gzip file is damaged")
                case .truncated: DocumentFailure(.decompress, "the gzip file is cut off")
                case .noMemory: DocumentFailure(.decompress, "no memory to unpack it")
                case .tooLarge:
                    DocumentFailure(
                        .limit, "unpacks to more than \(min(limits.decompressedSize, limits.documentSize)) octets")
                case .ratio:
                    DocumentFailure(.limit, "unpacks to more than \(limits.decompressionRatio) times its size")
                }
            return (.failure(failure), [])
        }
    }

    /// Rule 3: the whole text is one object or array. Other text is text, not a failure.
    private func textBody(_ part: MIMEPart, _ message: MIMEMessage) -> JSONDocument? {
        guard part.body.count <= limits.documentSize * 4 else { return nil }
        // Most text is prose: its first character tells, before the whole is decoded and unwrapped.
        if let start = message.textStart(of: part, limit: 512), Self.looksLikeJSON(start.dropLast(8)) == false { return nil }
        guard Self.looksLikeJSON(message.text(of: part)[...]) == true else { return nil }
        let plain = message.unwrappedText(of: part)
        guard plain.count <= limits.documentSize, let document = try? JSONDocument(plain, limits: jsonLimits)
        else { return nil }
        return document.root.kind == .object || document.root.kind == .array ? document : nil
    }

    /// Nil where there is nothing but white space.
    private static func looksLikeJSON(_ text: ArraySlice<UInt8>) -> Bool? {
        let start = text.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
        let first = text.dropFirst(start).first { $0 != 0x20 && $0 != 0x09 && $0 != 0x0A && $0 != 0x0D }
        return first.map { $0 == UInt8(ascii: "{") || $0 == UInt8(ascii: "[") }
    }

    // MARK: - Scripts

    /// An HTML part in UTF-8: all of `bytes`, or where it stands in the message.
    private struct HTMLText {
        let bytes: [UInt8]
        let range: Range<Int>
        /// Only the beginning of the part.
        var isCut = false

        func withUnsafeBytes<Result>(_ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result {
            bytes.withUnsafeBufferPointer { body(UnsafeBufferPointer(rebasing: $0[range])) }
        }

        /// Where the content of one of its scripts stands in `bytes`.
        func place(of script: ScriptElement) -> Range<Int> {
            range.lowerBound + script.content.lowerBound..<range.lowerBound + script.content.upperBound
        }
    }

    private func addScripts(of part: MIMEPart, in message: MIMEMessage, to found: inout [Candidate]) {
        let html = htmlText(part, message)
        let scan = html.withUnsafeBytes { ScriptScanner.scan($0) }
        var index = 0
        for script in scan.elements {
            guard let type = ScriptType(type: script.type, language: script.attribute("language")) else { continue }
            defer { index += 1 }
            guard html.bytes[html.place(of: script)].contains(where: { !Self.isHTMLSpace($0) }) else { continue }
            var candidate = Self.candidate(part, type.kind, source: .scripts, isMislabelled: type.isMislabelled)
            candidate.origin = .script
            candidate.index = index
            candidate.fileName = nil
            candidate.key = script.attribute("data-kustomer-key") ?? script.attribute("data-hook-key")
            (candidate.content, candidate.repairs) = scriptText(script, in: html)
            found.append(candidate)
            guard found.count <= limits.documents else { return }
        }
        let isIncomplete = scan.problems.contains { $0.code == .scriptLimit || $0.code == .depthLimit }
        guard html.isCut || isIncomplete else { return }
        var rest = Self.candidate(part, .json, source: .scripts, isMislabelled: false)
        rest.origin = .script
        rest.index = index
        rest.content = .failure(
            DocumentFailure(
                .limit,
                html.isCut
                    ? "only the first \(limits.htmlSize) octets of an HTML part are looked at"
                    : "the HTML holds more scripts, or is nested deeper, than is looked at"))
        found.append(rest)
    }

    private static func isHTMLSpace(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0C || byte == 0x0D
    }

    private func scriptText(_ script: ScriptElement, in html: HTMLText) -> (Candidate.Content, [JSONRepair]) {
        // Inside of svg and math the content is markup, with references and CDATA sections.
        guard script.namespace == .html else {
            return document(html.withUnsafeBytes { ScriptScanner.text(of: script, in: $0) })
        }
        let place = html.place(of: script)
        let result = document(html.bytes, in: place)
        guard case .failure = result.0, let bare = JSONRepair.withoutSections(Array(html.bytes[place])) else {
            return result
        }
        let (content, repairs) = document(bare)
        return (content, [.cdataWrapper] + repairs.filter { $0 != .cdataWrapper })
    }

    /// WHATWG HTML section 13.2.3.2, with the MIME parameter as the transport's word.
    private func htmlText(_ part: MIMEPart, _ message: MIMEMessage) -> HTMLText {
        let parameter = part.charsetLabel.flatMap { $0.isEmpty ? nil : $0 }
        if part.encoding.isIdentity, part.body.count <= limits.htmlSize {
            let whole = HTMLText(bytes: message.sources[part.source], range: part.body)
            let isUTF8 = whole.withUnsafeBytes {
                Charset.isUTF8($0, label: parameter ?? HTMLCharset.label(of: $0).label)
            }
            if isUTF8 { return whole }
        }
        let (body, isCut) = decodedBody(part, message, limit: limits.htmlSize)
        let text = Charset.utf8(body, label: parameter ?? HTMLCharset.label(of: body).label)
        return HTMLText(bytes: text, range: 0..<text.count, isCut: isCut)
    }

    /// A body with its transfer encoding removed. One that may pass `limit` is decoded no further than that: a large
    /// part costs no more memory than what is looked at.
    private func decodedBody(_ part: MIMEPart, _ message: MIMEMessage, limit: Int) -> (octets: [UInt8], isCut: Bool) {
        part.body.count <= limit ? (message.body(of: part), false) : message.body(of: part, limit: limit)
    }

    // MARK: - Documents

    private var jsonLimits: JSONLimits { JSONLimits(depth: limits.depth, size: limits.documentSize) }

    private func document(_ bytes: [UInt8]) -> (Candidate.Content, [JSONRepair]) {
        document(bytes, in: 0..<bytes.count)
    }

    /// The document that fills `range`; the buffer is shared, not copied.
    private func document(_ bytes: [UInt8], in range: Range<Int>) -> (Candidate.Content, [JSONRepair]) {
        do throws(JSONError) {
            return (.document(try JSONDocument(bytes, in: range, limits: jsonLimits)), [])
        } catch {
            if repair == .on, error.code != .tooLarge, error.code != .invalidUTF8,
                let mended = JSONRepair.mend(Array(bytes[range]), limits: jsonLimits)
            {
                return (.document(mended.document), mended.repairs)
            }
            return (.failure(failure(error, in: bytes[range])), [])
        }
    }

    private func failure(_ error: JSONError, in text: ArraySlice<UInt8>) -> DocumentFailure {
        let code: DocumentFailure.Code =
            switch error.code {
            case .tooLarge, .tooDeep: .limit
            case .invalidUTF8: .invalidEncoding
            case .unexpectedEnd, .unexpectedCharacter, .controlCharacter, .invalidEscape, .invalidNumber,
                .trailingContent, .duplicateName, .numberOutOfRange, .loneSurrogate:
                .invalidJSON
            }
        if error.code == .tooLarge { return DocumentFailure(code, "is larger than \(limits.documentSize) octets") }
        let (line, column) = JSONError(error.code, at: error.offset - text.startIndex).position(in: Array(text))
        return DocumentFailure(code, "\(error.code.rawValue), line \(line) column \(column)")
    }

    // draft-ietf-sml-structured-email sections 4.2 and 4.3.
    private static func placement(of index: Int, in message: MIMEMessage) -> Candidate.Placement? {
        let part = message.parts[index]
        let purpose = message.header(of: part).rawValue("content-purpose")?.lowercased().trimmed
        guard purpose == "machine-readable", let parent = part.parent else { return nil }
        switch message.parts[parent].typeName {
        case "multipart/alternative": return .full
        // The root is the first part unless `start` names another (RFC 2387 section 3.2); it is what people read.
        case "multipart/related": return index == parent + 1 ? .unrelated : .partial
        default: return .unrelated
        }
    }
}
