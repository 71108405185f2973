// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Media types (RFC 2045 section 5) and transfer encodings (section 6).

/// A media type with its parameters.
public struct MediaType: Sendable, Hashable {
    /// `type/subtype` in lower case, with its parameters.
    public var value: ParameterizedValue

    /// `type/subtype` in lower case.
    public var name: String { value.value }
    /// What is before the slash.
    public var type: Substring { name.prefix { $0 != "/" } }
    /// What is behind the slash.
    public var subtype: Substring { name.drop { $0 != "/" }.dropFirst() }

    /// The value of a parameter by its lower-case name.
    public subscript(parameter: String) -> String? { value[parameter] }

    init(_ value: ParameterizedValue) { self.value = value }

    /// Of a type that is named `name` whatever its field says, with the parameters of that field.
    init(named name: String, parametersOf value: ParameterizedValue?) {
        self.value = value ?? ParameterizedValue(value: name)
        self.value.value = name
    }

    /// Whether a lower-case value is of the form `type/subtype`.
    static func isSane(_ value: String) -> Bool {
        var slashes = 0
        var previous: UInt8 = 0x2F
        for octet in value.utf8 {
            if octet == 0x2F {
                if previous == 0x2F { return false }
                slashes += 1
            } else if !octet.isToken {
                return false
            }
            previous = octet
        }
        return slashes == 1 && previous != 0x2F
    }
}

/// Content-Transfer-Encoding (RFC 2045 section 6).
public enum TransferEncoding: String, Sendable, Hashable {
    case sevenBit = "7bit"
    case eightBit = "8bit"
    case binary
    case base64
    case quotedPrintable = "quoted-printable"
    /// `x-uuencode`: no standard names it, old senders use it.
    case uuencode = "x-uuencode"
    /// Not one of the above: the body is taken as it is (section 6.4).
    case unknown

    /// Whether the octets of a body are what they stand for (section 6.2).
    public var isIdentity: Bool {
        switch self {
        case .sevenBit, .eightBit, .binary, .unknown: true
        case .base64, .quotedPrintable, .uuencode: false
        }
    }

    init(_ bytes: Bytes, _ range: Range<Int>) {
        let word = bytes.trimmed(range)
        switch word.count {
        case 6 where bytes.hasWord("base64", at: word.lowerBound, word.upperBound): self = .base64
        case 4 where bytes.hasWord("7bit", at: word.lowerBound, word.upperBound): self = .sevenBit
        case 4 where bytes.hasWord("8bit", at: word.lowerBound, word.upperBound): self = .eightBit
        case 16 where bytes.hasWord("quoted-printable", at: word.lowerBound, word.upperBound): self = .quotedPrintable
        default:
            var scanner = ParameterScanner(bytes, range)
            self.init(field: scanner.mainValue())
        }
    }

    // Section 6.1: mechanism, without regard to case; comments may stand around it. The second spellings of each occur
    // in mail and mean the same.
    private init(field value: String) {
        self =
            switch value {
            case "", "7bit", "7-bit", "7 bit": .sevenBit
            case "8bit", "8-bit", "8 bit", "utf-8", "utf8": .eightBit
            case "binary": .binary
            case "base64", "base-64", "b": .base64
            case "quoted-printable", "quotedprintable", "quoted printable", "qp": .quotedPrintable
            case "x-uuencode", "uuencode", "x-uue", "uue": .uuencode
            default: .unknown
            }
    }
}
