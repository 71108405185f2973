// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// How fast messages in memory are parsed and decoded: structure, subject, the transfer encoding of every leaf, and text
// to UTF-8. One thread. Reading the files is not part of it.

import MIMEParser

/// What one pass over a set of messages did, and how long the median of the passes took.
struct MIMEBenchResult {
    var messages = 0
    var bytes = 0
    var parts = 0
    /// Octets of all decoded leaves.
    var decoded = 0
    var seconds = 0.0
    /// The fastest pass: what the machine can do where others use it too.
    var best = 0.0

    /// One line of JSON.
    func line(tool: String, set: String) -> String {
        let rate = Double(bytes) / 1e6 / seconds
        let perSecond = Double(messages) / seconds
        return "{\"tool\":\"\(tool)\",\"set\":\"\(set)\",\"msgs\":\(messages),\"bytes\":\(bytes),\"parts\":\(parts),"
            + "\"decoded\":\(decoded),\"sec\":\(seconds),\"best\":\(best),\"MBps\":\((rate * 10).rounded() / 10),"
            + "\"msgs_s\":\(perSecond.rounded())}"
    }
}

/// Goes over the messages again and again for about `seconds`, three passes at least.
func mimeBench(files: [[UInt8]], seconds: Double) -> MIMEBenchResult {
    let clock = ContinuousClock()
    let start = clock.now
    var times: [Double] = []
    var result = MIMEBenchResult()
    repeat {
        let begin = clock.now
        result = MIMEBenchResult()
        for file in files { mimeBenchMessage(file, &result) }
        times.append(mimeBenchSeconds(clock.now - begin))
    } while times.count < 3 || mimeBenchSeconds(clock.now - start) < seconds
    times.sort()
    result.seconds = times[times.count / 2]
    result.best = times[0]
    return result
}

private func mimeBenchMessage(_ file: [UInt8], _ result: inout MIMEBenchResult) {
    let message = MIMEMessage(file)
    result.messages += 1
    result.bytes += file.count
    result.parts += message.parts.count
    _ = message.header.text("subject")
    for part in message.parts where part.kind == .leaf {
        result.decoded += (part.isText ? message.text(of: part) : message.body(of: part)).count
    }
}

private func mimeBenchSeconds(_ duration: Duration) -> Double {
    Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18
}
