// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Regular expressions: syntax, and matching in both machines, compared with the definition.

import TestSupport
import Testing

@testable import JSONSchema

@Suite("Patterns")
struct PatternTests {
    /// The answer of the program, which must be that of the automaton, where there is one.
    private static func check(_ pattern: String, _ text: String) throws -> Bool {
        let tree = try PatternReader.read(pattern.unicodeScalars.map(\.value))
        let program = try PatternProgram(tree, size: 10_000)
        var run = PatternRun(program, over: text.unicodeScalars.map(\.value), budget: 10_000_000)
        let result = try #require(run.search() as Bool?)
        if let automaton = PatternAutomaton(program) {
            let answer = Array(text.utf8).withUnsafeBufferPointer { automaton.search($0) }
            #expect(answer == result, "\(pattern) \(text)")
        }
        return result
    }

    static let matches: [(String, [String], [String])] = [
        ("", ["", "a"], []),
        ("^$", [""], ["a"]),
        ("$^", [""], ["a"]),
        ("b", ["abc", "b"], ["", "ac"]),
        ("^a|b$", ["ac", "cb"], ["ca", "bc"]),
        ("^(a|b)*c{2,3}$", ["cc", "abccc"], ["c", "cccc"]),
        ("^a{0}b$", ["b"], ["ab"]),
        ("^(?:){5}a$", ["a"], []),
        ("a{,2}", ["a{,2}"], ["aa"]),
        ("^x{2}?$", ["xx"], ["x"]),
        (#"^[^\d\s]+$"#, ["ab-é"], ["a1", "a b"]),
        (#"^[\W_]+$"#, ["_-!"], ["a"]),
        (#"^[\]\-a\\]+$"#, ["]-a\\"], ["b"]),
        ("^[]$", [], ["", "a"]),
        ("^[^]$", ["a", "\n"], [""]),
        ("^[a-]$", ["a", "-"], ["b"]),
        ("^.$", ["a", "😀"], ["\n", "\u{2028}"]),
        (#"\bfoo\b"#, ["a foo b", "foo"], ["afoo", "foob"]),
        (#"\Boo"#, ["foo"], ["oo"]),
        (#"^(?=.*\d)(?=.*[a-z]).{4,}$"#, ["abc1", "1a--"], ["abcd", "1234", "a1"]),
        (#"^(?!.*\.\.)[a-z.]+$"#, ["a.b.c"], ["a..b"]),
        (#"(?<=\$)\d+"#, ["$12"], ["12"]),
        (#"(?<!\$)\b\d+"#, ["12"], ["$12"]),
        ("(?<=a+)b", ["aab"], ["b", "cb"]),
        ("^(?=(?!ab)a)a.$", ["ac"], ["ab"]),
        ("^(?<year>[0-9]{4})-[0-9]{2}$", ["2026-11"], ["26-11"]),
        (#"^\u{1F600}\x41A\cI\0$"#, ["😀AA\t\0"], []),
        (#"^\ud83d\ude00$"#, ["😀"], []),
        (#"^\p{Lu}\P{Lu}\p{General_Category=Nd}$"#, ["Éé५"], ["éÉ1"]),
        (#"^[\p{L}\p{N}]+$"#, ["été1"], ["-"]),
        (#"^[\-\.\/\@\_]$"#, ["-", ".", "/", "@", "_"], ["\\"]),
    ]

    @Test(arguments: matches)
    func match(_ pattern: String, _ good: [String], _ bad: [String]) throws {
        for text in good { #expect(try Self.check(pattern, text), "\(text)") }
        for text in bad { #expect(try !Self.check(pattern, text), "\(text)") }
    }

    static let refused: [(String, PatternError.Code)] = [
        ("(", .syntax), (")", .syntax), ("a)", .syntax), ("(?", .syntax), ("(?:a", .syntax), ("[a", .syntax), ("*", .syntax),
        ("a**", .syntax), ("^*", .syntax), ("a{2,1}", .syntax), ("{2}", .syntax), ("[b-a]", .syntax), (#"[\d-a]"#, .syntax),
        (#"\"#, .syntax), (#"\a"#, .syntax), (#"\Z"#, .syntax), (#"\x4"#, .syntax), (#"\u12"#, .syntax),
        (#"\u{110000}"#, .syntax), (#"\c1"#, .syntax), (#"\01"#, .syntax), (#"\1"#, .syntax), (#"\k<a>"#, .syntax),
        ("(?<a>x)(?<a>y)", .syntax), ("(?<1>x)", .syntax), ("(?P<a>x)", .syntax), ("(?i)a", .syntax), ("(?=a)*", .syntax),
        ("(?i:a)", .modifiers), (#"(a)\1"#, .backreference), (#"(?<a>x)\k<a>"#, .backreference),
        (#"\p{Script=Greek}"#, .unknownProperty), (#"\p{Nonsense}"#, .unknownProperty),
        (String(repeating: "(", count: 51) + String(repeating: ")", count: 51), .tooDeep),
        ("(a{100}){101}", .tooLarge), ("(){0,1000000000}", .tooLarge), ("a{999999999999}", .tooLarge),
        (String(repeating: "(?=a)", count: 33), .tooLarge),
    ]

    @Test(arguments: refused)
    func refuse(_ pattern: String, _ code: PatternError.Code) {
        let error = #expect(throws: PatternError.self) { try Pattern(pattern.unicodeScalars.map(\.value), size: 10_000) }
        #expect(error?.code == code)
    }

    /// Random patterns over a small alphabet, against sets of positions computed straight from the syntax.
    @Test func agreesWithTheDefinition() throws {
        var generator = SplitMix64(state: 41)
        var found = 0
        for _ in 0..<600 {
            let pattern = randomPattern(&generator, depth: 3)
            let tree = try PatternReader.read(pattern.unicodeScalars.map(\.value))
            for _ in 0..<4 {
                let text = String((0..<Int.random(in: 0...7, using: &generator)).map { _ in "abc-".randomElement(using: &generator) ?? "a" })
                let points = text.unicodeScalars.map(\.value)
                let expected = (0...points.count).contains { !Self.ends(tree, points, $0).isEmpty }
                #expect(try Self.check(pattern, text) == expected, "\(pattern) on \(text)")
                if expected { found += 1 }
            }
        }
        #expect((400...2000).contains(found))
    }

    /// Where matches that begin at `start` end.
    private static func ends(_ tree: PatternTree, _ text: [UInt32], _ start: Int) -> Set<Int> {
        let here = { (holds: Bool) -> Set<Int> in holds ? [start] : [] }
        let isWord = { (index: Int) in text.indices.contains(index) && CharacterSet.isWordCharacter(text[index]) }
        switch tree {
        case .set(let set): return start < text.count && set.contains(text[start]) ? [start + 1] : []
        case .sequence(let terms):
            return terms.reduce([start]) { starts, term in Set(starts.flatMap { ends(term, text, $0) }) }
        case .choice(let branches): return Set(branches.flatMap { ends($0, text, start) })
        case .repetition(let body, let least, let most):
            var reached: Set<Int> = [start]
            var result: Set<Int> = least == 0 ? [start] : []
            for count in 1...max(1, most ?? least + text.count + 1) where most != 0 {
                reached = Set(reached.flatMap { ends(body, text, $0) })
                if count >= least { result.formUnion(reached) }
            }
            return result
        case .start: return here(start == 0)
        case .end: return here(start == text.count)
        case .wordBoundary(let isNegated): return here((isWord(start - 1) != isWord(start)) != isNegated)
        case .lookaround(let body, let isAhead, let isNegated):
            let holds = isAhead ? !ends(body, text, start).isEmpty : (0...start).contains { ends(body, text, $0).contains(start) }
            return here(holds != isNegated)
        case .backreference: return []
        }
    }

    private func randomPattern(_ generator: inout SplitMix64, depth: Int) -> String {
        let atoms = ["a", "b", "c", "[ab]", "[^a]", ".", #"\b"#, "^", "(?=b)", "(?!a)", "(?<=a)", #"\w"#, "(?<!b)", ""]
        let choice = Int.random(in: 0..<(depth == 0 ? 1 : 6), using: &generator)
        let inner = { (generator: inout SplitMix64) in self.randomPattern(&generator, depth: depth - 1) }
        switch choice {
        case 1: return "(" + inner(&generator) + "|" + inner(&generator) + ")"
        case 2: return "(?:" + inner(&generator) + ")" + (["*", "+", "?", "{2}", "{1,3}", "*?"].randomElement(using: &generator) ?? "")
        case 3: return inner(&generator) + inner(&generator)
        case 4: return (Bool.random(using: &generator) ? "(?=" : "(?!") + inner(&generator) + ")" + inner(&generator)
        case 5: return inner(&generator) + "c" + inner(&generator)
        default: return atoms.randomElement(using: &generator) ?? "a"
        }
    }

    /// Bounded repetitions of a large class stay automata.
    @Test(arguments: [#"^[\s\S]{1,255}$"#, "^.{0,2000}$", "^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$"])
    func automata(_ pattern: String) throws {
        let program = try PatternProgram(PatternReader.read(pattern.unicodeScalars.map(\.value)), size: 10_000)
        #expect(PatternAutomaton(program) != nil)
    }
}
