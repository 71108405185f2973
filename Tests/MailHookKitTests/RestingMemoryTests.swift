// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// When memory is given back.

import Testing

@testable import MailHookKit

@Suite struct RestingMemoryTests {
    @Test(arguments: [
        // The first time in any case, then never while next to nothing comes.
        ([0, 0, 0], [true, false, false]),
        ([500, 1000, 1500], [true, false, false]),
        ([0, 63, 63, 63], [true, false, false, false]),
        // A burst, and the rest behind it, once.
        ([0, 5000, 9000, 9000, 9000], [true, false, false, true, false]),
        ([0, 64, 64, 65], [true, false, true, false]),
        // One that comes now and then does not keep it up, and has it done again after as many as a burst has.
        ([0, 7, 14, 21, 28, 35, 42, 49, 56, 63, 70], [true] + Array(repeating: false, count: 9) + [true]),
        ([0, 100, 108, 116, 123], [true, false, false, false, true]),
    ] as [([Int], [Bool])])
    func whenLittleComesBehindMuch(records: [Int], times: [Bool]) {
        var pace = RestingMemory.Pace(count: 0)
        #expect(records.map { pace.isTime(count: $0) } == times)
    }
}
