// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Documents of a folder in place of the network, and the scripts of HTML, for the JSON-LD library,
// which knows neither files nor HTML.

import HTMLScripts
public import JSONLD

/// Answers for addresses with files. `index.json` maps an address to a path, or to an object with `path` and, where
/// the transport says more: `contentType`, `link` (one value or an array), `url` (where a redirect leads). Without an
/// entry there, `https://HOST/PATH` is the file HOST/PATH.
public struct FolderDocuments: DocumentLoader {
    private let folder: String
    private let index: [String: RemoteEntry]

    private struct RemoteEntry: Sendable {
        var path: String
        var contentType: String?
        var links: [String] = []
        var address: String?
    }

    private static let sizeLimit = 32 << 20

    /// Throws where `index.json` is there and is no JSON.
    public init(folder: String) throws(JSONError) {
        self.folder = folder
        var index: [String: RemoteEntry] = [:]
        if let bytes = try? Files.read("\(folder)/index.json", limit: Self.sizeLimit) {
            let document = try JSONDocument(bytes)
            for member in document.root.members { index[member.name] = Self.entry(member.value) }
        }
        self.index = index
    }

    private static func entry(_ value: JSONValue) -> RemoteEntry? {
        if let path = value.string { return RemoteEntry(path: path) }
        guard let path = value["path"]?.string else { return nil }
        var entry = RemoteEntry(path: path)
        entry.contentType = value["contentType"]?.string
        if let link = value["link"] { entry.links = link.string.map { [$0] } ?? link.elements.compactMap(\.string) }
        entry.address = value["url"]?.string
        return entry
    }

    public func load(_ iri: String) throws(JSONLDError) -> RemoteDocument {
        let entry = index[iri] ?? Self.path(iri).map { RemoteEntry(path: $0) }
        guard let entry, let body = try? Files.read("\(folder)/\(entry.path)", limit: Self.sizeLimit) else {
            throw JSONLDError(.loadingDocumentFailed, "\(folder) has nothing for \(iri)")
        }
        return RemoteDocument(
            documentIRI: entry.address ?? iri, contentType: entry.contentType ?? Self.type(of: entry.path),
            links: entry.links, body: body)
    }

    /// HOST/PATH of an address, if no part of it leads out of the folder.
    private static func path(_ iri: String) -> String? {
        guard let slashes = iri.range(of: "://") else { return nil }
        let path = iri[slashes.upperBound...].prefix { $0 != "?" && $0 != "#" }
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        guard !parts.contains(".."), !path.hasPrefix("/") else { return nil }
        return String(path)
    }

    /// The media type that the ending of a name stands for.
    public static func type(of path: String) -> String {
        let ending = path.split(separator: ".").last.map { $0.lowercased() } ?? ""
        return switch ending {
        case "json": "application/json"
        case "html", "htm": "text/html"
        case "xhtml": "application/xhtml+xml"
        default: "application/ld+json"
        }
    }
}

extension String {
    /// The first place of `text`, without Foundation.
    fileprivate func range(of text: String) -> Range<String.Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(text) { return start..<index(start, offsetBy: text.count) }
            start = index(after: start)
        }
        return nil
    }
}

/// The scripts and the base element of an HTML document.
public struct HTMLScriptDocuments: HTMLScriptReader {
    public init() {}

    public func read(_ html: [UInt8]) -> HTMLDocumentScripts {
        let elements = ScriptScanner.scan(html).elements
        let scripts = elements.map { element in
            HTMLDocumentScripts.Script(
                type: element.type ?? "", id: element.attribute("id"), text: ScriptScanner.text(of: element, in: html))
        }
        return HTMLDocumentScripts(base: Self.base(html, outside: elements.map(\.content)), scripts: scripts)
    }

    /// The `href` of the first `base` tag that stands neither in a script nor in a comment.
    private static func base(_ html: [UInt8], outside scripts: [Range<Int>]) -> String? {
        var position = 0
        var next = 0
        while let open = html[position...].firstIndex(of: UInt8(ascii: "<")) {
            while next < scripts.count, scripts[next].upperBound <= open { next += 1 }
            if next < scripts.count, scripts[next].contains(open) {
                position = scripts[next].upperBound
                continue
            }
            if html[open...].starts(with: "<!--".utf8) {
                position = endOfComment(html, open + 4)
                continue
            }
            position = open + 1
            let name = html[position...].prefix(4).map { $0 | 0x20 }
            guard name.elementsEqual("base".utf8), position + 4 < html.count, isSpace(html[position + 4]) else { continue }
            let end = html[position...].firstIndex(of: UInt8(ascii: ">")) ?? html.count
            if let href = attribute("href", html[(position + 4)..<end]) { return href }
        }
        return nil
    }

    private static func endOfComment(_ html: [UInt8], _ start: Int) -> Int {
        var position = start
        while let dash = html[position...].firstIndex(of: UInt8(ascii: "-")) {
            if html[dash...].starts(with: "-->".utf8) { return dash + 3 }
            position = dash + 1
        }
        return html.count
    }

    private static func isSpace(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0C || byte == 0x0D || byte == UInt8(ascii: "/")
    }

    /// The value of an attribute in what stands between a tag's name and its end.
    private static func attribute(_ wanted: String, _ text: ArraySlice<UInt8>) -> String? {
        var rest = text
        while true {
            rest = rest.drop(while: isSpace)
            guard !rest.isEmpty else { return nil }
            let name = rest.prefix { !isSpace($0) && $0 != UInt8(ascii: "=") }
            rest = rest[name.endIndex...].drop(while: isSpace)
            var value = rest.prefix(0)
            if rest.first == UInt8(ascii: "=") {
                rest = rest.dropFirst().drop(while: isSpace)
                if let quote = rest.first, quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'") {
                    value = rest.dropFirst().prefix { $0 != quote }
                    rest = rest[value.endIndex...].dropFirst()
                } else {
                    value = rest.prefix { !isSpace($0) || $0 == UInt8(ascii: "/") }
                    rest = rest[value.endIndex...]
                }
            } else if name.isEmpty {
                return nil
            }
            if name.map({ $0 | 0x20 }).elementsEqual(wanted.utf8) { return String(decoding: value, as: UTF8.self) }
        }
    }
}
