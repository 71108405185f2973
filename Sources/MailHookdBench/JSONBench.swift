// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// `mailhookd-bench json FILE`: how fast a JSON text becomes a checked index.

import JSONLD

/// One line of JSON as the measuring tools of the project print it.
enum JSONBench {
    /// Reads `bytes` some times and reports the fastest.
    static func run(_ bytes: [UInt8], rounds: Int = 20) throws -> String {
        let clock = ContinuousClock()
        var best = Duration.seconds(1_000_000)
        var kind = JSONDocument.Kind.null
        for _ in 0..<rounds {
            let time = try clock.measure { kind = try JSONDocument(bytes).root.kind }
            best = min(best, time)
        }
        let seconds = Double(best.components.seconds) + Double(best.components.attoseconds) / 1e18
        var line = JSONWriter()
        line.beginObject()
        line.member("tool", "mailhookd")
        line.name("bytes")
        line.integer(bytes.count)
        line.member("root", "\(kind)")
        line.name("sec")
        line.raw("\(seconds)".utf8)
        line.name("MBps")
        line.raw("\((Double(bytes.count) / seconds / 1e5).rounded() / 10)".utf8)
        line.endObject()
        return String(decoding: line.bytes, as: UTF8.self)
    }
}
