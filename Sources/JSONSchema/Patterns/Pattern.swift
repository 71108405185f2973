// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A regular expression of a schema, compiled: an automaton where one can be made, else a program.

/// A compiled pattern. It is not anchored: a match anywhere counts (JSON Schema Core section 6.4).
final class Pattern: Sendable {
    private let program: PatternProgram
    private let automaton: PatternAutomaton?

    /// - Parameter size: instructions the program may have once repetitions are written out.
    init(_ points: [UInt32], size: Int) throws(PatternError) {
        program = try PatternProgram(PatternReader.read(points), size: size)
        automaton = PatternAutomaton(program)
    }

    /// Whether the pattern matches somewhere in the string; nil where `budget`, from which the steps are taken, did not
    /// last.
    func matches(_ text: UnsafeBufferPointer<UInt8>, budget: inout Int) -> Bool? {
        if let automaton {
            budget -= text.count
            return automaton.search(text)
        }
        var run = PatternRun(program, over: CodePoints.decode(text), budget: budget - text.count)
        let result = run.search()
        budget = run.budget
        return result
    }
}
