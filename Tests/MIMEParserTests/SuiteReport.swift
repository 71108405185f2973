// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Counts of a conformance suite, and its exceptions: cases where this parser reads something else than the expected
// file, each with the reason.

import Testing

struct SuiteReport {
    let name: String
    /// From the name of a case to why the expected result is not ours.
    let exceptions: [String: String]
    private(set) var ran = 0
    private(set) var passed = 0
    private(set) var failed: [String] = []
    private(set) var excepted: Set<String> = []

    init(_ name: String, exceptions: [String: String] = [:]) {
        self.name = name
        self.exceptions = exceptions
    }

    /// Counts a case by what differs in it. A case that is excepted and does not differ is a failure of the list.
    mutating func count(_ item: String, _ differences: [String]) {
        ran += 1
        if exceptions[item] != nil {
            excepted.insert(item)
            if differences.isEmpty { failed.append("\(item): is excepted and passes") }
        } else if differences.isEmpty {
            passed += 1
        } else {
            failed.append("\(item): " + differences.prefix(3).joined(separator: "; "))
        }
    }

    /// Prints the line of counts and fails where something failed or fewer cases ran than there have to be.
    func finish(atLeast expected: Int) {
        print("\(name): ran \(ran), passed \(passed), failed \(failed.count), left out \(excepted.count)")
        for failure in failed { Issue.record("\(name) \(failure)") }
        #expect(ran >= expected, "\(name) ran \(ran) cases, its README says \(expected)")
        #expect(Set(exceptions.keys).subtracting(excepted) == [], "exceptions for cases that do not exist")
    }
}
