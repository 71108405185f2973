// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The data of a POST's body, as the JSON that goes into the event. Which forms there are and
// what becomes of each stands in docs/decisions/0005-form-and-web-hooks.md. Whatever the octets
// are there is a result: what can't be read as data is kept as text.

public import HookModel
import JSONLD
import MIMEParser

/// What a POST says, as JSON.
public struct PostPayload: Sendable {
    /// How the body was read; the raw value is what the event says.
    public enum Form: String, Sendable, Hashable {
        case json
        case jsonLD = "json-ld"
        case urlencoded
        case multipart
        case xml
        case text
        case empty
    }

    public internal(set) var form: Form
    /// An object or an array.
    public internal(set) var json: ArraySlice<UInt8>
    /// `@id` of an object.
    public internal(set) var subject: String?
    /// The name of the form a policy asked for, where `json` is not as it was sent.
    public internal(set) var shape: String?
    /// Why the body could only be kept as text.
    public internal(set) var failure: Outcome?

    /// - Parameter entity: as `ReceivedMessage.bytes` of a POST.
    public init(entity: [UInt8], limits: ExtractionLimits) {
        let reader = Reader(entity: entity, limits: limits)
        self = reader.payload()
    }

    /// Octets of the body behind the entity's header.
    static func bodySize(of entity: [UInt8]) -> Int { entity.count - Reader.bodyStart(entity) }

    fileprivate init(_ form: Form, _ json: [UInt8], failure: Outcome? = nil) {
        self.form = form
        self.json = json[...]
        self.failure = failure
    }
}

private struct Reader {
    private let entity: [UInt8]
    private let limits: ExtractionLimits
    private let bodyStart: Int
    private let type: ParameterizedValue

    /// Names of media types that say JSON, beside those that end in `+json`.
    private static let jsonTypes: Set<String> = ["application/json", "text/json", "application/x-json"]

    init(entity: [UInt8], limits: ExtractionLimits) {
        self.entity = entity
        self.limits = limits
        bodyStart = Self.bodyStart(entity)
        let header = entity[..<bodyStart].drop { $0 != UInt8(ascii: ":") }.dropFirst()
        type = ParameterizedValue(String(decoding: header, as: UTF8.self))
    }

    func payload() -> PostPayload {
        if type.value == "multipart/form-data" {
            return MultipartForm.json(entity).map { PostPayload(.multipart, $0) } ?? text(.noStructuredData)
        }
        if type.value == "text/xml" || type.value == "application/xml" || type.value.hasSuffix("+xml") {
            return PostPayload(.xml, wrapped("xml", converted))
        }
        // Whatever the type says: curl and others post JSON as a form or as plain text.
        let body = isOtherCharset ? converted : nil
        let first = (body?[...] ?? entity[bodyStart...]).first { ![32, 9, 10, 13, 0xEF, 0xBB, 0xBF].contains($0) }
        switch first {
        case nil: return PostPayload(.empty, Array("{}".utf8), failure: .noStructuredData)
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            let failure: Outcome
            do {
                return payload(try document(body))
            } catch {
                failure = error.code == .tooDeep || error.code == .tooLarge ? .limitExceeded : .jsonInvalid
            }
            return isURLEncoded ? form() : text(failure)
        case _ where isURLEncoded: return form()
        default: return text(isJSON ? .jsonInvalid : .noStructuredData)
        }
    }

    private func document(_ body: [UInt8]?) throws(JSONError) -> JSONDocument {
        let limits = JSONLimits(depth: limits.depth, size: limits.documentSize)
        guard let body else { return try JSONDocument(entity, in: bodyStart..<entity.count, limits: limits) }
        return try JSONDocument(body, limits: limits)
    }

    private func payload(_ document: JSONDocument) -> PostPayload {
        var payload = PostPayload(type.value == "application/ld+json" ? .jsonLD : .json, [])
        payload.json = document.root.text
        payload.subject = document.root["@id"]?.string
        return payload
    }

    private func form() -> PostPayload {
        guard let fields = URLEncodedForm.fields(entity[bodyStart...], charset: type["charset"]) else {
            return text(.limitExceeded)
        }
        return PostPayload(.urlencoded, fields.json())
    }

    private func text(_ failure: Outcome) -> PostPayload {
        PostPayload(.text, wrapped("unstructured", converted), failure: failure)
    }

    private func wrapped(_ name: String, _ text: [UInt8]) -> [UInt8] {
        var writer = JSONWriter(capacity: text.count + text.count / 8 + 32)
        writer.beginObject()
        writer.member(name, String(decoding: text, as: UTF8.self))
        writer.endObject()
        return writer.bytes
    }

    /// The body in UTF-8. Octets that are of no charset become U+FFFD; the stored message has them as they were.
    private var converted: [UInt8] {
        let body = Array(entity[bodyStart...])
        guard let label = type["charset"], Charset.isKnown(label) else { return body }
        return Charset.utf8(body, label: label)
    }

    private var isOtherCharset: Bool {
        guard let label = type["charset"]?.lowercased(), label != "utf-8", label != "utf8", label != "us-ascii" else {
            return false
        }
        return Charset.isKnown(label)
    }

    private var isURLEncoded: Bool { type.value == "application/x-www-form-urlencoded" }
    private var isJSON: Bool { Self.jsonTypes.contains(type.value) || type.value.hasSuffix("+json") }

    /// Behind the first empty line. The header was written by `ReceivedPost.entityHeader`.
    fileprivate static func bodyStart(_ entity: [UInt8]) -> Int {
        guard entity.first != 13 else { return min(2, entity.count) }
        var index = 0
        while index + 4 <= entity.count {
            if entity[index] == 13, entity[index + 1] == 10, entity[index + 2] == 13, entity[index + 3] == 10 {
                return index + 4
            }
            index += 1
        }
        return entity.count
    }
}
