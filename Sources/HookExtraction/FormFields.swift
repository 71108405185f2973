// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The fields of a form as a JSON object, and the two ways forms are written: pairs joined by
// ampersands, and multipart/form-data.

import JSONLD
import MIMEParser

/// Fields in the order their names first came. A name that comes again makes an array of its values.
struct FormFields {
    enum Value {
        case text([UInt8])
        case file(name: String, type: String, content: [UInt8])
        /// A file field in which no file was chosen.
        case noFile
    }

    /// More are no form that a person filled in: each costs far more memory than its octets.
    static let limit = 1000

    private var fields: [(name: String, values: [Value])] = []
    private var indexes: [String: Int] = [:]

    mutating func add(_ name: String, _ value: Value) {
        if let index = indexes[name] {
            fields[index].values.append(value)
        } else {
            indexes[name] = fields.count
            fields.append((name, [value]))
        }
    }

    func json() -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        for (name, values) in fields {
            writer.name(name)
            if values.count > 1 { writer.beginArray() }
            for value in values { Self.write(value, to: &writer) }
            if values.count > 1 { writer.endArray() }
        }
        writer.endObject()
        return writer.bytes
    }

    private static func write(_ value: Value, to writer: inout JSONWriter) {
        switch value {
        case .text(let octets): writer.string(String(decoding: octets, as: UTF8.self))
        case .noFile: writer.null()
        case .file(let name, let type, let content):
            writer.beginObject()
            writer.member("filename", name)
            writer.member("contentType", type)
            writer.name("size")
            writer.integer(content.count)
            writer.name("content")
            writer.raw([UInt8(ascii: "\"")] + Base64Text.encoded(content) + [UInt8(ascii: "\"")])
            writer.endObject()
        }
    }
}

/// WHATWG URL Standard section 5.1, application/x-www-form-urlencoded parsing.
enum URLEncodedForm {
    /// nil for more fields than `FormFields.limit`.
    ///
    /// - Parameter charset: of the octets behind the percent signs; nil for UTF-8, and windows-1252 where it is not that.
    static func fields(_ body: ArraySlice<UInt8>, charset: String?) -> FormFields? {
        let pairs = body.split(separator: UInt8(ascii: "&"), maxSplits: FormFields.limit)
        guard pairs.count <= FormFields.limit else { return nil }
        var fields = FormFields()
        for pair in pairs {
            let equals = pair.firstIndex(of: UInt8(ascii: "=")) ?? pair.endIndex
            let name = Charset.utf8(decoded(pair[..<equals]), label: charset)
            let value = Charset.utf8(decoded(pair[equals...].dropFirst()), label: charset)
            fields.add(String(decoding: name, as: UTF8.self), .text(value))
        }
        return fields
    }

    /// `+` is a space; a percent sign without two hexadecimal digits behind it stands for itself.
    private static func decoded(_ text: ArraySlice<UInt8>) -> [UInt8] {
        var octets: [UInt8] = []
        octets.reserveCapacity(text.count)
        var index = text.startIndex
        while index < text.endIndex {
            let octet = text[index]
            if octet == UInt8(ascii: "%"), index + 2 < text.endIndex, let high = digit(text[index + 1]),
                let low = digit(text[index + 2])
            {
                octets.append(high << 4 | low)
                index += 3
            } else {
                octets.append(octet == UInt8(ascii: "+") ? UInt8(ascii: " ") : octet)
                index += 1
            }
        }
        return octets
    }

    private static func digit(_ octet: UInt8) -> UInt8? {
        switch octet {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): octet - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): octet - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): octet - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}

/// RFC 7578. The stored POST is a MIME entity, so the mail parser reads it.
enum MultipartForm {
    /// The fields as a JSON object; nil where no part could be found, or too many.
    static func json(_ entity: [UInt8]) -> [UInt8]? {
        // Files may be messages or multiparts themselves: only the first level are fields.
        let form = MIMEMessage(entity, limits: MIMELimits(parts: FormFields.limit + 2, depth: 1))
        guard form.parts.first?.kind == .multipart else { return nil }
        let parts = form.parts.filter { $0.parent == 0 }
        guard !parts.isEmpty, parts.count <= FormFields.limit else { return nil }
        var fields = FormFields()
        for part in parts { add(part, of: form, to: &fields) }
        return fields.json()
    }

    private static func add(_ part: MIMEPart, of form: MIMEMessage, to fields: inout FormFields) {
        let disposition = part.disposition
        let name = unescaped(disposition?["name"] ?? "")
        guard let fileName = disposition?["filename"] else {
            return fields.add(name, .text(part.isText ? form.text(of: part) : form.body(of: part)))
        }
        let content = form.body(of: part)
        if fileName.isEmpty, content.isEmpty { return fields.add(name, .noFile) }
        fields.add(name, .file(name: unescaped(fileName), type: part.typeName, content: content))
    }

    /// HTML Standard section 4.10.21.8: browsers write quotation marks and line ends in names as percent and digits.
    private static func unescaped(_ name: String) -> String {
        guard name.utf8.contains(UInt8(ascii: "%")) else { return name }
        var octets: [UInt8] = []
        var rest = Array(name.utf8)[...]
        let escapes: [(text: [UInt8], octet: UInt8)] = [
            (Array("%22".utf8), 34), (Array("%0D".utf8), 13), (Array("%0A".utf8), 10),
        ]
        while let first = rest.first {
            if let escape = escapes.first(where: { rest.starts(with: $0.text) }) {
                octets.append(escape.octet)
                rest = rest.dropFirst(3)
            } else {
                octets.append(first)
                rest = rest.dropFirst()
            }
        }
        return String(decoding: octets, as: UTF8.self)
    }
}

/// Base64 with padding and without line breaks (RFC 4648 section 4), for files in events.
enum Base64Text {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func encoded(_ octets: [UInt8]) -> [UInt8] {
        let count = (octets.count + 2) / 3 * 4
        return [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            var index = 0
            var output = 0
            while index < octets.count {
                let left = octets.count - index
                let group = UInt32(octets[index]) << 16 | (left > 1 ? UInt32(octets[index + 1]) << 8 : 0)
                    | (left > 2 ? UInt32(octets[index + 2]) : 0)
                // Six bits each: below 64.
                buffer[output] = alphabet[Int(group >> 18)]
                buffer[output + 1] = alphabet[Int(group >> 12 & 63)]
                buffer[output + 2] = left > 1 ? alphabet[Int(group >> 6 & 63)] : UInt8(ascii: "=")
                buffer[output + 3] = left > 2 ? alphabet[Int(group & 63)] : UInt8(ascii: "=")
                index += 3
                output += 4
            }
            initialized = output
        }
    }
}
