// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// An event in the binary content mode of HTTP (CloudEvents HTTP binding 1.0.2 section 3.1): data is the body,
// attributes are header fields.

internal import JSONLD

struct BinaryEvent {
    /// nil for an event without data.
    var contentType: String?
    var headers: [(name: String, value: String)] = []
    var body: [UInt8] = []

    /// nil if `json` is no CloudEvents JSON object: then it cannot be said in this mode.
    init?(_ json: [UInt8]) {
        guard let root = try? JSONDocument(json, limits: EventEnvelope.limits).root, root.kind == .object else { return nil }
        var data: JSONValue?
        for member in root.members {
            let name = member.name
            switch name {
            case "data": data = member.value
            // JSON format section 3.1.1; ours have none.
            case "data_base64":
                guard let octets = member.value.string.flatMap({ Base64.decode($0) }) else { return nil }
                body = octets
            case "datacontenttype": contentType = member.value.string
            default:
                // Attribute names are lower-case letters and digits (CloudEvents 1.0.2, naming conventions).
                guard Self.isName(name), let text = Self.text(member.value) else { continue }
                headers.append((name: "ce-" + name, value: Self.escaped(text)))
            }
        }
        guard let data else { return }
        // JSON format section 3.1: data without a type is JSON; a text of another type stands for itself.
        if let contentType, !Self.isJSON(contentType), let text = data.string {
            body = Array(text.utf8)
        } else {
            contentType = contentType ?? "application/json"
            body = Array(data.text)
        }
    }

    /// JSON format section 3.1: a subtype of `json`, or one that ends in `+json`.
    private static func isJSON(_ mediaType: String) -> Bool {
        let type = mediaType.prefix { $0 != ";" }.lowercased().filter { $0 != " " }
        return type.hasSuffix("/json") || type.hasSuffix("+json")
    }

    private static func isName(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) }
    }

    private static func text(_ value: JSONValue) -> String? {
        switch value.kind {
        case .string: value.string
        case .number, .true, .false: String(decoding: value.text, as: UTF8.self)
        default: nil
        }
    }

    /// Section 3.1.3.2: space, quotation mark, per cent sign and everything outside of U+0021 to U+007E as the octets of
    /// UTF-8, in upper-case hexadecimal digits.
    static func escaped(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var out: [UInt8] = []
        out.reserveCapacity(text.utf8.count)
        for byte in text.utf8 {
            if (0x21...0x7E).contains(byte), byte != 0x22, byte != 0x25 {
                out.append(byte)
            } else {
                out += [0x25, digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: out, as: UTF8.self)
    }
}
