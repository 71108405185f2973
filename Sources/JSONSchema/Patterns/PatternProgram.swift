// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A pattern as a program of a nondeterministic automaton (Thompson's construction), in reading
// order or in reverse. Repetitions are written out, so the size is limited.

/// What a program does at one place.
enum PatternInstruction: Sendable {
    /// Takes one code point of the set with this number.
    case take(Int)
    /// Goes on at both places.
    case split(Int, Int)
    case jump(Int)
    case start
    case end
    case wordBoundary(isNegated: Bool)
    /// Goes on where the lookaround with this number holds.
    case look(Int, isNegated: Bool)
    case match
}

/// The instructions of a pattern or of the body of a lookaround.
struct PatternProgram: Sendable {
    var instructions: [PatternInstruction] = []
    var sets: [CharacterSet] = []
    /// The bodies of lookarounds, inner ones first.
    var lookarounds: [Lookaround] = []
    /// Whether there is anything that looks at more than the next code point.
    var looksAround = false

    struct Lookaround: Sendable {
        /// Where a match of the body would end (looking behind) or, run from the end to the beginning, start.
        var instructions: [PatternInstruction]
        var isAhead: Bool
    }

    /// - Parameter size: instructions the program may have, those of lookarounds included.
    init(_ tree: PatternTree, size: Int) throws(PatternError) {
        var builder = PatternBuilder(size: size)
        var instructions: [PatternInstruction] = []
        try builder.append(tree, to: &instructions, isReversed: false)
        instructions.append(.match)
        self.instructions = instructions
        sets = builder.sets
        lookarounds = builder.lookarounds
        looksAround = builder.looksAround
    }
}

private struct PatternBuilder {
    /// Each lookaround costs an octet for each code point of a string.
    private static let largestLookaroundCount = 32

    let size: Int
    var count = 0
    var sets: [CharacterSet] = []
    var lookarounds: [PatternProgram.Lookaround] = []
    var looksAround = false

    init(size: Int) {
        self.size = size
    }

    private mutating func emit(_ instruction: PatternInstruction, to code: inout [PatternInstruction]) throws(PatternError) {
        count += 1
        guard count <= size else { throw PatternError(code: .tooLarge, offset: 0) }
        code.append(instruction)
    }

    /// Recurses as deep as groups are nested, which the reader limits.
    mutating func append(
        _ tree: PatternTree, to code: inout [PatternInstruction], isReversed: Bool
    ) throws(PatternError) {
        switch tree {
        case .set(let set):
            sets.append(set)
            try emit(.take(sets.count - 1), to: &code)
        case .sequence(let terms):
            for index in terms.indices {
                try append(terms[isReversed ? terms.count - 1 - index : index], to: &code, isReversed: isReversed)
            }
        case .choice(let branches):
            try append(choice: branches, to: &code, isReversed: isReversed)
        case .repetition(let body, let least, let most):
            try append(repetition: body, least: least, most: most, to: &code, isReversed: isReversed)
        case .start: try emit(.start, to: &code)
        case .end: try emit(.end, to: &code)
        case .wordBoundary(let isNegated):
            looksAround = true
            try emit(.wordBoundary(isNegated: isNegated), to: &code)
        case .lookaround(let body, let isAhead, let isNegated):
            looksAround = true
            // Looking ahead from everywhere at once is running the reversed body from the end to the beginning.
            var inner: [PatternInstruction] = []
            try append(body, to: &inner, isReversed: isAhead)
            try emit(.match, to: &inner)
            guard lookarounds.count < Self.largestLookaroundCount else { throw PatternError(code: .tooLarge, offset: 0) }
            lookarounds.append(.init(instructions: inner, isAhead: isAhead))
            try emit(.look(lookarounds.count - 1, isNegated: isNegated), to: &code)
        case .backreference:
            throw PatternError(code: .backreference, offset: 0)
        }
    }

    private mutating func append(
        choice branches: [PatternTree], to code: inout [PatternInstruction], isReversed: Bool
    ) throws(PatternError) {
        var jumps: [Int] = []
        for (index, branch) in branches.enumerated() {
            guard index < branches.count - 1 else {
                try append(branch, to: &code, isReversed: isReversed)
                break
            }
            let split = code.count
            try emit(.split(split + 1, 0), to: &code)
            try append(branch, to: &code, isReversed: isReversed)
            jumps.append(code.count)
            try emit(.jump(0), to: &code)
            code[split] = .split(split + 1, code.count)
        }
        for jump in jumps { code[jump] = .jump(code.count) }
    }

    private mutating func append(
        repetition body: PatternTree, least: Int, most: Int?, to code: inout [PatternInstruction], isReversed: Bool
    ) throws(PatternError) {
        for _ in 0..<least {
            let before = code.count
            try append(body, to: &code, isReversed: isReversed)
            if code.count == before { break }  // An empty body is the same however often it stands there.
        }
        guard let most else {
            let split = code.count
            try emit(.split(split + 1, 0), to: &code)
            try append(body, to: &code, isReversed: isReversed)
            try emit(.jump(split), to: &code)
            code[split] = .split(split + 1, code.count)
            return
        }
        var splits: [Int] = []
        for _ in least..<most {
            splits.append(code.count)
            try emit(.split(code.count + 1, 0), to: &code)
            try append(body, to: &code, isReversed: isReversed)
        }
        for split in splits { code[split] = .split(split + 1, code.count) }
    }
}
