// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// `mailhookd-bench jsonld expand|quads FILE [--context F]`: JSON-LD documents, one a line, from text to
// expanded JSON text or to N-Quads, with contexts that were compiled before the clock starts.

import JSONLD

/// How fast documents are processed in memory, on one thread.
enum JSONLDBench {
    enum Operation: String {
        case expand, quads
    }

    /// Goes over the documents again and again for about `seconds`, three passes at least. As with the programs it is
    /// compared with, the best pass counts.
    /// - Parameters:
    ///   - lines: One document a line.
    ///   - context: A context document to be known as schema.org's, instead of the one in the library.
    /// - Returns: One line of JSON.
    static func run(
        _ operation: Operation, _ lines: [UInt8], context: [UInt8]? = nil, seconds: Double = 2
    ) throws -> String {
        let documents = lines.split(separator: UInt8(ascii: "\n")).map { Array($0) }
        let processor = JSONLDProcessor(contexts: try library(context))
        let clock = ContinuousClock()
        let start = clock.now
        var passes = 0
        var best = Double.infinity
        var result = 0
        repeat {
            let begin = clock.now
            result = 0
            for document in documents { result += try process(operation, document, processor) }
            best = min(best, (clock.now - begin) / .seconds(1))
            passes += 1
        } while passes < 3 || (clock.now - start) / .seconds(1) < seconds
        let rate = (Double(documents.count) / best * 10).rounded() / 10
        let volume = (Double(lines.count) / 1e4 / best).rounded() / 100
        return "{\"tool\":\"mailhookd \(operation.rawValue)\",\"docs\":\(documents.count),\"bytes\":\(lines.count),"
            + "\"result\":\(result),\"sec\":\(best),\"docs_s\":\(rate),\"MBps\":\(volume)}"
    }

    /// From the octets of a document to those of the result, whose number is returned.
    private static func process(
        _ operation: Operation, _ document: [UInt8], _ processor: JSONLDProcessor
    ) throws(JSONLDError) -> Int {
        switch operation {
        case .expand: try processor.expand(.json(document)).json().count
        case .quads: try processor.toRDF(.json(document)).nquads().count
        }
    }

    private static func library(_ context: [UInt8]?) throws(JSONLDError) -> ContextLibrary {
        guard let context else { return .standard }
        let addresses = ["https://schema.org", "https://schema.org/", "http://schema.org", "http://schema.org/"]
        return try ContextLibrary(
            Dictionary(uniqueKeysWithValues: addresses.map { ($0, context) }), includesSchemaOrg: false)
    }
}
