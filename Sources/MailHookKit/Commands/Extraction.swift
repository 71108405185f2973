// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// `mailhookd extract`: the documents of mails as JSON lines, by the extraction contract alone:
// no hooks, no policy, no store.

public import HookExtraction
import JSONLD
import MIMEParser

public enum Extraction {
    /// More generous than the daemon, which serves strangers: who runs this command has chosen the mail.
    private static let limits = ExtractionLimits(documentSize: 4 << 20)

    /// Prints one line a mail; false when a file could not be read.
    public static func run(_ paths: [String], repair: RepairMode = .off) throws(FileError) -> Bool {
        let finder = DocumentFinder(limits: limits, repair: repair)
        return try MailFile.forEach(paths) { path, bytes in
            Terminal.print(line(path, finder.candidates(in: MIMEMessage(bytes))))
        }
    }

    private static func line(_ path: String, _ candidates: [Candidate]) -> [UInt8] {
        var writer = JSONWriter(capacity: 4096)
        writer.beginObject()
        writer.member("file", path)
        writer.name("documents")
        writer.beginArray()
        for candidate in candidates {
            guard let document = candidate.document else { continue }
            write(candidate, document, to: &writer)
        }
        writer.endArray()
        writer.name("errors")
        writer.beginArray()
        for candidate in candidates {
            guard let failure = candidate.failure else { continue }
            writer.beginObject()
            writer.member("path", candidate.path)
            writer.name("index")
            writer.integer(candidate.index)
            writer.member("code", failure.code.rawValue)
            writer.member("reason", failure.reason)
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        return writer.bytes + [UInt8(ascii: "\n")]
    }

    private static func write(_ candidate: Candidate, _ document: JSONDocument, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("path", candidate.path)
        writer.member("kind", candidate.kind.rawValue)
        writer.member("origin", candidate.origin.rawValue)
        writer.name("index")
        writer.integer(candidate.index)
        writer.member("filename", candidate.fileName)
        writer.name("attached")
        writer.boolean(candidate.isAttached)
        if candidate.isMislabelled {
            writer.name("mislabelled")
            writer.boolean(true)
        }
        writer.member("placement", candidate.placement?.rawValue)
        if !candidate.repairs.isEmpty {
            writer.name("repairs")
            writer.beginArray()
            candidate.repairs.forEach { writer.string($0.rawValue) }
            writer.endArray()
        }
        writer.name("value")
        writer.rawOnOneLine(document.root.text)
        writer.endObject()
    }
}
