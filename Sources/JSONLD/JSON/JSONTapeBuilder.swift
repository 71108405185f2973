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

    /// Stands for the container around the root.
    private static let none = Int(JSONToken.payloadMask)

    private let bytes: UnsafePointer<UInt8>
    /// Offset one past the text.
    private let end: Int
    private let depthLimit: Int
    /// 1 where tokens are kept; 0 where only the open containers are, so that the tape is a stack.
    private let step: Int

    private(set) var count = 0
    private var container = JSONTapeBuilder.none
    private var depth = 0
    private var inObject = false
    /// Whether a comma or the end of a container is due.
    private var isAfterValue = false

    init(_ bytes: UnsafePointer<UInt8>, end: Int, depthLimit: Int, keepsTokens: Bool) {
        self.bytes = bytes
        self.end = end
        self.depthLimit = depthLimit
        step = keepsTokens ? 1 : 0
    }

    /// The most entries that one value can take: name, colon, value and comma.
    static let lookahead = 6

    /// Reads entries while there are enough for a value, moves `entries` behind those that were used, and writes at
    /// most a token an entry. Only offsets in the text stand in the entries.
    mutating func read(
        _ entries: inout UnsafePointer<UInt32>, upTo bound: UnsafePointer<UInt32>, into tape: UnsafeMutablePointer<JSONToken>
    ) -> Progress {
        var state = self
        var next = entries
        var progress = Progress.unfinished
        if state.depth == 0 {
            guard next + Self.lookahead <= bound else { return .unfinished }
            progress = state.openRoot(&next, tape)
        }
        while progress == .unfinished {
            if state.isAfterValue {
                guard next < bound else { break }
                progress = state.readSeparator(&next, tape)
            } else {
                guard next + Self.lookahead <= bound else { break }
                progress = state.readValue(&next, tape)
            }
        }
        self = state
        entries = next
        return progress
    }

    @inline(__always)
    private mutating func openRoot(_ next: inout UnsafePointer<UInt32>, _ tape: UnsafeMutablePointer<JSONToken>) -> Progress {
        let start = Int(next[0])
        guard bytes[start] == UInt8(ascii: "{") || bytes[start] == UInt8(ascii: "[") else { return .failed }
        next += 1
        return open(start, bytes[start], &next, tape) ? .unfinished : .failed
    }

    /// A comma, or the end of the container.
    @inline(__always)
    private mutating func readSeparator(_ next: inout UnsafePointer<UInt32>, _ tape: UnsafeMutablePointer<JSONToken>) -> Progress {
        let offset = Int(next[0])
        let octet = bytes[offset]
        next += 1
        if octet == UInt8(ascii: ",") {
            isAfterValue = false
            return .unfinished
        }
        guard octet == (inObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) else { return .failed }
        close(at: offset, tape)
        return container == Self.none ? .finished : .unfinished
    }

    /// An element, or a member.
    @inline(__always)
    private mutating func readValue(_ next: inout UnsafePointer<UInt32>, _ tape: UnsafeMutablePointer<JSONToken>) -> Progress {
        if inObject {
            let name = next[0]
            // Marks that open and close a string are always used together: then the entry of a closing mark, which may
            // bear the flag, is never taken for an offset.
            guard bytes[Int(name)] == UInt8(ascii: "\""), bytes[Int(next[2])] == UInt8(ascii: ":") else { return .failed }
            appendString(from: name, to: next[1], tape)
            next += 3
        }
        let start = next[0]
        let octet = bytes[Int(start)]
        isAfterValue = true
        switch octet {
        case UInt8(ascii: "\""):
            appendString(from: start, to: next[1], tape)
            next += 2
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            let length = numberLength(Int(start), octet, upTo: Int(next[1]))
            guard length > 0 else { return .failed }
            append(.number, start, length, tape)
            next += 1
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            next += 1
            return open(Int(start), octet, &next, tape) ? .unfinished : .failed
        case UInt8(ascii: "t"):
            guard isLiteral(0x6575_7274, Int(start), 4, upTo: Int(next[1])) else { return .failed }
            append(.true, start, 4, tape)
            next += 1
        case UInt8(ascii: "f"):
            guard isLiteral(0x6573_6C61, Int(start) + 1, 4, upTo: Int(next[1])) else { return .failed }
            append(.false, start, 5, tape)
            next += 1
        case UInt8(ascii: "n"):
            guard isLiteral(0x6C6C_756E, Int(start), 4, upTo: Int(next[1])) else { return .failed }
            append(.null, start, 4, tape)
            next += 1
        default:
            return .failed
        }
        return .unfinished
    }

    @inline(__always)
    private mutating func appendString(from start: UInt32, to closing: UInt32, _ tape: UnsafeMutablePointer<JSONToken>) {
        // The flag for escapes in bit 31 of the closing mark's entry gets to bit 63, where tokens have it.
        let length = closing &- start &+ 1
        tape[count] = JSONToken(
            bits: UInt64(start) | UInt64(length) << 32 | JSONToken.Kind.string.rawValue << JSONToken.kindShift)
        count &+= step
    }

    @inline(__always)
    private mutating func append(_ kind: JSONToken.Kind, _ start: UInt32, _ length: Int, _ tape: UnsafeMutablePointer<JSONToken>) {
        tape[count] = JSONToken(kind, start: Int(start), payload: length)
        count &+= step
    }

    /// Opens an array or object; closes it where nothing is in it.
    @inline(__always)
    private mutating func open(_ start: Int, _ octet: UInt8, _ next: inout UnsafePointer<UInt32>, _ tape: UnsafeMutablePointer<JSONToken>) -> Bool {
        guard depth < depthLimit else { return false }
        depth &+= 1
        inObject = octet == UInt8(ascii: "{")
        tape[count] = JSONToken(inObject ? .object : .array, start: start, payload: container)
        container = count
        count &+= 1
        isAfterValue = bytes[Int(next[0])] == octet &+ 2
        return true
    }

    @inline(__always)
    private mutating func close(at offset: Int, _ tape: UnsafeMutablePointer<JSONToken>) {
        let opening = tape[container]
        let parent = opening.payload
        if step == 1 {
            tape[count] = JSONToken(.end, start: offset, payload: container)
            count &+= 1
            tape[container] = JSONToken(
                bits: opening.bits & ~(JSONToken.payloadMask << 32) | UInt64(truncatingIfNeeded: count) << 32)
        } else {
            count = container
        }
        container = parent
        depth &-= 1
        // Around the root there is no token; its place holds none then, and nothing asks.
        if parent != Self.none { inObject = tape[parent].kindBits == JSONToken.Kind.object.rawValue }
    }
}

extension JSONTapeBuilder {
    /// The length of the number at `start`, or 0 if it is none. `bound` is the next entry.
    @inline(__always)
    private func numberLength(_ start: Int, _ first: UInt8, upTo bound: Int) -> Int {
        let length = bound &- start
        guard UInt(bitPattern: length) <= 16, start &+ 16 <= end else { return longNumberLength(start, upTo: bound) }
        // Digits, and at most one point with digits on both sides.
        let digits = JSONBlock.digits(in: bytes + start)
        let sign = first == UInt8(ascii: "-") ? 1 : 0
        let others = ~digits & (1 << UInt32(truncatingIfNeeded: length) &- 1) & ~UInt32(truncatingIfNeeded: sign)
        let point = (others | 0x1_0000).trailingZeroBitCount
        let hasPoint = others != 0
        let isPointRight = bytes[start &+ (hasPoint ? point : 0)] == UInt8(ascii: ".") && point > sign && point &+ 1 < length
        let isZeroFirst = bytes[start &+ sign] == UInt8(ascii: "0") && digits >> UInt32(truncatingIfNeeded: sign &+ 1) & 1 == 1
        guard others & (others &- 1) == 0, hasPoint ? isPointRight : length > sign, !isZeroFirst else {
            return longNumberLength(start, upTo: bound)
        }
        return length
    }

    /// The same for any number, octet by octet. RFC 8259 section 6.
    @inline(never)
    private func longNumberLength(_ start: Int, upTo bound: Int) -> Int {
        guard bound > start else { return 0 }
        var position = start
        if bytes[position] == UInt8(ascii: "-") { position += 1 }
        let whole = skipDigits(&position, bound)
        guard whole > 0, whole == 1 || bytes[position - whole] != UInt8(ascii: "0") else { return 0 }
        if position < bound, bytes[position] == UInt8(ascii: ".") {
            position += 1
            guard skipDigits(&position, bound) > 0 else { return 0 }
        }
        if position < bound, bytes[position] | 0x20 == UInt8(ascii: "e") {
            position += 1
            if position < bound, bytes[position] == UInt8(ascii: "+") || bytes[position] == UInt8(ascii: "-") { position += 1 }
            guard skipDigits(&position, bound) > 0 else { return 0 }
        }
        return isEnd(position, upTo: bound) ? position - start : 0
    }

    private func skipDigits(_ position: inout Int, _ bound: Int) -> Int {
        let start = position
        while position < bound, bytes[position] &- UInt8(ascii: "0") < 10 { position += 1 }
        return position - start
    }

    /// Whether four octets at `start` are those of `word`, and nothing goes on after them.
    @inline(__always)
    private func isLiteral(_ word: UInt32, _ start: Int, _ length: Int, upTo bound: Int) -> Bool {
        guard start &+ 4 < end else { return false }
        let octets = UInt32(littleEndian: UnsafeRawPointer(bytes + start).loadUnaligned(as: UInt32.self))
        return octets == word && isEnd(start &+ length, upTo: bound)
    }

    /// Whether a number or literal can end at `position`: white space follows (the first stage has seen that it is
    /// none else), or the next entry.
    @inline(__always)
    private func isEnd(_ position: Int, upTo bound: Int) -> Bool {
        position == bound || position < bound && bytes[position] <= 0x20
    }
}
