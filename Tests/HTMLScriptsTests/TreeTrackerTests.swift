// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The open elements, seen from outside: whether a script is in svg or not tells whether an end tag before it closed something
// below the svg element. One beginning of a document after the other is asked about one name after the other.

import HTMLScripts
import Testing

@Suite struct TreeTrackerTests {
    @Test func endTagsBelowForeignContent() {
        var asked = 0
        for probe in TreeProbes.all {
            asked += check(probe.html, probe.leave, [false])
            asked += check(probe.html, probe.stay, [true])
            asked += check(probe.html, probe.none, [])
        }
        #expect(asked >= 1_200)
    }

    private func check(_ html: String, _ names: String, _ expected: [Bool]) -> Int {
        let names = names.split(separator: " ")
        for name in names {
            let document = "\(html)<svg></\(name)><script></script>"
            let isForeign = ScriptScanner.scan(Array(document.utf8)).elements.map { $0.namespace != .html }
            #expect(isForeign == expected, "\(document)")
        }
        return names.count
    }
}
