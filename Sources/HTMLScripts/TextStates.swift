// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Where the text of elements ends whose text is not markup: RCDATA, RAWTEXT and script data with its escaped and double
// escaped states (HTML Standard 13.2.5.2 to 13.2.5.4, 13.2.5.9 to 13.2.5.31). Character references and NUL do not move
// the end, so they are not looked at here.

/// Where a text ended.
struct TextEnd {
    /// Place of the `<` of the end tag; the end of the input where none came.
    var content: Int
    /// Place after the end tag.
    var next: Int
    /// False: the input ended in the text, or in the end tag.
    var isTerminated: Bool
}

extension MarkupReader {
    /// RCDATA and RAWTEXT: the end tag of the same name. `name` is lower case.
    func endOfText(from start: Int, name: StaticString) -> TextEnd {
        var open = input.find(0x3C, from: start)
        while open < input.count {
            if let end = endTag(at: open, name: name) { return end }
            open = input.find(0x3C, from: open + 1)
        }
        return unterminated
    }

    /// Script data. `name` is what an end tag must say ("script" but in the test of a single state).
    func endOfScriptData(from start: Int, name: StaticString = "script") -> TextEnd {
        var open = input.find(0x3C, from: start)
        while open < input.count {
            if let end = endTag(at: open, name: name) { return end }
            if input.hasExactPrefix("!--", at: open + 1) {
                switch endOfEscape(from: open, name: name) {
                case .endTag(let end): return end
                case .scriptData(let next): open = input.find(0x3C, from: next)
                }
            } else {
                open = input.find(0x3C, from: open + 1)
            }
        }
        return unterminated
    }

    private enum EscapeEnd {
        case endTag(TextEnd)
        /// `-->` closed it; script data goes on.
        case scriptData(Int)
    }

    /// 13.2.5.20 to 13.2.5.31, from `<!--` on. Two cursors, on the next `<` and the next `>`, each moving forward only.
    ///
    /// `-->` ends the escape; its dashes may be those of `<!--`. `<script` followed by white space, `/` or `>` begins
    /// the double escape, in which `</script` followed by one of those is text and ends the double escape only.
    private func endOfEscape(from start: Int, name: StaticString) -> EscapeEnd {
        var isDouble = false
        var close = input.find(0x3E, from: start + 4)
        var open = input.find(0x3C, from: start + 4)
        while true {
            if close < open {
                if input[close - 1] == 0x2D, input[close - 2] == 0x2D { return .scriptData(close + 1) }
                close = input.find(0x3E, from: close + 1)
                continue
            }
            guard open < input.count else { return .endTag(unterminated) }
            if isDouble {
                if open + 1 < input.count, input[open + 1] == 0x2F, isName("script", at: open + 2) { isDouble = false }
            } else if let end = endTag(at: open, name: name) {
                return .endTag(end)
            } else if isName("script", at: open + 1) {
                isDouble = true
            }
            open = input.find(0x3C, from: open + 1)
        }
    }

    /// Whether `name` stands at `start`, and what follows ends a tag name.
    @inline(__always) private func isName(_ name: StaticString, at start: Int) -> Bool {
        let after = start + name.utf8CodeUnitCount
        return after < input.count && input[after].endsTagName && input.hasPrefix(name, at: start)
    }

    /// The appropriate end tag at `open`, if that is what stands there. If the input ends in its attributes, the tag is
    /// never emitted, but the text had ended before it.
    private func endTag(at open: Int, name: StaticString) -> TextEnd? {
        let nameStart = open + 2
        guard nameStart < input.count, input[open + 1] == 0x2F, isName(name, at: nameStart) else { return nil }
        var index = nameStart + name.utf8CodeUnitCount
        var place = AttributePlace()
        while true {
            switch step(&index, &place) {
            case .attribute: continue
            case .endOfTag: return TextEnd(content: open, next: index, isTerminated: true)
            case .endOfInput: return TextEnd(content: open, next: input.count, isTerminated: false)
            }
        }
    }

    private var unterminated: TextEnd { TextEnd(content: input.count, next: input.count, isTerminated: false) }
}
