// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Host names (RFC 1123 section 2.1) and internationalized ones (RFC 5890 section 2.3.2.3).

internal import HookModel

enum HostName {
    typealias Text = UnsafeBufferPointer<UInt8>

    /// A name of letters, digits and hyphens. Labels that say they are A-labels have to be some.
    static func isValid(_ text: Text) -> Bool {
        // RFC 1035 section 3.1: 255 octets with the lengths of labels, so 253 characters.
        guard !text.isEmpty, text.count <= 253 else { return false }
        return text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).allSatisfy { label in
            isLabel(label) && (!hasACEPrefix(label) || internationalLabel(label) != nil)
        }
    }

    // RFC 1123 section 2.1; RFC 5890 section 2.3.1 reserves "--" in third and fourth place, of which only A-labels
    // ("xn--") are in use.
    private static func isLabel(_ label: Slice<Text>) -> Bool {
        guard (1...63).contains(label.count), label.first != UInt8(ascii: "-"), label.last != UInt8(ascii: "-") else {
            return false
        }
        return label.allSatisfy { $0.isASCIILetterOrDigit || $0 == UInt8(ascii: "-") }
    }

    private static func hasACEPrefix(_ label: Slice<Text>) -> Bool {
        label.count >= 4 && zip(label, "xn--".utf8).allSatisfy { $0 | 0x20 == $1 | 0x20 }
    }

    /// The U-label of an A-label, if it is a valid one.
    private static func internationalLabel(_ label: Slice<Text>) -> [UInt32]? {
        let encoded = label.dropFirst(4).map { $0 &- UInt8(ascii: "A") < 26 ? $0 | 0x20 : $0 }
        guard let points = Punycode.decode(encoded), points.contains(where: { $0 >= 0x80 }),
            Punycode.encode(points) == encoded, InternationalLabel.isValid(points)
        else { return nil }
        return points
    }

    /// A name of A-labels, U-labels and ordinary ones.
    static func isValidInternational(_ text: Text) -> Bool {
        // Longest first: 253 characters of four octets.
        guard !text.isEmpty, text.count <= 253 * 4 else { return false }
        var labels: [[UInt32]] = []
        var length = 0
        // RFC 3490 section 3.1: the ideographic full stops are dots too.
        let points = CodePoints.decode(text)
        for label in points.split(omittingEmptySubsequences: false, whereSeparator: { isDot($0) }) {
            guard let (unicode, count) = check(Array(label)) else { return false }
            labels.append(unicode)
            length += count + 1
        }
        guard length - 1 <= 253 else { return false }
        // RFC 5893 section 1.4: with one right-to-left label the rule goes for all of them.
        guard labels.contains(where: { InternationalLabel.isRightToLeft($0) }) else { return true }
        return labels.allSatisfy { InternationalLabel.keepsBidiRule($0) }
    }

    private static func isDot(_ point: UInt32) -> Bool {
        point == 0x2E || point == 0x3002 || point == 0xFF0E || point == 0xFF61
    }

    /// The code points of a label, and its length as an A-label; nil where it is not valid.
    private static func check(_ label: [UInt32]) -> ([UInt32], Int)? {
        guard label.contains(where: { $0 >= 0x80 }) else {
            return label.map { UInt8(truncatingIfNeeded: $0) }.withUnsafeBufferPointer { bytes in
                guard isLabel(bytes[...]) else { return nil }
                guard hasACEPrefix(bytes[...]) else { return (label, label.count) }
                return internationalLabel(bytes[...]).map { ($0, label.count) }
            }
        }
        guard InternationalLabel.isValid(label), let encoded = Punycode.encode(label), encoded.count + 4 <= 63 else {
            return nil
        }
        return (label, encoded.count + 4)
    }
}
