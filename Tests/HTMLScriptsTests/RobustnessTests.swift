// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Whatever the sender writes: no crash, places inside the input, the same answer as the plain tokenizer, linear time,
// limits with an outcome.

import TestSupport
import Testing

@testable import HTMLScripts

@Suite struct RobustnessTests {
    /// Documents that the tokenizer alone decides.
    static let plain = [
        "<!doctype html><!--x--!><!--><!---><!-- -- --->\u{FEFF}<?a><!x></ x></><p a='b'\"c=d/e =f==g h><title>&amp;</titl></title><br/>",
        "<script a=\"1&quot;&#x41;&amp\" B='&lt' c=&notit; c=2 d>x<!--<script a>y</script >--><!-</script/ z='>'><style><!--</style  ></p q>",
        "<textarea><script></textarea\n><script><!-- -></scrip></script-><</script><xmp></xm></xmp><SCRIPT\t/>\u{0}&#0;\r\n\r</ScRiPt\u{0C}>",
        "<iframe>a</iframe><noembed></noembed><noframes><noscript><script>é</script></noframes><script><!--<script></script></script>--></script>",
        "<script><!---></script><script><!--></script><script><!--<SCRIPT>--></script><script></script x",
    ]

    /// Documents that need open elements.
    static let tree = [
        "<svg><script type=a>x&lt;<![CDATA[y]]><!--z--><g>u</g></script><title><script>a</script></title></svg><style><script></style>",
        "<b><i><p><svg><foreignObject></b><table><tr><td></i><math><mi><script>1</script></mi><annotation-xml encoding=text/html><b><script>",
        "<template><col><script>x</script></template><table><caption><svg></caption><template><tr><td></template><select><option><svg><p></select>",
        "<a><div><a><svg><desc></a></div><nobr><b><nobr></b></svg><li><svg><li><form><div></form><button><p><button></p><dd><dt><h1><h2></h1>",
        "<p><b><script>x</script></p><svg></svg><frameset><noframes><script></noframes><script>",
    ]

    struct Script: Equatable, CustomStringConvertible {
        var attributes: [String: String]
        var text: String
        var isTerminated: Bool
        var description: String { "\(attributes) \(text.debugDescription) \(isTerminated)" }
    }

    /// Checks the places, and takes the texts, which read the elements once more.
    @discardableResult static func scan(_ bytes: [UInt8], _ limits: ScriptLimits = ScriptLimits()) -> [Script] {
        let result = ScriptScanner.scan(bytes, limits: limits)
        var end = 0
        return result.elements.map { element in
            #expect(element.startTag.lowerBound >= end && element.startTag.upperBound <= element.content.lowerBound)
            #expect(element.content.upperBound <= bytes.count)
            end = element.startTag.upperBound
            let text = ScriptScanner.text(of: element, in: bytes)
            #expect(text.count <= 4 * element.content.count)
            return Script(
                attributes: Dictionary(uniqueKeysWithValues: element.attributes.map { ($0.name, $0.value) }),
                text: String(decoding: text, as: UTF8.self), isTerminated: element.isTerminated)
        }
    }

    /// The script elements of a document as the plain tokenizer sees them; nil where open elements would decide.
    static func reference(_ bytes: [UInt8]) -> [Script]? {
        var scripts: [Script] = []
        var isInside = false
        for event in ReferenceTokenizer.document(bytes) {
            switch event {
            case .startTag("svg", _, _), .startTag("math", _, _), .startTag("template", _, _),
                .startTag("frameset", _, _):
                return nil
            case .startTag(let name, let attributes, _):
                isInside = name == "script"
                if isInside { scripts.append(Script(attributes: attributes, text: "", isTerminated: false)) }
            case .text(let text):
                if isInside { scripts[scripts.count - 1].text = text }
            case .endTag:
                if isInside { scripts[scripts.count - 1].isTerminated = true }
                isInside = false
            }
        }
        return scripts
    }

    @Test(arguments: plain + tree) func everyTruncation(_ document: String) {
        let bytes = Array(document.utf8)
        for end in 0...bytes.count {
            let prefix = Array(bytes[..<end])
            let scripts = Self.scan(prefix)
            if let expected = Self.reference(prefix) { #expect(scripts == expected) }
        }
        for start in 0...bytes.count { Self.scan(Array(bytes[start...])) }
    }

    // MARK: Mutations

    private static let pieces = [
        "<", ">", "/", "!", "-", "--", "=", "'", "\"", " ", "\n", "\r", "\u{0}", "&", ";", "#", "?", "[", "]]>", "<!--",
        "-->", "<script>", "</script>", "<![CDATA[",
        "</", "<title>", "<style", "script", "&amp", "&#x", "\u{C}", "é", "x", "<p ", "--!>", "</title", "<plaintext>",
    ].map { Array($0.utf8) }

    private static func mutated(_ document: [UInt8], _ generator: inout SplitMix64) -> [UInt8] {
        var bytes = document
        for _ in 0..<Int.random(in: 1...6, using: &generator) {
            let place = Int.random(in: 0...bytes.count, using: &generator)
            let end = min(bytes.count, place + Int.random(in: 0...8, using: &generator))
            switch Int.random(in: 0..<4, using: &generator) {
            case 0: bytes.removeSubrange(place..<end)
            case 1: bytes.insert(contentsOf: bytes[place..<end], at: Int.random(in: 0...bytes.count, using: &generator))
            case 2: bytes.insert(contentsOf: pieces.randomElement(using: &generator) ?? [], at: place)
            default: if place < bytes.count { bytes[place] = UInt8.random(in: 0...255, using: &generator) }
            }
        }
        return bytes
    }

    /// What stands behind the last script changes nothing about those before it, whether it is read or not.
    private static func checkReadingOn(_ bytes: [UInt8]) {
        let results = [false, true].map { isWhole in
            bytes.withUnsafeBufferPointer { html -> ScriptScan? in
                guard let base = html.baseAddress else { return nil }
                var run = ScanRun(Input(base: base, count: html.count), ScriptLimits())
                run.scan(isWhole: isWhole)
                return run.result
            }
        }
        #expect(results[0]?.elements.map(\.startTag) == results[1]?.elements.map(\.startTag), "\(bytes)")
        #expect(results[0]?.elements.map(\.content) == results[1]?.elements.map(\.content), "\(bytes)")
        #expect(results[0]?.elements.map(\.namespace) == results[1]?.elements.map(\.namespace), "\(bytes)")
        #expect(results[0]?.problems == results[1]?.problems, "\(bytes)")
    }

    @Test func theLastOfAnOctetIsFound() {
        for count in 1..<70 {
            var bytes = [UInt8](repeating: 0xBC, count: count)
            bytes.withUnsafeMutableBufferPointer { html in
                guard let base = html.baseAddress else { return }
                let input = Input(base: UnsafePointer(base), count: count)
                for end in 0...count {
                    #expect(input.findLast(0x3C, before: end) == -1)
                    for place in 0..<count {
                        html[place] = 0x3C
                        let expected = place < end ? place : -1
                        if input.findLast(0x3C, before: end) != expected { Issue.record("\(count) \(end) \(place)") }
                        html[place] = 0xBC
                    }
                }
            }
        }
    }

    @Test func mutationsAgreeWithThePlainTokenizer() throws {
        var generator = SplitMix64(state: 2_025)
        let seeds = Self.plain.map { Array($0.utf8) }
        var compared = 0
        for _ in 0..<1_500 {
            let bytes = Self.mutated(try #require(seeds.randomElement(using: &generator)), &generator)
            let scripts = Self.scan(bytes)
            Self.checkReadingOn(bytes)
            if let expected = Self.reference(bytes) {
                compared += 1
                #expect(scripts == expected, "\(bytes)")
            }
            let state = try #require(StartState.allCases.randomElement(using: &generator))
            let name = ["script", "title", "xmp"].randomElement(using: &generator)
            let got = ReaderEvents.read(bytes, from: state, lastStartTag: name)
            #expect(got == ReferenceTokenizer.read(bytes, from: state, lastStartTag: name), "\(state) \(bytes)")
        }
        #expect(compared > 1_400)
    }

    @Test func mutationsOfTrees() throws {
        var generator = SplitMix64(state: 2_026)
        let seeds = Self.tree.map { Array($0.utf8) }
        let names = "b i a p div table tr td svg math mi desc template col select option frameset li form button".split(
            separator: " ")
        var limits = ScriptLimits()
        limits.depth = 20
        for round in 0..<1_500 {
            var bytes = Self.mutated(try #require(seeds.randomElement(using: &generator)), &generator)
            for _ in 0..<Int.random(in: 0...20, using: &generator) {
                let name = names.randomElement(using: &generator) ?? "p"
                let tag = Array((Bool.random(using: &generator) ? "<\(name)>" : "</\(name)>").utf8)
                bytes.insert(contentsOf: tag, at: Int.random(in: 0...bytes.count, using: &generator))
            }
            Self.scan(bytes, round % 2 == 0 ? limits : ScriptLimits())
            Self.checkReadingOn(bytes)
            _ = HTMLCharset.label(of: bytes)
        }
    }

    // MARK: Time

    struct Trap: CustomTestStringConvertible {
        var prefix = ""
        var unit: String
        var size = 1 << 20
        var testDescription: String { "\(prefix)\(unit) x" }
    }

    /// In a debug build each takes far less than a second; anything quadratic would take minutes.
    @Test(
        .timeLimit(.minutes(1)),
        arguments: [
            Trap(unit: "<"), Trap(unit: "<!--"), Trap(unit: "<!-->"), Trap(unit: "<!-- >"), Trap(unit: "<!---"),
            Trap(unit: "</scrip"), Trap(unit: "<a"), Trap(unit: "<a "),
            Trap(prefix: "<a", unit: " a"), Trap(prefix: "<a", unit: " a=b"), Trap(unit: "<a b='"),
            Trap(unit: "<a b=\"'>"), Trap(unit: "</"), Trap(unit: "<?"), Trap(unit: "<!"),
            Trap(prefix: "<script>", unit: "<!--<script>"), Trap(prefix: "<script>", unit: "<!--<script>-->"),
            Trap(prefix: "<script>", unit: "</script"),
            Trap(prefix: "<script>", unit: "</script "), Trap(prefix: "<script><!--", unit: "<"),
            Trap(prefix: "<script><!--", unit: "->"), Trap(unit: "<script>"),
            Trap(unit: "<script></script>"), Trap(unit: "<title>"), Trap(prefix: "<title>", unit: "</title"),
            Trap(unit: "<title></title>"), Trap(prefix: "<script a='", unit: "&"),
            Trap(prefix: "<script a='", unit: "&CounterClockwiseContourIntegra"),
            Trap(prefix: "<script a='", unit: "&#9"), Trap(prefix: "<script", unit: " a=1"),
            Trap(prefix: "<svg>", unit: "<![CDATA["), Trap(prefix: "<svg><script>", unit: "&"),
            Trap(prefix: "<svg>", unit: "<script>", size: 1 << 18), Trap(unit: "<meta "), Trap(unit: "<meta>"),
        ]) func lexicalTraps(_ trap: Trap)
    { Self.run(trap) }

    @Test(
        .timeLimit(.minutes(1)),
        arguments: [
            Trap(prefix: "<svg>", unit: "<g>"), Trap(prefix: "<svg>", unit: "</g>"),
            Trap(prefix: "<svg></svg>", unit: "<b>"), Trap(prefix: "<svg></svg>", unit: "<b a=b><p></b>"),
            Trap(prefix: "<svg></svg>", unit: "<div></b>"), Trap(prefix: "<svg></svg><b>", unit: "<div></b><b>"),
            Trap(prefix: "<svg></svg>", unit: "<p>x</p>"),
            Trap(prefix: "<svg></svg>" + (0..<200).map { "<i a=\($0)>" }.joined(), unit: "<p>x</p></i>"),
            Trap(prefix: "<svg></svg>", unit: "<table>"),
            Trap(prefix: "<svg></svg>", unit: "<table><tr><td>"), Trap(prefix: "<svg></svg>", unit: "<a>"),
            Trap(prefix: "<svg></svg>", unit: "<nobr>"), Trap(unit: "<template>"),
            Trap(unit: "<template><col>"), Trap(unit: "<svg><desc>"), Trap(unit: "<math><mi>"),
            Trap(prefix: "<svg></svg>", unit: "<object>"), Trap(prefix: "<svg></svg>", unit: "<select>"),
        ].map { Trap(prefix: $0.prefix, unit: $0.unit, size: 1 << 16) }) func treeTraps(_ trap: Trap)
    { Self.run(trap) }

    private static func run(_ trap: Trap) {
        let bytes = Array((trap.prefix + String(repeating: trap.unit, count: trap.size / trap.unit.utf8.count)).utf8)
        let result = ScriptScanner.scan(bytes)
        #expect(result.elements.count <= ScriptLimits().scripts)
        #expect(result.problems.count <= 2 * ScriptLimits().scripts)
        if let last = result.elements.last { _ = ScriptScanner.text(of: last, in: bytes) }
        _ = HTMLCharset.label(of: bytes)
    }

    // MARK: Limits

    private func limits(_ change: (inout ScriptLimits) -> Void) -> ScriptLimits {
        var limits = ScriptLimits()
        change(&limits)
        return limits
    }

    @Test(arguments: ["", "<svg></svg>"]) func scriptLimit(_ prefix: String) {
        let html = Array((prefix + "<script>1</script><script>2</script><script>3</script>").utf8)
        let result = ScriptScanner.scan(html, limits: limits { $0.scripts = 2 })
        #expect(result.elements.count == 2)
        #expect(result.problems == [ScriptProblem(code: .scriptLimit, offset: prefix.utf8.count + 36)])
        #expect(ScriptScanner.scan(html, limits: limits { $0.scripts = 3 }).problems.isEmpty)
        #expect(ScriptScanner.scan(html, limits: limits { $0.scripts = 0 }).elements.isEmpty)
        let foreign = ScriptScanner.scan(Array("<svg><script/><script>".utf8), limits: limits { $0.scripts = 1 })
        #expect(foreign.elements.count == 1)
        #expect(foreign.problems == [ScriptProblem(code: .scriptLimit, offset: 14)])
    }

    @Test func attributeLimits() throws {
        let many = Array(("<script" + (0..<100_000).map { " a\($0)" }.joined() + ">x</script>").utf8)
        let result = ScriptScanner.scan(many)
        #expect(try #require(result.elements.first).attributes.count == ScriptLimits().attributes)
        #expect(result.problems.map(\.code) == [.attributeLimit])

        let html = Array("<script a=1 b=12345 cdefg=2>x</script>".utf8)
        let short = ScriptScanner.scan(html, limits: limits { $0.attributeLength = 3 })
        #expect(short.elements.first?.attributes.map(\.name) == ["a", "b", "cde"])
        #expect(short.elements.first?.attributes.map(\.value) == ["1", "123", "2"])
        #expect(short.problems == [ScriptProblem(code: .attributeLength, offset: 14)])
        let two = ScriptScanner.scan(html, limits: limits { $0.attributes = 2 })
        #expect(two.elements.first?.attributes.count == 2)
        #expect(two.problems == [ScriptProblem(code: .attributeLimit, offset: 20)])
        #expect(
            ScriptScanner.scan(
                html,
                limits: limits {
                    $0.attributes = 3
                    $0.attributeLength = 5
                }
            ).problems.isEmpty)
    }

    @Test func depthLimit() {
        let html = Array(("<svg></svg>" + String(repeating: "<div>", count: 40) + "<script>x</script>").utf8)
        let result = ScriptScanner.scan(html, limits: limits { $0.depth = 30 })
        #expect(result.elements.count == 1)
        #expect(result.problems == [ScriptProblem(code: .depthLimit, offset: 11 + 28 * 5)])
        #expect(ScriptScanner.scan(html).problems.isEmpty)
    }

    @Test func newNamesAreForgottenButNotThoseOfOpenElements() {
        let names = (0..<20_000).map { "<long-name-\($0)/></long-name-\($0)>" }.joined()
        Self.check("<svg><long-name-x>\(names)<![CDATA[<script>a</script>]]></svg><script>b</script>", ["b"])
        Self.check("<long-name-y><svg>\(names)</long-name-y><style><script>a</script></style><script>b</script>", ["b"])
    }

    private static func check(_ html: String, _ texts: [String]) {
        #expect(scan(Array(html.utf8)).map(\.text) == texts)
    }

    @Test func unterminatedScript() {
        #expect(
            ScriptScanner.scan(Array("<p><script>x".utf8)).problems == [
                ScriptProblem(code: .unterminatedScript, offset: 3)
            ])
        #expect(
            ScriptScanner.scan(Array("<svg><script>x".utf8)).problems == [
                ScriptProblem(code: .unterminatedScript, offset: 5)
            ])
    }
}
