// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The header of an entity, and what becomes of the entity by it.

extension PartTableBuilder {
    /// Reads the header of the entity at the position. Nil where there may be no more parts; else where to go on, and
    /// whether an entity begins there (the message in a message).
    mutating func beginEntity(_ scan: Scan, _ bytes: Bytes, _ source: [UInt8]) -> (position: Int, isEntity: Bool)? {
        guard parts.count < limits.parts else {
            if !isFull { note(.tooManyParts, scan.source, at: scan.position, isContentLost: true) }
            isFull = true
            return nil
        }
        let parent = open.last?.part
        let isWhole = parent.map { parts[$0].kind == .message } ?? true
        let start = isWhole ? Self.behindMailboxLine(bytes, scan.position) : scan.position
        let facts = header(scan, bytes, start)
        var part = MIMEPart(
            parent: parent, depth: parent.map { parts[$0].depth + 1 } ?? 0, path: "", kind: .leaf, source: scan.source,
            header: start..<facts.end, body: facts.bodyStart..<bytes.count, encoding: .sevenBit, isTypeNamed: false,
            isAttached: parent.map { parts[$0].isAttached || parts[$0].kind == .message } ?? false, bytes: source,
            typeField: facts.type, dispositionField: facts.disposition,
            isInDigest: !isWhole && (parent.map { parts[$0].isDigest } ?? false))
        var entry = OpenPart(part: parts.count)
        setTypes(of: &part, &entry, facts, bytes)
        part.path = path(of: part)
        parts.append(part)
        open.append(entry)
        return (facts.bodyStart, part.kind == .message && !entry.isEncodedMessage)
    }

    /// An mbox `From ` line before the header is not part of the message (RFC 4155).
    private static func behindMailboxLine(_ bytes: Bytes, _ start: Int) -> Int {
        var start = start
        if start < bytes.count, bytes[start] == 0x3E { start += 1 }
        guard bytes.count - start >= 5, bytes[start] == 0x46, bytes[start + 1] == 0x72, bytes[start + 2] == 0x6F,
            bytes[start + 3] == 0x6D, bytes[start + 4] == .space
        else { return start }
        return bytes.nextLine(start, bytes.count)
    }

    /// What a header says of its body: ranges of the first field of each name.
    private struct HeaderFacts {
        var end = 0
        var bodyStart = 0
        var type: Range<Int>?
        var encoding: Range<Int>?
        var disposition: Range<Int>?
        private var own: Boundary?
        private var isOwnKnown = false

        /// The boundary the header names so far, read once: a header may have many lines that ask for it.
        mutating func ownBoundary(_ bytes: Bytes) -> Boundary? {
            if !isOwnKnown, let type {
                own = ContentTypeFacts(bytes, type, isInDigest: false).boundary
                isOwnKnown = true
            }
            return own
        }
    }

    private mutating func header(_ scan: Scan, _ bytes: Bytes, _ start: Int) -> HeaderFacts {
        var facts = HeaderFacts()
        var index = start
        var end: Int?
        while true {
            if end == nil, index - start >= limits.headerSize {
                end = index
                note(.headerTooLarge, scan.source, at: index, isContentLost: true)
            }
            if matchesBoundary(bytes, index, base: scan.base) {
                facts.bodyStart = index
                break
            }
            switch HeaderScanner.item(bytes, at: index, bytes.count) {
            case .field(let field, let next):
                if end == nil { take(field, &facts, scan.source, bytes) }
                index = next
                continue
            case .junk(let next):
                // The first delimiter of the multipart the header is of: the empty line is missing.
                if bytes[index] == .hyphen, let own = facts.ownBoundary(bytes), own.isDelimiter(bytes, at: index) {
                    facts.bodyStart = index
                    break
                }
                note(.malformedHeaderLine, scan.source, at: index)
                index = next
                continue
            case .end(let next): facts.bodyStart = next
            case .unterminated(let place):
                facts.bodyStart = place
                if place < bytes.count { note(.headerNotTerminated, scan.source, at: place) }
            }
            break
        }
        facts.end = end ?? index
        return facts
    }

    private mutating func take(_ field: FieldRange, _ facts: inout HeaderFacts, _ source: Int, _ bytes: Bytes) {
        guard bytes[field.name.lowerBound] | 0x20 == 0x63 else { return }
        switch field.name.count {
        case 12 where bytes.hasWord("content-type", at: field.name.lowerBound, field.name.upperBound):
            keep(field, &facts.type, source, bytes)
        case 25 where bytes.hasWord("content-transfer-encoding", at: field.name.lowerBound, field.name.upperBound):
            keep(field, &facts.encoding, source, bytes)
        case 19 where bytes.hasWord("content-disposition", at: field.name.lowerBound, field.name.upperBound):
            keep(field, &facts.disposition, source, bytes)
        default: break
        }
    }

    /// The first field of a name counts; another one with another value makes the header ambiguous.
    private mutating func keep(_ field: FieldRange, _ kept: inout Range<Int>?, _ source: Int, _ bytes: Bytes) {
        guard let first = kept else {
            kept = field.value
            return
        }
        let values = [first, field.value].map { HeaderText.unfolded(bytes, bytes.trimmed($0)) }
        if values[0] != values[1] { note(.ambiguousHeader, source, at: field.name.lowerBound) }
    }

    // MARK: types

    private mutating func setTypes(of part: inout MIMEPart, _ entry: inout OpenPart, _ facts: HeaderFacts, _ bytes: Bytes) {
        if let range = facts.encoding {
            part.encoding = TransferEncoding(bytes, range)
            if part.encoding == .unknown { note(.unknownEncoding, part.source, at: range.lowerBound) }
        }
        let isInDigest = part.isInDigest
        let type = facts.type.map { ContentTypeFacts(bytes, $0, isInDigest: isInDigest) } ?? .absent(isInDigest: isInDigest)
        part.isTypeNamed = type.isNamed
        if let range = facts.type {
            if type.isMalformed { note(.malformedContentType, part.source, at: range.lowerBound) }
            if type.isAmbiguous { note(.ambiguousHeader, part.source, at: range.lowerBound) }
            if type.charset == nil { note(.unknownCharset, part.source, at: range.lowerBound) }
        }
        switch type.kind {
        case .text:
            part.isTextType = true
            part.charset = type.charset ?? .unlabelled
        case .multipart, .digest:
            part.isDigest = type.kind == .digest
            beginMultipart(&part, &entry, type.boundary, bytes)
        case .message: beginMessage(&part, &entry, bytes)
        case .other: break
        }
    }

    private mutating func beginMultipart(
        _ part: inout MIMEPart, _ entry: inout OpenPart, _ boundary: Boundary?, _ bytes: Bytes
    ) {
        let isNamed = boundary != nil
        let boundary = boundary ?? Boundary(ofFirstDelimiterIn: bytes, part.body)
        if !isNamed {
            note(.missingBoundaryParameter, part.source, at: part.header.lowerBound, isContentLost: boundary == nil)
        }
        guard let boundary else { return }
        guard mayContain(part) else { return }
        if part.encoding == .base64 || part.encoding == .quotedPrintable {
            note(.encodedContainer, part.source, at: part.header.lowerBound)
        }
        part.kind = .multipart
        let end = open.last(where: { $0.boundary != nil })?.boundary?.upperBound ?? 0
        boundaries.removeSubrange(end...)
        boundaries += boundary.octets
        entry.boundary = end..<boundaries.count
    }

    /// RFC 2046 section 5.2.1 allows no encoding here; senders use base64 and quoted-printable all the same.
    private mutating func beginMessage(_ part: inout MIMEPart, _ entry: inout OpenPart, _ bytes: Bytes) {
        guard mayContain(part) else { return }
        part.kind = .message
        guard part.encoding == .base64 || part.encoding == .quotedPrintable else { return }
        note(.encodedContainer, part.source, at: part.header.lowerBound)
        let isPlain = part.encoding == .base64 && HeaderScanner.fieldName(bytes, part.body.lowerBound, bytes.count) != nil
        entry.isEncodedMessage = !isPlain
    }

    private mutating func mayContain(_ part: MIMEPart) -> Bool {
        if part.depth < limits.depth { return true }
        note(.nestedTooDeeply, part.source, at: part.header.lowerBound, isContentLost: true)
        return false
    }

    /// A multipart that is the body of a whole message has that message's number; a single body has `.1` below it.
    func path(of part: MIMEPart) -> String {
        guard let parent = part.parent else { return part.kind == .multipart ? "" : "1" }
        let above = parts[parent].path
        if parts[parent].kind == .message { return part.kind == .multipart ? above : "\(above).1" }
        let number = open.last?.children ?? 1
        return above.isEmpty ? "\(number)" : "\(above).\(number)"
    }
}
