// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The answer to one POST, read piece by piece (RFC 9112). What matters is the status, Retry-After, the first octets
// of the body for people, and where the answer ends. Pure; memory is bounded whatever the receiver sends.

/// Reads one answer. The receiver chooses every octet of it.
struct HTTPResponseParser {
    enum Progress: Hashable {
        case needsMore
        /// The answer is over. False where the connection cannot be used for another request.
        case complete(isReusable: Bool)
        /// What came is no HTTP answer.
        case malformed
        /// The connection ended inside of the answer.
        case truncated
    }

    /// Octets of status line, header section, chunk sizes and trailers together.
    static let headLimit = 16 * 1024
    /// Octets of the body that are read so that the connection can be used again. More ends the connection; the
    /// status counts all the same.
    static let bodyLimit = 64 * 1024
    /// Octets of the body that are kept.
    static let excerptLimit = 512

    private enum State {
        case statusLine
        case headerLine
        case sizedBody(left: Int)
        case chunkSize
        case chunk(left: Int)
        /// The line end after a chunk's data.
        case chunkEnd
        case trailerLine
        case bodyUntilEnd
        case over(Progress)
    }

    private(set) var status = 0
    private(set) var retryAfter: String?
    private(set) var excerpt: [UInt8] = []
    /// Whether anything came at all.
    private(set) var hasBegun = false

    private var state = State.statusLine
    private var line: [UInt8] = []
    private var headOctets = 0
    private var bodyOctets = 0
    private var isVersion10 = false
    private var contentLength: Int?
    private var isChunked = false
    private var hasTransferEncoding = false
    private var saysClose = false
    private var saysKeepAlive = false

    /// Reads the next octets from the connection.
    mutating func feed(_ bytes: UnsafeRawBufferPointer) -> Progress {
        if !bytes.isEmpty { hasBegun = true }
        var index = 0
        while index < bytes.count {
            switch state {
            case .over(let progress):
                // Octets behind the end belong to no request.
                if case .complete = progress { return .complete(isReusable: false) }
                return progress
            case .sizedBody(let left):
                let taken = take(bytes[index...].prefix(left))
                index += taken
                state = left == taken ? .over(.complete(isReusable: isReusable)) : .sizedBody(left: left - taken)
            case .chunk(let left):
                let taken = take(bytes[index...].prefix(left))
                index += taken
                state = left == taken ? .chunkEnd : .chunk(left: left - taken)
            case .bodyUntilEnd:
                index += take(bytes[index...])
            case .statusLine, .headerLine, .chunkSize, .chunkEnd, .trailerLine:
                let byte = bytes[index]
                index += 1
                headOctets += 1
                guard headOctets <= Self.headLimit else { return finish(.malformed) }
                if byte == 0x0A { readLine() } else { line.append(byte) }
            }
            if bodyOctets > Self.bodyLimit { return finish(.complete(isReusable: false)) }
        }
        if case .over(let progress) = state { return progress }
        return .needsMore
    }

    /// The connection has ended.
    mutating func end() -> Progress {
        switch state {
        case .over(let progress): return progress
        // RFC 9112 section 6.3: without a length the body ends with the connection.
        case .bodyUntilEnd: return finish(.complete(isReusable: false))
        default: return finish(.truncated)
        }
    }

    private mutating func finish(_ progress: Progress) -> Progress {
        state = .over(progress)
        return progress
    }

    private mutating func take(_ piece: Slice<UnsafeRawBufferPointer>) -> Int {
        let room = Self.excerptLimit - excerpt.count
        if room > 0 { excerpt.append(contentsOf: piece.prefix(room)) }
        bodyOctets += piece.count
        return piece.count
    }

    private var isReusable: Bool { !saysClose && (!isVersion10 || saysKeepAlive) && !(isChunked && contentLength != nil) }

    // RFC 9112 section 2.2: a recipient may take a lone LF for the end of a line.
    private mutating func readLine() {
        if line.last == 0x0D { line.removeLast() }
        switch state {
        case .statusLine: readStatusLine()
        case .headerLine: line.isEmpty ? endOfHeader() : readField()
        case .chunkSize: readChunkSize()
        case .chunkEnd: state = line.isEmpty ? .chunkSize : .over(.malformed)
        case .trailerLine: if line.isEmpty { state = .over(.complete(isReusable: isReusable)) }
        case .sizedBody, .chunk, .bodyUntilEnd, .over: break
        }
        line.removeAll(keepingCapacity: true)
    }

    // RFC 9112 section 4: status-line = HTTP-version SP status-code SP [ reason-phrase ]
    private mutating func readStatusLine() {
        guard line.count >= 12, line.starts(with: "HTTP/1.".utf8), line[7] == 0x30 || line[7] == 0x31, line[8] == 0x20,
            line.count == 12 || line[12] == 0x20, let code = Self.number(line[9..<12], limit: 599), code >= 100
        else { return state = .over(.malformed) }
        status = code
        isVersion10 = line[7] == 0x30
        state = .headerLine
    }

    private mutating func readField() {
        // RFC 9112 section 5.2: a folded line carries on the field before; none of ours are folded.
        if line[0] == 0x20 || line[0] == 0x09 { return }
        guard let colon = line.firstIndex(of: 0x3A), colon > 0 else { return state = .over(.malformed) }
        let name = String(decoding: line[..<colon], as: UTF8.self).lowercased()
        let value = Self.trimmed(line[(colon + 1)...])
        switch name {
        case "content-length":
            let length = Self.number(value, limit: 1 << 50)
            guard let length, contentLength == nil || contentLength == length else { return state = .over(.malformed) }
            contentLength = length
        case "transfer-encoding":
            hasTransferEncoding = true
            isChunked = Self.words(value).last == "chunked"
        case "connection":
            saysClose = saysClose || Self.words(value).contains("close")
            saysKeepAlive = saysKeepAlive || Self.words(value).contains("keep-alive")
        case "retry-after": retryAfter = retryAfter ?? String(decoding: value, as: UTF8.self)
        default: break
        }
    }

    private mutating func endOfHeader() {
        // RFC 9110 section 15.2: an interim answer; the final one follows. We never ask to switch protocols.
        if status < 200 {
            if status == 101 { return state = .over(.malformed) }
            (contentLength, isChunked, hasTransferEncoding, saysClose, saysKeepAlive) = (nil, false, false, false, false)
            retryAfter = nil
            return state = .statusLine
        }
        // RFC 9112 section 6.3
        if status == 204 || status == 304 {
            state = .over(.complete(isReusable: isReusable))
        } else if hasTransferEncoding {
            state = isChunked ? .chunkSize : .bodyUntilEnd
        } else if let contentLength {
            state = contentLength == 0 ? .over(.complete(isReusable: isReusable)) : .sizedBody(left: contentLength)
        } else {
            state = .bodyUntilEnd
        }
    }

    // RFC 9112 section 7.1: chunk = chunk-size [ chunk-ext ] CRLF
    private mutating func readChunkSize() {
        let digits = line.prefix { $0 != 0x3B && $0 != 0x20 && $0 != 0x09 }
        guard (1...12).contains(digits.count), let size = Int(String(decoding: digits, as: UTF8.self), radix: 16), size >= 0,
            digits.first != 0x2B, digits.first != 0x2D
        else { return state = .over(.malformed) }
        state = size == 0 ? .trailerLine : .chunk(left: size)
    }

    private static func trimmed(_ value: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var value = value.drop { $0 == 0x20 || $0 == 0x09 }
        while let last = value.last, last == 0x20 || last == 0x09 { value.removeLast() }
        return value
    }

    private static func words(_ value: ArraySlice<UInt8>) -> [String] {
        value.split(separator: 0x2C).map { String(decoding: trimmed($0), as: UTF8.self).lowercased() }
    }

    private static func number(_ digits: ArraySlice<UInt8>, limit: Int) -> Int? {
        guard (1...16).contains(digits.count) else { return nil }
        var value = 0
        for digit in digits {
            guard (0x30...0x39).contains(digit) else { return nil }
            value = value * 10 + Int(digit - 0x30)
        }
        return value <= limit ? value : nil
    }
}
