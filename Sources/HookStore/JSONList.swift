// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Short lists of strings as JSON text, for columns that SQLite's JSON functions can read.
// Writing only: SQLite reads them.

internal import HookModel

enum JSONList {
    private static let digits = Array("0123456789abcdef".utf8)

    static func text(_ strings: [String]) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(strings.reduce(2) { $0 + $1.utf8.count + 3 })
        out.append(UInt8(ascii: "["))
        for (index, string) in strings.enumerated() {
            if index > 0 { out.append(UInt8(ascii: ",")) }
            append(string, to: &out)
        }
        out.append(UInt8(ascii: "]"))
        return out
    }

    /// RFC 8259 section 7: quotation mark, reverse solidus and U+0000 to U+001F are escaped.
    static func append(_ string: String, to out: inout [UInt8]) {
        var string = string
        out.append(UInt8(ascii: "\""))
        string.withUTF8 { bytes in
            if bytes.contains(where: { $0 < 0x20 || $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: "\\") }) {
                appendEscaped(bytes, to: &out)
            } else {
                out.append(contentsOf: bytes)
            }
        }
        out.append(UInt8(ascii: "\""))
    }

    private static func appendEscaped(_ bytes: UnsafeBufferPointer<UInt8>, to out: inout [UInt8]) {
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): out += [UInt8(ascii: "\\"), byte]
            case 0..<0x20: out += Array("\\u00".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            default: out.append(byte)
            }
        }
    }

    /// `[["event name", "recipient", "outcome", "answer", events], ...]`
    static func text(of hooks: [HookVerdict]) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(256)
        out.append(UInt8(ascii: "["))
        for (index, hook) in hooks.enumerated() {
            if index > 0 { out.append(UInt8(ascii: ",")) }
            out.append(UInt8(ascii: "["))
            for text in [hook.eventName, hook.recipient, hook.outcome.rawValue, hook.answer.rawValue] {
                append(text, to: &out)
                out.append(UInt8(ascii: ","))
            }
            out.append(contentsOf: String(hook.events.count).utf8)
            out.append(UInt8(ascii: "]"))
        }
        out.append(UInt8(ascii: "]"))
        return out
    }
}
