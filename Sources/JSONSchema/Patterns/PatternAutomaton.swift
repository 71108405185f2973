// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The deterministic automaton of a program that looks at nothing but the next code point: one
// table access for each. It is made when a schema is compiled, where it stays small.

/// A table of states by classes of code points.
struct PatternAutomaton: Sendable {
    /// What an automaton may cost; larger ones run as programs. Table entries of two octets, classes of code points, and
    /// instructions visited while it is made.
    private static let largestTable = 1 << 17
    private static let largestClassCount = 128
    private static let largestConstruction = 2_000_000

    /// Where each class of code points begins, ascending from 0; a class ends where the next begins.
    private var classStarts: [UInt32] = [0]
    /// The class of each ASCII character.
    private var asciiClasses: [UInt8] = []
    /// The state after `state` and a code point of a class, at `state * classCount + class`.
    private var transitions: [UInt16] = []
    private var states: [State] = []

    private struct State: Sendable {
        /// A match has been found, whatever follows.
        var isMatch: Bool
        /// A match is found if the string ends here.
        var isMatchAtEnd: Bool
        /// No match can follow.
        var isDead: Bool
    }

    /// Nil where the program has parts that an automaton can't have, or the automaton would be large.
    init?(_ program: PatternProgram) {
        guard !program.looksAround, program.sets.allSatisfy({ $0.properties.isEmpty }) else { return nil }
        guard findClasses(program) else { return nil }
        guard findStates(program) else { return nil }
    }

    private mutating func findClasses(_ program: PatternProgram) -> Bool {
        var starts: Set<UInt32> = [0]
        for set in program.sets {
            for range in set.ranges {
                starts.insert(range.lowerBound)
                if range.upperBound < CharacterSet.largestCodePoint { starts.insert(range.upperBound + 1) }
            }
            guard starts.count <= Self.largestClassCount else { return false }
        }
        classStarts = starts.sorted()
        asciiClasses = (UInt32(0)..<128).map { UInt8(classNumber($0)) }
        return true
    }

    /// The last class that begins at `point` or before.
    private func classNumber(_ point: UInt32) -> Int {
        var lower = 0
        var upper = classStarts.count
        while lower + 1 < upper {
            let middle = (lower + upper) / 2
            if classStarts[middle] <= point { lower = middle } else { upper = middle }
        }
        return lower
    }

    private mutating func findStates(_ program: PatternProgram) -> Bool {
        var closures = Closures(instructions: program.instructions)
        var numbers: [[Int]: Int] = [:]
        let first = closures.follow([0], isAtStart: true, isAtEnd: false)
        var sets: [[Int]] = [first]
        // The first state stands at the beginning, so no later state is the same one, even with the same instructions.
        append(first, isAtStart: true, &closures)
        var index = 0
        while index < sets.count {
            for start in classStarts {
                var next: [Int] = [0]
                for instruction in sets[index] {
                    if case .take(let set) = program.instructions[instruction], program.sets[set].contains(start) {
                        next.append(instruction + 1)
                    }
                }
                let closure = closures.follow(next, isAtStart: false, isAtEnd: false)
                if let known = numbers[closure] {
                    transitions.append(UInt16(known))
                    continue
                }
                guard (sets.count + 1) * classStarts.count <= Self.largestTable, sets.count < Int(UInt16.max),
                    closures.visits <= Self.largestConstruction
                else { return false }
                numbers[closure] = sets.count
                transitions.append(UInt16(sets.count))
                sets.append(closure)
                append(closure, isAtStart: false, &closures)
            }
            index += 1
        }
        return true
    }

    private mutating func append(_ set: [Int], isAtStart: Bool, _ closures: inout Closures) {
        let atEnd = closures.follow(set, isAtStart: isAtStart, isAtEnd: true)
        states.append(
            State(
                isMatch: closures.containsMatch(set), isMatchAtEnd: closures.containsMatch(atEnd), isDead: set.isEmpty))
    }

    /// Whether the pattern matches somewhere in the string, which is well-formed.
    func search(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        let classCount = classStarts.count
        var state = 0
        var position = 0
        while position < text.count {
            if states[state].isMatch { return true }
            if states[state].isDead { return false }
            let byte = text[position]
            let number: Int
            if byte < 0x80 {
                number = Int(asciiClasses[Int(byte)])
                position += 1
            } else {
                number = classNumber(CodePoints.next(text, &position))
            }
            state = Int(transitions[state * classCount + number])
        }
        return states[state].isMatchAtEnd
    }
}

/// Finds what can be reached without taking a code point.
private struct Closures {
    let instructions: [PatternInstruction]
    /// Instructions visited so far.
    private(set) var visits = 0
    /// For each instruction, the question it was last reached for.
    private var reached: [Int]
    private var question = 0
    private var pending: [Int] = []

    init(instructions: [PatternInstruction]) {
        self.instructions = instructions
        reached = Array(repeating: 0, count: instructions.count)
    }

    /// The instructions reached from `roots` that take a code point, wait for the end or are the match, ascending.
    mutating func follow(_ roots: [Int], isAtStart: Bool, isAtEnd: Bool) -> [Int] {
        question += 1
        var result: [Int] = []
        pending.append(contentsOf: roots)
        while let instruction = pending.popLast() {
            guard reached[instruction] != question else { continue }
            reached[instruction] = question
            visits += 1
            switch instructions[instruction] {
            case .take, .match: result.append(instruction)
            case .split(let first, let second):
                pending.append(first)
                pending.append(second)
            case .jump(let target): pending.append(target)
            case .start: if isAtStart { pending.append(instruction + 1) }
            case .end:
                result.append(instruction)
                if isAtEnd { pending.append(instruction + 1) }
            // Programs with these are not made into automata.
            case .wordBoundary, .look: break
            }
        }
        return result.sorted()
    }

    func containsMatch(_ set: [Int]) -> Bool {
        set.contains { if case .match = instructions[$0] { true } else { false } }
    }
}
