// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Applies a compiled schema to a value: a machine with its own stack, so that neither schema nor
// value chooses how deep the thread's stack gets. Assertions and applicators stand in extensions.

import JSONLD

/// One subschema being applied to one value.
struct Frame {
    var node: Int32
    var value: Int32
    /// The keyword being applied, in the program's list.
    var keyword: Int32
    /// Where the keyword has got to; each uses these its own way. All zero when a keyword begins.
    var position: Int32 = 0
    var stage: Int32 = 0
    var count: Int32 = 0
    /// Where what this frame and its subschemas have evaluated begins in the evaluator's list.
    var mark: Int32
    var isValid = true
    /// Whether violations are reported.
    var collects: Bool
    /// Whether what is evaluated has to be noted.
    var tracks: Bool
    /// Whether what was evaluated counts for the frame below: the same value, and it tracks.
    var feedsParent: Bool
}

/// What a keyword says next.
enum Step {
    case passed
    /// Violated, and there is nothing to report: whoever found it has.
    case failed
    /// Violated, to be reported.
    case violated
    /// Another subschema has to be applied first.
    case descend(node: Int32, value: Int32, Descent)
}

/// How a subschema is applied.
struct Descent {
    /// To the same value.
    var isInPlace: Bool
    /// Its violations are violations of the whole.
    var reports: Bool
    /// What it evaluates counts, if it is valid.
    var annotates: Bool

    static let child = Descent(isInPlace: false, reports: true, annotates: false)
    static let quietChild = Descent(isInPlace: false, reports: false, annotates: false)
    static let inPlace = Descent(isInPlace: true, reports: true, annotates: true)
    static let alternative = Descent(isInPlace: true, reports: false, annotates: true)
    static let negation = Descent(isInPlace: true, reports: false, annotates: false)
}

struct Evaluator {
    let program: SchemaProgram
    let tree: TreeView
    private let limits: SchemaLimits
    private(set) var frames: [Frame] = []
    /// Indices of members' and elements' values that have been evaluated; see `Frame.mark`.
    var evaluated: [Int32] = []
    /// Steps that may still be made.
    var work: Int
    private var violations: [SchemaViolation] = []
    private var outcome: SchemaResult.Outcome?
    private var isTruncated = false
    /// What the subschema applied last said, until its keyword has read it.
    private var answer: Bool?

    /// For each name, the number of the object it was last seen in.
    private var stamps: [Int32]
    private var stamp: Int32 = 0
    private var stampedObject: Int32 = -1
    var scratch: [UInt8] = []

    init(_ program: SchemaProgram, _ tree: TreeView, limits: SchemaLimits) {
        self.program = program
        self.tree = tree
        self.limits = limits
        work = limits.work
        stamps = Array(repeating: 0, count: program.names.names.count)
        frames.reserveCapacity(32)
    }

    mutating func run() -> SchemaResult {
        push(
            node: 0, value: 0, collects: limits.violations > 0, tracks: program.nodes[0].tracks, feedsParent: false)
        while let last = frames.indices.last, outcome == nil { advance(last) }
        let found = outcome ?? (answer ?? true ? .valid : .invalid)
        return SchemaResult(outcome: found, violations: violations, isTruncated: isTruncated)
    }

    private mutating func push(node: Int32, value: Int32, collects: Bool, tracks: Bool, feedsParent: Bool) {
        let keywords = program.nodes[Int(node)].keywords
        if keywords.isEmpty {
            answer = true
            return
        }
        guard frames.count < limits.depth else {
            outcome = .depthLimitReached
            return
        }
        frames.append(
            Frame(
                node: node, value: value, keyword: keywords.lowerBound, mark: Int32(evaluated.count), collects: collects,
                tracks: tracks, feedsParent: feedsParent))
    }

    /// Goes on with the last frame until it is done or another subschema has to be applied.
    private mutating func advance(_ index: Int) {
        var frame = frames[index]
        let end = program.nodes[Int(frame.node)].keywords.upperBound
        while frame.keyword < end {
            let keyword = program.keywords[Int(frame.keyword)]
            let step = apply(keyword, &frame, answer)
            answer = nil
            work -= 1
            guard work >= 0 else {
                outcome = .workLimitReached
                return
            }
            switch step {
            case .passed: break
            case .failed: frame.isValid = false
            case .violated:
                frame.isValid = false
                if frame.collects { report(Int(frame.keyword), frame) }
            case .descend(let node, let value, let descent):
                frames[index] = frame
                descend(node, value, descent, from: frame)
                if outcome != nil || frames.count > index + 1 { return }
                continue  // There was nothing to apply, and the answer is known.
            }
            if outcome != nil { return }
            if !frame.isValid, !frame.collects { break }
            frame.keyword += 1
            frame.position = 0
            frame.stage = 0
            frame.count = 0
        }
        finish(frame)
    }

    private mutating func descend(_ node: Int32, _ value: Int32, _ descent: Descent, from frame: Frame) {
        let feeds = descent.isInPlace && descent.annotates && frame.tracks
        push(
            node: node, value: value, collects: frame.collects && descent.reports,
            tracks: feeds || program.nodes[Int(node)].tracks, feedsParent: feeds)
    }

    private mutating func finish(_ frame: Frame) {
        frames.removeLast()
        // Core 2020-12 section 7.7.1: subschemas that fail leave no annotations.
        if !(frame.isValid && frame.feedsParent) {
            evaluated.removeLast(evaluated.count - Int(frame.mark))
        }
        answer = frame.isValid
    }

    private mutating func report(_ keyword: Int, _ frame: Frame) {
        let node = program.nodes[Int(frame.node)]
        let (uri, root) = program.documents[Int(node.document)]
        let name = program.keywordNames[keyword]
        let pointer = JSONPointer.pointer(from: root, to: Int(node.offset))
        work -= JSONPointer.cost(in: tree, to: Int(frame.value))
        violations.append(
            SchemaViolation(
                instancePointer: JSONPointer.pointer(in: tree, to: Int(frame.value)),
                keywordLocation: uri + "#" + pointer + (name.isEmpty ? "" : "/" + name),
                message: message(program.keywords[keyword], frame.value)))
        if violations.count >= limits.violations {
            outcome = .invalid
            isTruncated = true
        }
    }

    // MARK: names

    /// Whether the object at `object` has a member of this name. The first question about an object costs its members,
    /// further ones nothing.
    mutating func hasMember(_ object: Int32, _ symbol: Int32) -> Bool {
        if stampedObject != object {
            stampedObject = object
            stamp &+= 1
            work -= Int(tree.nodes[Int(object)].count) / 4
            let end = Int(tree.nodes[Int(object)].next)
            var position = Int(object) + 1
            while position < end {
                let name = tree.nodes[position].symbol
                if name >= 0 { stamps[Int(name)] = stamp }
                position = tree.next(position + 1)
            }
        }
        return stamps[Int(symbol)] == stamp
    }
}
