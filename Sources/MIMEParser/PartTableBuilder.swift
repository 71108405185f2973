// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Finds the parts of a message in one pass over its bytes. Iterative: the containers that are open lie on a stack, and
// each line that begins with two hyphens is compared with their boundaries. A message that is itself base64 or
// quoted-printable is decoded into a source of its own, which is read before the pass over the first goes on.

struct PartTableBuilder {
    private(set) var sources: [[UInt8]]
    private(set) var parts: [MIMEPart] = []
    private(set) var problems: [MIMEProblem] = []
    private let limits: MIMELimits
    private var open: [OpenPart] = []
    private var scans: [Scan] = []
    /// There are as many parts as there may be.
    private var isFull = false

    /// A part whose end has not been found.
    private struct OpenPart {
        var part: Int
        /// Of a multipart whose closing delimiter has not come yet.
        var boundary: Boundary?
        var children = 0
        /// A message that has to be decoded when its end is known.
        var isEncodedMessage = false
    }

    /// How far the pass over one source has come.
    private struct Scan {
        var source: Int
        var position: Int
        /// The position is where an entity begins; else it is at the beginning of a line of a body.
        var isAtEntity: Bool
        /// The parts in `open` from here on are of this source.
        var base: Int
    }

    init(_ bytes: [UInt8], limits: MIMELimits) {
        sources = [bytes]
        self.limits = limits
    }

    mutating func build() {
        if LineEnds.areCarriageReturnsAlone(sources[0]) {
            sources[0] = LineEnds.withLineFeeds(sources[0])
            note(.bareCarriageReturn, 0, at: 0)
        }
        scans = [Scan(source: 0, position: 0, isAtEntity: true, base: 0)]
        while let scan = scans.popLast() {
            let bytes = sources[scan.source]
            bytes.withUnsafeBufferPointer { run(scan, $0, bytes) }
        }
    }

    /// Goes over a source until its end, or until a message has to be decoded first: then the rest is put aside.
    private mutating func run(_ start: Scan, _ bytes: Bytes, _ source: [UInt8]) {
        var scan = start
        let end = bytes.count
        while true {
            if scan.isAtEntity {
                scan.isAtEntity = false
                guard let body = beginEntity(scan, bytes, source) else { return finish(&scan, bytes, end) }
                scan.position = body.position
                scan.isAtEntity = body.isEntity
                continue
            }
            guard let delimiter = nextDelimiter(bytes, scan.position, base: scan.base) else { return finish(&scan, bytes, end) }
            let contentEnd = HeaderScanner.withoutLineEnd(bytes, scan.position, delimiter.start)
            let level = delimiter.level
            if close(downTo: level + 1, at: max(contentEnd, 0), delimiter.start, &scan) { return }
            scan.position = delimiter.next
            if delimiter.isClosing {
                open[level].boundary = nil
            } else {
                open[level].children += 1
                scan.isAtEntity = true
            }
        }
    }

    // MARK: entities

    /// Reads the header of the entity at the position. Nil where there may be no more parts; else where to go on, and
    /// whether an entity begins there (the message in a message).
    private mutating func beginEntity(_ scan: Scan, _ bytes: Bytes, _ source: [UInt8]) -> (position: Int, isEntity: Bool)? {
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
            beginMultipart(&part, &entry, type.boundary)
        case .message: beginMessage(&part, &entry, bytes)
        case .other: break
        }
    }

    private mutating func beginMultipart(_ part: inout MIMEPart, _ entry: inout OpenPart, _ boundary: Boundary?) {
        guard let boundary else {
            note(.missingBoundaryParameter, part.source, at: part.header.lowerBound, isContentLost: true)
            return
        }
        guard mayContain(part) else { return }
        if part.encoding == .base64 || part.encoding == .quotedPrintable {
            note(.encodedContainer, part.source, at: part.header.lowerBound)
        }
        part.kind = .multipart
        entry.boundary = boundary
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
    private func path(of part: MIMEPart) -> String {
        guard let parent = part.parent else { return part.kind == .multipart ? "" : "1" }
        let above = parts[parent].path
        if parts[parent].kind == .message { return part.kind == .multipart ? above : "\(above).1" }
        let number = open.last?.children ?? 1
        return above.isEmpty ? "\(number)" : "\(above).\(number)"
    }

    // MARK: delimiters

    private struct Delimiter {
        /// Where the line begins, and the next one.
        var start: Int
        var next: Int
        /// Index in `open` of the multipart it belongs to.
        var level: Int
        var isClosing: Bool
    }

    /// The next delimiter line of one of the open multiparts, from the beginning of a line on.
    private func nextDelimiter(_ bytes: Bytes, _ start: Int, base: Int) -> Delimiter? {
        guard open[base...].contains(where: { $0.boundary != nil }) else { return nil }
        if matchesBoundary(bytes, start, base: base), let found = delimiter(bytes, start, base: base) { return found }
        var index = start
        while true {
            index = LineSearch.nextLine(bytes, from: index, bytes.count, first: .hyphen, second: .hyphen)
            guard index < bytes.count else { return nil }
            if let found = delimiter(bytes, index, base: base) { return found }
        }
    }

    private func matchesBoundary(_ bytes: Bytes, _ index: Int, base: Int) -> Bool {
        index + 2 < bytes.count && bytes[index] == .hyphen && bytes[index + 1] == .hyphen
            && delimiter(bytes, index, base: base) != nil
    }

    /// The delimiter in a line that begins with two hyphens. The whole line is compared first, innermost multipart
    /// first, so that of boundaries that begin alike the right one is found.
    ///
    /// QUIRK: by RFC 2046 section 5.1.1 it is enough that a line begins with the boundary. What follows it here must be
    /// blanks and may be text behind them, else a boundary that begins like another would end the wrong part.
    private func delimiter(_ bytes: Bytes, _ start: Int, base: Int) -> Delimiter? {
        let text = start + 2
        guard open[base...].contains(where: { $0.boundary?.isPrefix(of: bytes, at: text) ?? false }) else { return nil }
        let next = bytes.nextLine(text, bytes.count)
        let end = bytes.trimmed(text..<next).upperBound
        for isExact in [true, false] {
            for level in stride(from: open.count - 1, through: base, by: -1) {
                guard let boundary = open[level].boundary, boundary.isPrefix(of: bytes, at: text) else { continue }
                let rest = (text + boundary.count)..<max(end, text + boundary.count)
                guard rest.upperBound <= next, let kind = Boundary.kind(bytes, rest, isExact: isExact) else { continue }
                return Delimiter(start: start, next: next, level: level, isClosing: kind == .closing)
            }
        }
        return nil
    }

    // MARK: ends

    /// Ends the open parts from a level on. True where a message has to be decoded first: then the rest of the source is
    /// put aside, to go on at `resume`.
    private mutating func close(downTo level: Int, at end: Int, _ resume: Int, _ scan: inout Scan) -> Bool {
        while open.count > level {
            let entry = open[open.count - 1]
            let body = parts[entry.part].body
            parts[entry.part].body = body.lowerBound..<max(body.lowerBound, min(end, body.upperBound))
            if entry.isEncodedMessage {
                open[open.count - 1].isEncodedMessage = false
                scan.position = resume
                scans.append(scan)
                descend(into: entry.part)
                return true
            }
            if entry.boundary != nil, !isFull { endMultipart(entry, at: end) }
            if parts[entry.part].isText { noteFilesInText(parts[entry.part]) }
            open.removeLast()
        }
        return false
    }

    /// Files in a text that is not encoded: uuencode and yEnc are older ways than MIME to send them.
    private mutating func noteFilesInText(_ part: MIMEPart) {
        guard part.encoding == .sevenBit || part.encoding == .eightBit || part.encoding == .binary else { return }
        let found = part.bytes.withUnsafeBufferPointer { EmbeddedFileScanner.first($0, part.body) }
        guard let found else { return }
        note(found.form == .uuencode ? .uuencodedText : .yEncodedText, part.source, at: found.offset)
    }

    private mutating func endMultipart(_ entry: OpenPart, at end: Int) {
        let source = parts[entry.part].source
        guard entry.children == 0 else { return note(.missingEndBoundary, source, at: end) }
        note(.boundaryNotFound, source, at: parts[entry.part].body.lowerBound, isContentLost: true)
        parts[entry.part].kind = .leaf
        open.removeLast()
        parts[entry.part].path = path(of: parts[entry.part])
        open.append(entry)
    }

    private mutating func descend(into index: Int) {
        let part = parts[index]
        var decoded = part.bytes.withUnsafeBufferPointer { TransferDecoder.decode(Bytes(rebasing: $0[part.body]), part.encoding) }
        if LineEnds.areCarriageReturnsAlone(decoded) { decoded = LineEnds.withLineFeeds(decoded) }
        sources.append(decoded)
        scans.append(Scan(source: sources.count - 1, position: 0, isAtEntity: true, base: open.count))
    }

    private mutating func finish(_ scan: inout Scan, _ bytes: Bytes, _ end: Int) {
        _ = close(downTo: scan.base, at: end, end, &scan)
    }

    private mutating func note(_ code: MIMEProblem.Code, _ source: Int, at offset: Int, isContentLost: Bool = false) {
        guard problems.count < limits.problems else { return }
        problems.append(MIMEProblem(code: code, source: source, offset: offset, isContentLost: isContentLost))
    }
}
