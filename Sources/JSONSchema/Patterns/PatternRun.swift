// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Runs programs over a string, all branches at once: time is the length of the string times the
// size of the program at most, whatever either says. Nothing is tried twice at one place.

/// One search in one string.
struct PatternRun {
    private let program: PatternProgram
    private let text: [UInt32]
    /// Steps that may still be made.
    private(set) var budget: Int
    /// For each lookaround, the positions where it holds.
    private var tables: [[Bool]] = []
    private var current: [Int] = []
    private var pending: [Int] = []
    /// For each instruction, the step in which it was last reached.
    private var reached: [Int] = []
    private var step = 0

    init(_ program: PatternProgram, over text: [UInt32], budget: Int) {
        self.program = program
        self.text = text
        self.budget = budget
    }

    /// Whether the pattern matches somewhere in the string; nil where the budget did not last.
    mutating func search() -> Bool? {
        for lookaround in program.lookarounds {
            var table = Array(repeating: false, count: text.count + 1)
            run(lookaround.instructions, isForward: !lookaround.isAhead) { position in
                table[position] = true
                return true
            }
            if budget < 0 { return nil }
            tables.append(table)
        }
        var isFound = false
        run(program.instructions, isForward: true) { _ in
            isFound = true
            return false
        }
        return budget < 0 ? nil : isFound
    }

    /// Runs from every position at once. `onMatch` gets the positions where a match ends, and says whether to go on.
    private mutating func run(
        _ instructions: [PatternInstruction], isForward: Bool, onMatch: (_ position: Int) -> Bool
    ) {
        reached = Array(repeating: -1, count: instructions.count)
        step = 0
        current.removeAll(keepingCapacity: true)
        for taken in 0...text.count {
            let position = isForward ? taken : text.count - taken
            var next: [Int] = []
            swap(&next, &current)
            // What was carried here stands before what starts here; order has no meaning.
            var isMatch = false
            for instruction in next { isMatch = follow(instruction, instructions, at: position) || isMatch }
            isMatch = follow(0, instructions, at: position) || isMatch
            if isMatch, !onMatch(position) { return }
            guard taken < text.count, budget >= 0 else { return }
            let point = text[isForward ? position : position - 1]
            next.removeAll(keepingCapacity: true)
            for instruction in current {
                if case .take(let set) = instructions[instruction], program.sets[set].contains(point) {
                    next.append(instruction + 1)
                }
            }
            swap(&next, &current)
            step += 1
        }
    }

    /// Follows everything that takes no code point from `instruction` on, and notes what does take one. Returns whether
    /// the end of the program was reached.
    private mutating func follow(_ instruction: Int, _ instructions: [PatternInstruction], at position: Int) -> Bool {
        var isMatch = false
        pending.append(instruction)
        while let instruction = pending.popLast() {
            guard reached[instruction] != step else { continue }
            reached[instruction] = step
            budget -= 1
            switch instructions[instruction] {
            case .take: current.append(instruction)
            case .split(let first, let second):
                pending.append(second)
                pending.append(first)
            case .jump(let target): pending.append(target)
            case .match: isMatch = true
            case .start: if position == 0 { pending.append(instruction + 1) }
            case .end: if position == text.count { pending.append(instruction + 1) }
            case .wordBoundary(let isNegated):
                if isWordBoundary(position) != isNegated { pending.append(instruction + 1) }
            case .look(let index, let isNegated):
                // Inner lookarounds have smaller numbers, so their tables are there.
                if tables[index][position] != isNegated { pending.append(instruction + 1) }
            }
        }
        return isMatch
    }

    private func isWordBoundary(_ position: Int) -> Bool {
        let before = position > 0 && CharacterSet.isWordCharacter(text[position - 1])
        let after = position < text.count && CharacterSet.isWordCharacter(text[position])
        return before != after
    }
}
