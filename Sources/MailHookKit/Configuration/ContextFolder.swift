// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Reads the folder of JSON-LD contexts once, when the daemon starts: a document then never leads
// to a file being opened.

import Glibc
import JSONLD

enum ContextFolder {
    private static let sizeLimit = 4 << 20
    /// Files of a folder; contexts are few.
    private static let countLimit = 1000

    /// The library with schema.org and the contexts of a folder; findings go to `diagnostics`.
    static func library(_ folder: String?, into diagnostics: inout Diagnostics) -> ContextLibrary {
        guard let folder else { return .standard }
        do {
            return try ContextLibrary(try documents(folder))
        } catch {
            diagnostics.add(Diagnostic(.error, file: folder, place: "contexts", reason: "\(error)"))
            return .standard
        }
    }

    /// Contexts by address: those of `index.json`, or else `https://HOST/PATH` and `http://HOST/PATH` for each file.
    private static func documents(_ folder: String) throws -> [String: [UInt8]] {
        var documents: [String: [UInt8]] = [:]
        if let index = try Files.read("\(folder)/index.json", limit: sizeLimit, orNil: ENOENT) {
            for member in try JSONDocument(index).root.members {
                guard let path = member.value.string ?? member.value["path"]?.string else { continue }
                documents[member.name] = try Files.read("\(folder)/\(path)", limit: sizeLimit)
            }
            return documents
        }
        for path in try files(below: folder) {
            let bytes = try Files.read("\(folder)/\(path)", limit: sizeLimit)
            for scheme in ["https", "http"] { documents["\(scheme)://\(path)"] = bytes }
        }
        return documents
    }

    /// Relative paths of all files, hidden ones left out.
    private static func files(below folder: String) throws(FileError) -> [String] {
        var found: [String] = []
        var open = [""]
        while let place = open.popLast() {
            for name in try Files.list("\(folder)/\(place)") where !name.hasPrefix(".") {
                let path = place.isEmpty ? name : "\(place)/\(name)"
                if Files.isFolder("\(folder)/\(path)") { open.append(path) } else { found.append(path) }
            }
            guard found.count + open.count <= countLimit else {
                throw FileError(path: folder, reason: "holds more than \(countLimit) files")
            }
        }
        return found.sorted()
    }
}
