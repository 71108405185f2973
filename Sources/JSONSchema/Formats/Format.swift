// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The formats that can be asserted (JSON Schema Validation 2020-12 section 7.3).

enum Format: Int32, CaseIterable, Sendable {
    case dateTime, date, time, duration
    case email, idnEmail
    case hostname, idnHostname
    case ipv4, ipv6
    case uri, uriReference, iri, iriReference, uuid
    case uriTemplate
    case jsonPointer, relativeJSONPointer
    case regex

    var name: String {
        switch self {
        case .dateTime: "date-time"
        case .date: "date"
        case .time: "time"
        case .duration: "duration"
        case .email: "email"
        case .idnEmail: "idn-email"
        case .hostname: "hostname"
        case .idnHostname: "idn-hostname"
        case .ipv4: "ipv4"
        case .ipv6: "ipv6"
        case .uri: "uri"
        case .uriReference: "uri-reference"
        case .iri: "iri"
        case .iriReference: "iri-reference"
        case .uuid: "uuid"
        case .uriTemplate: "uri-template"
        case .jsonPointer: "json-pointer"
        case .relativeJSONPointer: "relative-json-pointer"
        case .regex: "regex"
        }
    }

    /// Longest `regex`, in octets: reading one takes some hundred octets of memory for each.
    private static let largestPattern = 10_000

    static func named(_ name: String) -> Format? { allCases.first { $0.name == name } }

    /// Whether a string has this format. Time is linear in its length.
    func matches(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        var scanner = FormatScanner(text)
        switch self {
        case .dateTime: return scanner.dateTime() && scanner.isAtEnd
        case .date: return scanner.date() && scanner.isAtEnd
        case .time: return scanner.time() && scanner.isAtEnd
        case .duration: return scanner.duration() && scanner.isAtEnd
        case .email: return MailAddress.isValid(text, isInternational: false)
        case .idnEmail: return MailAddress.isValid(text, isInternational: true)
        case .hostname: return HostName.isValid(text)
        case .idnHostname: return HostName.isValidInternational(text)
        case .ipv4: return IPAddress.isVersion4(text)
        case .ipv6: return IPAddress.isVersion6(text)
        case .uri: return ResourceIdentifier.isValid(text, isInternational: false, isAbsolute: true)
        case .uriReference: return ResourceIdentifier.isValid(text, isInternational: false, isAbsolute: false)
        case .iri: return ResourceIdentifier.isValid(text, isInternational: true, isAbsolute: true)
        case .iriReference: return ResourceIdentifier.isValid(text, isInternational: true, isAbsolute: false)
        case .uuid: return scanner.uuid() && scanner.isAtEnd
        case .uriTemplate: return URITemplate.isValid(text)
        case .jsonPointer: return scanner.jsonPointer()
        case .relativeJSONPointer: return scanner.relativeJSONPointer()
        case .regex:
            // The format asks for the syntax only, not for what can be matched in linear time. QUIRK: ECMA-262 sets no
            // limits, but longer patterns, and groups nested more deeply, are not taken for patterns here.
            guard text.count <= Self.largestPattern else { return false }
            do throws(PatternError) {
                _ = try PatternReader.read(CodePoints.decode(text))
                return true
            } catch {
                return error.code != .syntax && error.code != .tooDeep
            }
        }
    }
}
