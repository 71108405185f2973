// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// How fast the JSON-LD scripts of HTML documents in memory are found. One thread. Reading the files is not part of it.

import HTMLScripts

/// Goes over the documents again and again for about `seconds`, three passes at least; one line of JSON about the
/// median pass.
func htmlBench(files: [[UInt8]], seconds: Double) -> String {
    let clock = ContinuousClock()
    let start = clock.now
    var times: [Duration] = []
    var found = 0
    repeat {
        let begin = clock.now
        found = 0
        for file in files { found += htmlBenchScripts(file) }
        times.append(clock.now - begin)
    } while times.count < 3 || (clock.now - start) / .seconds(1) < seconds
    let median = times.sorted()[times.count / 2] / .seconds(1)
    let bytes = files.reduce(0) { $0 + $1.count }
    let rate = Double(bytes) / 1e6 / median
    return "{\"tool\":\"mailhookd\",\"docs\":\(files.count),\"found\":\(found),\"bytes\":\(bytes),\"sec\":\(median),"
        + "\"MBps\":\((rate * 10).rounded() / 10)}"
}

/// A scan, and a look at the type of every script element, as the tools it is compared with do.
private func htmlBenchScripts(_ file: [UInt8]) -> Int {
    var found = 0
    for element in ScriptScanner.scan(file).elements where !element.content.isEmpty {
        if element.type?.lowercased() == "application/ld+json" { found += 1 }
    }
    return found
}
