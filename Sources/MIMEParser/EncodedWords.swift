// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Encoded words (RFC 2047, with the language of RFC 2231 section 5) in the text of a field.

enum EncodedWords {
    private struct Word {
        var charset: String
        var isBase64: Bool
        var text: Range<Int>
        /// Behind the closing `?=`.
        var end: Int
    }

    /// The text of an unfolded value in UTF-8.
    static func decoded(_ octets: [UInt8]) -> String {
        octets.withUnsafeBufferPointer { bytes in
            guard bytes.firstIndex(of: .equals, in: 0..<bytes.count) < bytes.count else { return HeaderText.string(bytes) }
            var decoder = Decoder(bytes: bytes)
            decoder.run()
            return decoder.result
        }
    }

    private struct Decoder {
        let bytes: Bytes
        var result = ""
        /// Decoded octets of adjacent words in one charset: senders split characters between words.
        var pending: [UInt8] = []
        var pendingCharset = ""
        /// No `?=` follows; looking for one again and again would take quadratic time.
        var hasNoMoreEnds = false

        init(bytes: Bytes) { self.bytes = bytes }

        mutating func run() {
            var plainStart = 0
            var index = 0
            var isBehindWord = false
            while index < bytes.count {
                let start = bytes.firstIndex(of: .equals, in: index..<bytes.count)
                guard start < bytes.count else { break }
                guard let word = word(at: start) else {
                    index = start + 1
                    continue
                }
                // RFC 2047 section 6.2: blanks between adjacent words are not part of the text.
                let between = plainStart..<start
                if !isBehindWord || !between.allSatisfy({ bytes[$0].isBlankOrLineEnd }) { addPlain(between) }
                add(word)
                isBehindWord = true
                index = word.end
                plainStart = word.end
            }
            addPlain(plainStart..<bytes.count)
        }

        private mutating func addPlain(_ range: Range<Int>) {
            flush()
            if !range.isEmpty { result += HeaderText.string(Bytes(rebasing: bytes[range])) }
        }

        private mutating func add(_ word: Word) {
            let octets =
                word.isBase64
                ? TransferDecoder.decode(Bytes(rebasing: bytes[word.text]), .base64)
                : EncodedWords.octetsOfQ(bytes, word.text)
            if word.charset != pendingCharset || Charset.isStateful(word.charset) { flush() }
            pendingCharset = word.charset
            pending += octets
        }

        private mutating func flush() {
            guard !pending.isEmpty else { return }
            result += String(decoding: Charset.utf8(pending, label: pendingCharset), as: UTF8.self)
            pending.removeAll(keepingCapacity: true)
        }

        /// encoded-word = "=?" charset ["*" language] "?" encoding "?" encoded-text "?="
        private mutating func word(at start: Int) -> Word? {
            let end = bytes.count
            guard !hasNoMoreEnds, start + 1 < end, bytes[start + 1] == .questionMark else { return nil }
            var index = start + 2
            while index < end, bytes[index].isToken, index - start < Self.charsetLimit { index += 1 }
            guard index > start + 2, index + 2 < end, bytes[index] == .questionMark, bytes[index + 2] == .questionMark
            else { return nil }
            let encoding = bytes[index + 1] | 0x20
            guard encoding == 0x62 || encoding == 0x71 else { return nil }
            let textStart = index + 3
            guard let close = closing(from: textStart) else { return nil }
            let label = bytes[(start + 2)..<index].prefix { $0 != 0x2A }
            return Word(
                charset: String(decoding: label, as: UTF8.self).lowercased(), isBase64: encoding == 0x62,
                text: textStart..<close, end: close + 2)
        }

        private mutating func closing(from start: Int) -> Int? {
            var index = start
            while index < bytes.count {
                index = bytes.firstIndex(of: .questionMark, in: index..<bytes.count)
                if index + 1 < bytes.count, bytes[index + 1] == .equals { return index }
                index += 1
            }
            hasNoMoreEnds = true
            return nil
        }

        private static let charsetLimit = 80
    }

    // RFC 2047 section 4.2: quoted-printable, but `_` is a space.
    private static func octetsOfQ(_ bytes: Bytes, _ range: Range<Int>) -> [UInt8] {
        var octets: [UInt8] = []
        octets.reserveCapacity(range.count)
        var index = range.lowerBound
        while index < range.upperBound {
            let octet = bytes[index]
            if octet == .equals, index + 2 < range.upperBound, let high = bytes[index + 1].hexadecimalValue,
                let low = bytes[index + 2].hexadecimalValue
            {
                octets.append(high << 4 | low)
                index += 3
            } else {
                octets.append(octet == 0x5F ? .space : octet)
                index += 1
            }
        }
        return octets
    }
}
