// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Finds the parts of a message in one pass over its bytes. Iterative: the containers that are open lie on a stack, and
// each line that begins with two hyphens is compared with their boundaries. A message that is itself base64 or
// quoted-printable is decoded into a source of its own, which is read before the pass over the first goes on.

struct PartTableBuilder {
    private(set) var sources: [[UInt8]]
    var parts: [MIMEPart] = []
    private(set) var problems: [MIMEProblem] = []
    let limits: MIMELimits
    var open: [OpenPart] = []
    /// Octets of the boundaries of open multiparts, one behind the other. Whoever compares a line with all of them touches
    /// no reference count: a sender can make many lines that begin with two hyphens.
    var boundaries: [UInt8] = []
    var scans: [Scan] = []
    /// There are as many parts as there may be.
    var isFull = false

    /// A part whose end has not been found.
    struct OpenPart {
        var part: Int
        /// Of a multipart whose closing delimiter has not come yet: where in `boundaries` it stands.
        var boundary: Range<Int>?
        var children = 0
        /// A message that has to be decoded when its end is known.
        var isEncodedMessage = false
    }

    /// How far the pass over one source has come.
    struct Scan {
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
    mutating func run(_ start: Scan, _ bytes: Bytes, _ source: [UInt8]) {
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
            guard let delimiter = nextDelimiter(bytes, scan.position, base: scan.base) else {
                return finish(&scan, bytes, end)
            }
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

    // MARK: ends

    /// Ends the open parts from a level on. True where a message has to be decoded first: then the rest of the source is
    /// put aside, to go on at `resume`.
    mutating func close(downTo level: Int, at end: Int, _ resume: Int, _ scan: inout Scan) -> Bool {
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
    mutating func noteFilesInText(_ part: MIMEPart) {
        guard part.encoding == .sevenBit || part.encoding == .eightBit || part.encoding == .binary else { return }
        let found = part.bytes.withUnsafeBufferPointer { EmbeddedFileScanner.first($0, part.body) }
        guard let found else { return }
        note(found.form == .uuencode ? .uuencodedText : .yEncodedText, part.source, at: found.offset)
    }

    mutating func endMultipart(_ entry: OpenPart, at end: Int) {
        let source = parts[entry.part].source
        guard entry.children == 0 else { return note(.missingEndBoundary, source, at: end) }
        note(.boundaryNotFound, source, at: parts[entry.part].body.lowerBound, isContentLost: true)
        parts[entry.part].kind = .leaf
        open.removeLast()
        parts[entry.part].path = path(of: parts[entry.part])
        open.append(entry)
    }

    mutating func descend(into index: Int) {
        let part = parts[index]
        // Neither base64 nor quoted-printable can become longer by decoding.
        guard part.body.count <= limits.decodedMessages - sources.dropFirst().reduce(0, { $0 + $1.count }) else {
            return note(.messageNotDecoded, part.source, at: part.body.lowerBound, isContentLost: true)
        }
        var decoded = part.bytes.withUnsafeBufferPointer {
            TransferDecoder.decode(Bytes(rebasing: $0[part.body]), part.encoding)
        }
        if LineEnds.areCarriageReturnsAlone(decoded) { decoded = LineEnds.withLineFeeds(decoded) }
        sources.append(decoded)
        scans.append(Scan(source: sources.count - 1, position: 0, isAtEntity: true, base: open.count))
    }

    mutating func finish(_ scan: inout Scan, _ bytes: Bytes, _ end: Int) {
        _ = close(downTo: scan.base, at: end, end, &scan)
    }

    mutating func note(_ code: MIMEProblem.Code, _ source: Int, at offset: Int, isContentLost: Bool = false) {
        guard problems.count < limits.problems else { return }
        problems.append(MIMEProblem(code: code, source: source, offset: offset, isContentLost: isContentLost))
    }
}
