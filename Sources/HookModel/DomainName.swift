// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A domain has two spellings: with letters beyond ASCII, as people write it and SMTPUTF8 sends it, and with `xn--`, as
// it is in the DNS. They are the same domain (RFC 5890 section 2.3.2.1), so all are compared in the second one.

public enum DomainName {
    /// Octets of a label (RFC 1035 section 2.3.4).
    private static let labelLimit = 63
    private static let prefix = "xn--"

    /// The spelling in ASCII, lower case. Text is taken in the normal form C, in which it is typed and sent (RFC 5198).
    ///
    /// - Returns: nil where a label would be too long for the DNS.
    public static func ascii(_ domain: some StringProtocol) -> String? {
        let lowered = domain.lowercased()
        guard lowered.utf8.contains(where: { $0 >= 0x80 }) else { return lowered }
        var labels: [String] = []
        for label in lowered.split(separator: ".", omittingEmptySubsequences: false) {
            let isASCII = label.utf8.allSatisfy { $0 < 0x80 }
            guard let text = isASCII ? String(label) : Punycode.encode(label).map({ prefix + $0 }),
                isASCII || text.utf8.count <= labelLimit
            else { return nil }
            labels.append(text)
        }
        return labels.joined(separator: ".")
    }

    /// An address in lower case, its domain in ASCII; the address as it is, in lower case, where the domain has no such
    /// spelling.
    public static func lowercased(address: String) -> String {
        let lowered = address.lowercased()
        guard let at = lowered.lastIndex(of: "@"), let domain = ascii(lowered[lowered.index(after: at)...]) else { return lowered }
        return String(lowered[...at]) + domain
    }
}

/// RFC 3492, the way to ASCII only.
enum Punycode {
    private static let base = 36
    private static let (tmin, tmax, skew, damp) = (1, 26, 38, 700)
    private static let (initialBias, initialN) = (72, 128)
    /// Far more than fits into a label: what is longer need not be tried.
    private static let scalarLimit = 63

    /// Section 6.3; nil for what is too long for a label.
    static func encode(_ label: some StringProtocol) -> String? {
        let input = label.unicodeScalars.map { Int($0.value) }
        guard input.count <= scalarLimit else { return nil }
        var output = input.filter { $0 < initialN }.map(UInt8.init)
        let basic = output.count
        if basic > 0 { output.append(UInt8(ascii: "-")) }
        var (n, delta, bias, handled) = (initialN, 0, initialBias, basic)
        while handled < input.count {
            guard let next = input.filter({ $0 >= n }).min() else { return nil }
            delta += (next - n) * (handled + 1)
            n = next
            for value in input {
                if value < n { delta += 1 }
                guard value == n else { continue }
                append(delta, bias, to: &output)
                bias = adapt(delta, handled + 1, isFirst: handled == basic)
                delta = 0
                handled += 1
            }
            delta += 1
            n += 1
        }
        return String(decoding: output, as: UTF8.self)
    }

    /// A number of variable length (section 3.3).
    private static func append(_ delta: Int, _ bias: Int, to output: inout [UInt8]) {
        var rest = delta
        var k = base
        while true {
            let threshold = min(max(k - bias, tmin), tmax)
            guard rest >= threshold else { break }
            output.append(digit(threshold + (rest - threshold) % (base - threshold)))
            rest = (rest - threshold) / (base - threshold)
            k += base
        }
        output.append(digit(rest))
    }

    private static func digit(_ value: Int) -> UInt8 { UInt8(value < 26 ? value + 97 : value - 26 + 48) }

    // Section 6.1
    private static func adapt(_ delta: Int, _ count: Int, isFirst: Bool) -> Int {
        var delta = isFirst ? delta / damp : delta / 2
        delta += delta / count
        var k = 0
        while delta > (base - tmin) * tmax / 2 {
            delta /= base - tmin
            k += base
        }
        return k + (base - tmin + 1) * delta / (delta + skew)
    }
}
