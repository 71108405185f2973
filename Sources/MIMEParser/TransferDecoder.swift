// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Takes the transfer encoding off a body (RFC 2045 section 6), all at once.

enum TransferDecoder {
    static func decode(_ input: Bytes, _ encoding: TransferEncoding) -> [UInt8] {
        switch encoding {
        case .base64: Base64Decoder.decode(input)
        case .quotedPrintable: QuotedPrintableDecoder.decode(input)
        case .uuencode: UUDecoder.decode(input)
        case .sevenBit, .eightBit, .binary, .unknown: Array(input)
        }
    }
}
