// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The messages of mime-cpython. They have no expected results: no crash, a sane table, the same result with either line
// end, and nothing lost between the parts.

import TestSupport
import Testing

@testable import MIMEParser

struct CpythonSuiteTests {
    static let suite = "mime-cpython"

    static func summary(_ message: MIMEMessage) -> [String] {
        message.parts.map {
            "\($0.path) \($0.depth) \($0.kind) \($0.mediaType.name) \($0.encoding) \($0.fileName ?? "-") \(message.header(of: $0).map(\.name))"
        }
    }

    @Test(.conformance(suite)) func messages() throws {
        var report = SuiteReport("mime-cpython")
        for file in Conformance.files(Self.suite, extensions: ["txt"]) where file.hasPrefix("msg_") {
            let bytes = try Conformance.bytes(Self.suite, file)
            let message = MIMEMessage(bytes)
            var differences = message.violations
            for other in [lf(bytes), crlf(bytes)] {
                let variant = MIMEMessage(other)
                differences += variant.violations
                if Self.summary(variant) != Self.summary(message) {
                    differences.append("another result with other line ends")
                }
                for (part, one) in zip(variant.parts, message.parts) where part.isText {
                    if lf(variant.text(of: part)) != lf(message.text(of: one)) {
                        differences.append("\(part.path): other text with other line ends")
                    }
                }
            }
            // Header, empty line and body of the message itself are the file, an mbox line aside.
            let whole = message.parts[0]
            if whole.body.upperBound != bytes.count { differences.append("the body ends before the file") }
            if whole.body.lowerBound - whole.header.upperBound > 2 { differences.append("octets between header and body") }
            report.count(file, differences)
        }
        report.finish(atLeast: 48)
    }
}
