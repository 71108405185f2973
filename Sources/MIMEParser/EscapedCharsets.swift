// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Charsets that switch between sets with escape sequences, brought into the form of EUC, where the octets above 0x80
// say the set themselves.

enum EscapedCharsets {
    // RFC 1468, RFC 1554, RFC 2237, and JIS X 0201 katakana as the WHATWG Encoding Standard section 12.2 has it.
    static func eucJP(fromISO2022 bytes: [UInt8]) -> [UInt8] {
        enum Set { case ascii, katakana, kanji, supplement }
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count + 8)
        var set = Set.ascii
        var index = 0
        while index < bytes.count {
            let octet = bytes[index]
            if octet == 0x1B, let (next, length) = escape(index) {
                set = next
                index += length
                continue
            }
            index += 1
            switch set {
            case .ascii: output.append(octet)
            // A line end goes back to ASCII (RFC 1468) for senders that forgot to.
            case _ where octet < 0x21:
                output.append(octet)
                if octet == .lineFeed { set = .ascii }
            case .katakana:
                output.append(0x8E)
                output.append(octet | 0x80)
            case .kanji, .supplement:
                guard index < bytes.count, bytes[index] >= 0x21 else {
                    output.append(0xFF)
                    continue
                }
                if set == .supplement { output.append(0x8F) }
                output.append(octet | 0x80)
                output.append(bytes[index] | 0x80)
                index += 1
            }
        }
        return output

        func escape(_ index: Int) -> (Set, Int)? {
            guard index + 2 < bytes.count else { return nil }
            switch (bytes[index + 1], bytes[index + 2]) {
            case (0x28, 0x42), (0x28, 0x4A): return (.ascii, 3)
            case (0x28, 0x49): return (.katakana, 3)
            case (0x24, 0x40), (0x24, 0x42): return (.kanji, 3)
            case (0x24, 0x28) where index + 3 < bytes.count && bytes[index + 3] == 0x44: return (.supplement, 4)
            case (0x24, 0x28) where index + 3 < bytes.count && bytes[index + 3] == 0x42: return (.kanji, 4)
            default: return nil
            }
        }
    }

    // RFC 1557: a designation once, then SO and SI.
    static func eucKR(fromISO2022 bytes: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count)
        var isShifted = false
        var index = 0
        while index < bytes.count {
            let octet = bytes[index]
            if octet == 0x1B, bytes[index...].starts(with: [0x1B, 0x24, 0x29, 0x43]) {
                index += 4
                continue
            }
            index += 1
            switch octet {
            case 0x0E: isShifted = true
            case 0x0F: isShifted = false
            default:
                if octet == .lineFeed { isShifted = false }
                output.append(isShifted && octet > 0x20 ? octet | 0x80 : octet)
            }
        }
        return output
    }

    // RFC 1843: `~{` and `~}` around pairs, `~~` for the tilde, `~` before a line end for none.
    static func eucCN(fromHZ bytes: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count)
        var isPaired = false
        var index = 0
        while index < bytes.count {
            let octet = bytes[index]
            let following = index + 1 < bytes.count ? bytes[index + 1] : 0
            if octet == 0x7E, [0x7B, 0x7D, 0x7E, UInt8.lineFeed].contains(following) {
                if following == 0x7E { output.append(0x7E) } else if following != .lineFeed { isPaired = following == 0x7B }
                index += 2
                continue
            }
            if octet == .lineFeed { isPaired = false }
            output.append(isPaired && octet > 0x20 ? octet | 0x80 : octet)
            index += 1
        }
        return output
    }
}
