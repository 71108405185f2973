// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Second stage of the fast reader: walks over the entries of the first and checks them by the
// grammar of RFC 8259. It keeps no stack: an open array or object has in its token where the one
// around it stands. That something is wrong is all it says; the exact reader says what.

struct JSONTapeBuilder {
    enum Progress {
        /// More entries are needed.
        case unfinished
        case finished
        case failed
    }

    private let bytes: UnsafePointer<UInt8>
    /// Offset one past the text.
    private let end: Int
    private let depthLimit: Int
    /// Whether tokens are kept; else only the open containers are, and the tape is a stack.
    private let keepsTokens: Bool
    /// Tokens on the tape.
    private(set) var count = 0
    /// Open containers, and the tape index of the innermost.
    private var depth = 0
    private var container = 0
    /// What closes it.
    private var closer = UInt8(ascii: "]")
    /// Whether a comma or the end of the container is due.
    private var isAfterValue = false

    init(_ bytes: UnsafePointer<UInt8>, end: Int, depthLimit: Int, keepsTokens: Bool) {
        self.bytes = bytes
        self.end = end
        self.depthLimit = depthLimit
        self.keepsTokens = keepsTokens
    }

    /// The most entries that one value can take: name (two), colon, value (two), comma.
    static let lookahead = 6

    /// Reads entries while there are enough for a value, moves `entries` behind those that were used, and writes at
    /// most a token an entry. Only offsets in the text stand in the entries.
    mutating func read(
        _ entries: inout UnsafePointer<UInt32>, upTo bound: UnsafePointer<UInt32>, into tape: UnsafeMutablePointer<JSONToken>
    ) -> Progress {
        // Two copies of the walk, in which the question is answered. The state goes into variables, which stay in
        // registers.
        var walk = Walk(
            next: entries, bound: bound, lastStart: bound - Self.lookahead, tape: tape, token: tape + count, bytes: bytes, end: end, lastVector: end - 16, depthLimit: depthLimit,
            depth: depth, container: container, closer: closer)
        let progress =
            keepsTokens ? walk.run(step: 1, isAfterValue: &isAfterValue) : walk.run(step: 0, isAfterValue: &isAfterValue)
        entries = walk.next
        count = walk.token - tape
        depth = walk.depth
        container = walk.container
        closer = walk.closer
        return progress
    }
}

/// The walk over some entries.
private struct Walk {
    var next: UnsafePointer<UInt32>
    let bound: UnsafePointer<UInt32>
    /// The last place from which a whole value can be read.
    let lastStart: UnsafePointer<UInt32>
    let tape: UnsafeMutablePointer<JSONToken>
    /// Where the next token goes.
    var token: UnsafeMutablePointer<JSONToken>
    let bytes: UnsafePointer<UInt8>
    /// Offset one past the text, and the last from which 16 octets can be read.
    let end: Int
    let lastVector: Int
    let depthLimit: Int
    var depth: Int
    var container: Int
    var closer: UInt8

    /// `step` is how far a scalar's token moves the place for the next.
    @inline(__always)
    mutating func run(step: Int, isAfterValue: inout Bool) -> JSONTapeBuilder.Progress {
        var isCloserDue = isAfterValue
        if depth == 0 {
            guard next <= lastStart else { return .unfinished }
            let value = openRoot()
            if value == .none { return .failed }
            isCloserDue = value == .emptyContainer
        }
        while true {
            if !isCloserDue {
                guard next <= lastStart else {
                    isAfterValue = false
                    return .unfinished
                }
                switch readMember(step) {
                case .scalar where bytes[Int(next[0])] == UInt8(ascii: ","):
                    next += 1
                    continue
                case .container: continue
                case .scalar, .emptyContainer: break
                case .none: return .failed
                }
            }
            // Ends of containers, up to a comma.
            isCloserDue = true
            while isCloserDue {
                guard next < bound else {
                    isAfterValue = true
                    return .unfinished
                }
                let offset = Int(next[0])
                let octet = bytes[offset]
                next += 1
                if octet == UInt8(ascii: ",") {
                    isCloserDue = false
                } else {
                    guard octet == closer else { return .failed }
                    close(at: offset, step)
                    if depth == 0 { return .finished }
                }
            }
        }
    }

    private enum Value {
        case scalar
        /// An array or object with something in it.
        case container
        case emptyContainer
        case none
    }

    private mutating func openRoot() -> Value {
        let octet = bytes[Int(next[0])]
        guard octet | 0x20 == UInt8(ascii: "{") else { return .none }
        return open(Int(next[0]), octet)
    }

    /// A member or an element.
    @inline(__always)
    private mutating func readMember(_ step: Int) -> Value {
        if closer == UInt8(ascii: "}") {
            let name = next[0]
            // Marks that open and close a string are always used together: then the entry of a closing mark, which may
            // bear the flag, is never taken for an offset.
            guard bytes[Int(name)] == UInt8(ascii: "\""), bytes[Int(next[2])] == UInt8(ascii: ":") else { return .none }
            appendString(from: name, to: next[1], step)
            next += 3
        }
        let start = next[0]
        let octet = bytes[Int(start)]
        if octet == UInt8(ascii: "\"") {
            appendString(from: start, to: next[1], step)
            next += 2
            return .scalar
        }
        if octet < UInt8(ascii: ":") {
            // A minus, a digit, or something that is no number, which is found out there.
            let length = numberLength(Int(start), octet, upTo: Int(next[1]))
            guard length > 0 else { return .none }
            append(.number, start, UInt32(truncatingIfNeeded: length), step)
            next += 1
            return .scalar
        }
        return octet | 0x20 == UInt8(ascii: "{") ? open(Int(start), octet) : readLiteral(Int(start), octet, step)
    }

    @inline(__always)
    private mutating func readLiteral(_ start: Int, _ octet: UInt8, _ step: Int) -> Value {
        let kind: JSONToken.Kind
        let word: UInt32
        switch octet {
        case UInt8(ascii: "t"): (kind, word) = (.true, 0x6575_7274)
        case UInt8(ascii: "f"): (kind, word) = (.false, 0x6573_6C61)
        case UInt8(ascii: "n"): (kind, word) = (.null, 0x6C6C_756E)
        default: return .none
        }
        // The four octets to compare begin one later where there are five.
        let skipped = kind == .false ? 1 : 0
        let end = start &+ skipped &+ 4
        guard end < self.end else { return .none }
        let octets = UnsafeRawPointer(bytes + start + skipped).loadUnaligned(as: UInt32.self)
        // White space follows (the first stage has seen that it is no other control character), or the next entry.
        guard UInt32(littleEndian: octets) == word, end == Int(next[1]) || end < Int(next[1]) && bytes[end] <= 0x20 else {
            return .none
        }
        append(kind, UInt32(truncatingIfNeeded: start), UInt32(truncatingIfNeeded: skipped &+ 4), step)
        next += 1
        return .scalar
    }

    @inline(__always)
    private mutating func appendString(from start: UInt32, to closing: UInt32, _ step: Int) {
        // The flag for escapes in bit 31 of the closing mark's entry gets to bit 63, where tokens have it.
        append(.string, start, closing &- start &+ 1, step)
    }

    @inline(__always)
    private mutating func append(_ kind: JSONToken.Kind, _ start: UInt32, _ length: UInt32, _ step: Int) {
        // Kind and length are added in 32 bits, which is one instruction where they meet as constants.
        let upper = length &+ UInt32(truncatingIfNeeded: kind.rawValue) << 28
        token.pointee = JSONToken(bits: UInt64(upper) << 32 | UInt64(start))
        token += step
    }

    /// Opens an array or object.
    @inline(__always)
    private mutating func open(_ start: Int, _ octet: UInt8) -> Value {
        guard depth < depthLimit else { return .none }
        depth &+= 1
        closer = octet &+ 2
        token.pointee = JSONToken(octet == UInt8(ascii: "{") ? .object : .array, start: start, payload: container)
        container = index(of: token)
        token += 1
        next += 1
        return bytes[Int(next[0])] == closer ? .emptyContainer : .container
    }

    /// The distance to the beginning of the tape; it never points before it.
    @inline(__always)
    private func index(of token: UnsafeMutablePointer<JSONToken>) -> Int {
        Int(bitPattern: (UInt(bitPattern: token) &- UInt(bitPattern: tape)) / UInt(MemoryLayout<JSONToken>.stride))
    }

    @inline(__always)
    private mutating func close(at offset: Int, _ step: Int) {
        let opening = tape[container]
        if step == 1 {
            token.pointee = JSONToken(.end, start: offset, payload: container)
            token += 1
            let count = UInt64(truncatingIfNeeded: index(of: token))
            tape[container] = JSONToken(bits: opening.bits & ~(JSONToken.payloadMask << 32) | count << 32)
        } else {
            token = tape + container
        }
        // The root's parent is the root itself; nothing asks for its kind.
        container = opening.payload
        closer = UInt8(ascii: "}") &- UInt8(truncatingIfNeeded: tape[container].kindBits << 5)
        depth &-= 1
    }
}

extension Walk {
    /// The length of the number at `start`, or 0 if it is none. `bound` is the next entry.
    @inline(__always)
    private func numberLength(_ start: Int, _ first: UInt8, upTo bound: Int) -> Int {
        guard start <= lastVector else { return Self.longNumberLength(bytes, start, upTo: bound) }
        let length = UInt64(truncatingIfNeeded: bound &- start)
        // Digits, and at most one point with digits on both sides: a bit for each octet, no branch but the last. Bits
        // beyond the sixteenth are never digits; lengths of 64 and more are asked about apart.
        let digits = UInt64(JSONBlock.digits(in: bytes + start))
        let points = UInt64(JSONBlock.points(in: bytes + start))
        let sign: UInt64 = first == UInt8(ascii: "-") ? 1 : 0
        let inside = (1 &<< length) &- 1
        let others = inside & ~(digits | sign)
        let firstDigit = sign &+ 1
        let lastDigit = inside &- inside >> 1
        let isZeroFirst: UInt64 = bytes[start &+ Int(sign)] == UInt8(ascii: "0") ? ~0 : 0
        var wrong = (firstDigit | lastDigit) & ~digits | length >> 6
        wrong |= others & ~points | others & (others &- 1)
        wrong |= isZeroFirst & digits & (firstDigit << 1)
        return wrong == 0 ? Int(truncatingIfNeeded: length) : Self.longNumberLength(bytes, start, upTo: bound)
    }

    /// The same for any number, octet by octet. RFC 8259 section 6. White space may follow up to the next entry.
    @inline(never)
    private static func longNumberLength(_ bytes: UnsafePointer<UInt8>, _ start: Int, upTo bound: Int) -> Int {
        guard bound > start else { return 0 }
        var position = start
        if bytes[position] == UInt8(ascii: "-") { position += 1 }
        let whole = skipDigits(bytes, &position, bound)
        guard whole > 0, whole == 1 || bytes[position - whole] != UInt8(ascii: "0") else { return 0 }
        if position < bound, bytes[position] == UInt8(ascii: ".") {
            position += 1
            guard skipDigits(bytes, &position, bound) > 0 else { return 0 }
        }
        if position < bound, bytes[position] | 0x20 == UInt8(ascii: "e") {
            position += 1
            if position < bound, bytes[position] == UInt8(ascii: "+") || bytes[position] == UInt8(ascii: "-") { position += 1 }
            guard skipDigits(bytes, &position, bound) > 0 else { return 0 }
        }
        return position == bound || bytes[position] <= 0x20 ? position - start : 0
    }

    private static func skipDigits(_ bytes: UnsafePointer<UInt8>, _ position: inout Int, _ bound: Int) -> Int {
        let start = position
        while position < bound, bytes[position] &- UInt8(ascii: "0") < 10 { position += 1 }
        return position - start
    }
}
