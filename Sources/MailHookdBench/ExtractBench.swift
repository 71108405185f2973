// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// How fast the documents of mails in memory are found.

import HookExtraction
import MIMEParser

func extractBench(files: [[UInt8]], seconds: Double) -> String {
    let finder = DocumentFinder()
    var found = 0
    let time = benchTime(seconds: seconds) {
        found = 0
        for file in files { found += finder.candidates(in: MIMEMessage(file)).count { $0.document != nil } }
    }
    let bytes = files.reduce(0) { $0 + $1.count }
    return "{\"tool\":\"mailhookd\",\"msgs\":\(files.count),\"bytes\":\(bytes),\"found\":\(found),\"sec\":\(time),"
        + "\"MBps\":\((Double(bytes) / 1e5 / time).rounded() / 10),\"msgs_s\":\((Double(files.count) / time).rounded())}"
}
