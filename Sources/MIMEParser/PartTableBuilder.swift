// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Finds the parts of a message. Iterative: what is still to be looked at lies on a stack.

struct PartTableBuilder {
    private let limits: MIMELimits
    /// The next entity to look at is the last.
    private var pending: [Entity] = []

    /// A stretch of a source that begins with a header.
    private struct Entity {
        var source: Int
        var range: Range<Int>
        var parent: Int?
        var depth: Int
        /// Section number of the entity; for the body of a whole message, that of the message's part.
        var path: String
        /// The entity is a whole message, not a part of a multipart.
        var isMessage: Bool
        /// RFC 2046 section 5.1.5: parts of a digest are messages unless they say otherwise.
        var defaultType: MediaType
        var isAttached: Bool
    }

    init(limits: MIMELimits) { self.limits = limits }

    mutating func build(_ message: inout MIMEMessage) {
        let whole = message.sources[0].indices
        pending = [
            Entity(
                source: 0, range: Self.behindMailboxLine(message.sources[0], whole), parent: nil, depth: 0, path: "",
                isMessage: true, defaultType: .textPlain, isAttached: false)
        ]
        while let entity = pending.popLast() {
            guard message.parts.count < limits.parts else {
                note(.tooManyParts, at: entity.range.lowerBound, isContentLost: true, &message)
                return
            }
            add(entity, &message)
        }
    }

    /// An mbox `From ` line before the header is not part of the message (RFC 4155).
    private static func behindMailboxLine(_ bytes: [UInt8], _ range: Range<Int>) -> Range<Int> {
        guard bytes.starts(with: "From ".utf8) else { return range }
        return LineScanner.nextLine(bytes, range.lowerBound, range.upperBound)..<range.upperBound
    }

    private mutating func add(_ entity: Entity, _ message: inout MIMEMessage) {
        let (header, bodyStart, isTerminated) = HeaderScanner.section(
            message.sources[entity.source], entity.range, limit: limits.headerSize)
        if header.count >= limits.headerSize { note(.headerTooLarge, at: header.upperBound, isContentLost: true, &message) }
        if !isTerminated { note(.headerNotTerminated, at: header.upperBound, isContentLost: false, &message) }
        var part = part(entity, header, bodyStart..<entity.range.upperBound, &message)
        let index = message.parts.count
        if part.kind != .leaf, entity.depth >= limits.depth {
            note(.nestedTooDeeply, at: entity.range.lowerBound, isContentLost: true, &message)
            part.kind = .leaf
        }
        if part.kind == .multipart, part.mediaType.value["boundary"]?.isEmpty ?? true {
            note(.missingBoundaryParameter, at: header.lowerBound, isContentLost: true, &message)
            part.kind = .leaf
        }
        part.path = Self.path(of: entity, kind: part.kind)
        message.parts.append(part)
        switch part.kind {
        case .leaf: break
        case .multipart: pushChildren(of: part, at: index, entity, &message)
        case .message: pushMessage(in: part, at: index, entity, &message)
        }
    }

    private func part(
        _ entity: Entity, _ header: Range<Int>, _ body: Range<Int>, _ message: inout MIMEMessage
    ) -> MIMEPart {
        let fields = HeaderFields(message.sources[entity.source], header)
        let types = fields.rawValues("content-type")
        let encodings = fields.rawValues("content-transfer-encoding")
        for values in [types, encodings] where Set(values).count > 1 {
            note(.ambiguousHeader, at: header.lowerBound, isContentLost: false, &message)
        }
        let named = types.first.flatMap { MediaType(ParameterizedValue($0)) }
        let mediaType = named ?? entity.defaultType
        var part = MIMEPart(
            parent: entity.parent, depth: entity.depth, path: "", kind: .leaf, source: entity.source, header: header,
            body: body, mediaType: mediaType, isTypeNamed: named != nil, encoding: .sevenBit,
            disposition: fields.rawValue("content-disposition").map { ParameterizedValue($0) },
            isAttached: entity.isAttached)
        if let encoding = encodings.first {
            part.encoding = Self.encoding(encoding)
            if part.encoding == .unknown { note(.unknownEncoding, at: header.lowerBound, isContentLost: false, &message) }
        }
        part.kind = Self.kind(of: mediaType)
        return part
    }

    private static func kind(of type: MediaType) -> MIMEPart.Kind {
        if type.type == "multipart" { return .multipart }
        return ["message/rfc822", "message/global", "message/news"].contains(type.name) ? .message : .leaf
    }

    // RFC 2045 section 6.1: mechanism, without regard to case. Comments and white space around it occur.
    private static func encoding(_ value: String) -> TransferEncoding {
        let word = ParameterizedValue(value).value
        return TransferEncoding(rawValue: word) ?? (word.isEmpty ? .sevenBit : .unknown)
    }

    /// A multipart that is the body of a whole message has that message's number; a single body has `.1` below it.
    private static func path(of entity: Entity, kind: MIMEPart.Kind) -> String {
        guard entity.isMessage else { return entity.path }
        if kind == .multipart { return entity.path }
        return entity.path.isEmpty ? "1" : "\(entity.path).1"
    }

    private mutating func pushChildren(of part: MIMEPart, at index: Int, _ entity: Entity, _ message: inout MIMEMessage) {
        let room = max(0, limits.parts - message.parts.count) + 1
        let found = BoundaryScanner.split(
            message.sources[part.source], part.body, boundary: Array((part.mediaType.value["boundary"] ?? "").utf8),
            limit: room)
        if !found.isTerminated { note(.missingEndBoundary, at: part.body.upperBound, isContentLost: false, &message) }
        let children = found.parts.enumerated().map { number, range in
            Entity(
                source: part.source, range: range, parent: index, depth: entity.depth + 1,
                path: part.path.isEmpty ? "\(number + 1)" : "\(part.path).\(number + 1)", isMessage: false,
                defaultType: part.mediaType.name == "multipart/digest" ? .messageRFC822 : .textPlain,
                isAttached: entity.isAttached)
        }
        pending += children.reversed()
    }

    /// RFC 2046 section 5.2.1 allows no encoding here; senders use base64 and quoted-printable all the same.
    private mutating func pushMessage(in part: MIMEPart, at index: Int, _ entity: Entity, _ message: inout MIMEMessage) {
        var source = part.source
        var range = part.body
        if part.encoding == .base64 || part.encoding == .quotedPrintable {
            message.sources.append(message.body(of: part))
            source = message.sources.count - 1
            range = message.sources[source].indices
        }
        pending.append(
            Entity(
                source: source, range: Self.behindMailboxLine(message.sources[source], range), parent: index,
                depth: entity.depth + 1, path: part.path, isMessage: true, defaultType: .textPlain, isAttached: true))
    }

    private func note(_ code: MIMEProblem.Code, at offset: Int, isContentLost: Bool, _ message: inout MIMEMessage) {
        guard message.problems.count < limits.problems else { return }
        message.problems.append(MIMEProblem(code: code, offset: offset, isContentLost: isContentLost))
    }
}
