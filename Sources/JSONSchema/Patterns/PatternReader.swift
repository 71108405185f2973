// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Reads the syntax of ECMA-262 regular expressions (section 22.2.1) with Unicode semantics, as
// JSON Schema Core section 6.4 recommends. It recurses once for each open group, up to a limit.

/// QUIRK: ECMA-262 section 22.2.1 with the flag `u` allows an escape of itself only for syntax characters, and no
/// lone `{`, `}` and `]`. Schemas in use write `\-`, `\@` and the like everywhere, which its annex B.1.2 allows: so
/// punctuation may be escaped, and lone brackets stand for themselves. Unknown letters stay errors.
struct PatternReader {
    /// Groups inside each other; each costs three small stack frames here and one in the compiler of programs.
    static let largestDepth = 50

    private let points: [UInt32]
    private var position = 0
    private var depth = 0
    private var groupCount = 0
    private var groupNames: Set<[UInt32]> = []
    private var referencedNames: Set<[UInt32]> = []
    private var largestReference = 0

    static func read(_ points: [UInt32]) throws(PatternError) -> PatternTree {
        var reader = PatternReader(points: points)
        let tree = try reader.readChoice()
        guard reader.position == points.count else { throw reader.error(.syntax) }
        guard reader.referencedNames.isSubset(of: reader.groupNames), reader.largestReference <= reader.groupCount else {
            throw reader.error(.syntax)
        }
        return tree
    }

    private init(points: [UInt32]) {
        self.points = points
    }

    private func error(_ code: PatternError.Code) -> PatternError { PatternError(code: code, offset: position) }

    private func peek(_ distance: Int = 0) -> UInt32? {
        position + distance < points.count ? points[position + distance] : nil
    }

    private mutating func take(_ text: StaticString) -> Bool {
        for index in 0..<text.utf8CodeUnitCount where peek(index) != UInt32(text.utf8Start[index]) { return false }
        position += text.utf8CodeUnitCount
        return true
    }

    // Disjunction :: Alternative | Alternative "|" Disjunction
    private mutating func readChoice() throws(PatternError) -> PatternTree {
        var branches: [PatternTree] = [try readSequence()]
        while take("|") { branches.append(try readSequence()) }
        return branches.count == 1 ? branches[0] : .choice(branches)
    }

    // Alternative :: [empty] | Alternative Term
    private mutating func readSequence() throws(PatternError) -> PatternTree {
        var terms: [PatternTree] = []
        while let next = peek(), next != "|", next != ")" {
            let (term, isQuantifiable) = try readTerm()
            guard isQuantifiable else {
                terms.append(term)
                continue
            }
            terms.append(try readQuantifier(term))
        }
        return terms.count == 1 ? terms[0] : .sequence(terms)
    }

    // Term :: Assertion | Atom | Atom Quantifier
    private mutating func readTerm() throws(PatternError) -> (PatternTree, isQuantifiable: Bool) {
        guard let next = peek() else { throw error(.syntax) }
        switch next {
        case "^":
            position += 1
            return (.start, false)
        case "$":
            position += 1
            return (.end, false)
        case "(":
            return try readGroup()
        case ".":
            position += 1
            var set = CharacterSet.lineTerminators
            set.negate()
            return (finished(set), true)
        case "[":
            position += 1
            return (finished(try readClass()), true)
        case "\\":
            position += 1
            return try readEscape()
        case "*", "+", "?":
            throw error(.syntax)
        default:
            if next == "{", try readBounds() != nil { throw error(.syntax) }
            position += 1
            return (finished(CharacterSet([next...next])), true)
        }
    }

    private func finished(_ set: CharacterSet) -> PatternTree {
        var set = set
        set.finish()
        return .set(set)
    }

    // MARK: groups

    private mutating func readGroup() throws(PatternError) -> (PatternTree, isQuantifiable: Bool) {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.largestDepth else { throw error(.tooDeep) }
        var lookaround: (isAhead: Bool, isNegated: Bool)?
        if take("(?:") {
        } else if take("(?=") {
            lookaround = (true, false)
        } else if take("(?!") {
            lookaround = (true, true)
        } else if take("(?<=") {
            lookaround = (false, false)
        } else if take("(?<!") {
            lookaround = (false, true)
        } else if take("(?<") {
            groupCount += 1
            guard groupNames.insert(try readName()).inserted else { throw error(.syntax) }
        } else if take("(?") {
            throw error(isModifiers() ? .modifiers : .syntax)
        } else {
            position += 1
            groupCount += 1
        }
        let body = try readChoice()
        guard take(")") else { throw error(.syntax) }
        guard let lookaround else { return (body, true) }
        return (.lookaround(body, isAhead: lookaround.isAhead, isNegated: lookaround.isNegated), false)
    }

    // Modifiers of ECMA-262, edition of 2025: (?ims-ims: Disjunction ). A group of flags alone is no syntax of it.
    private func isModifiers() -> Bool {
        var index = 0
        while let next = peek(index), next == "i" || next == "m" || next == "s" || next == "-" { index += 1 }
        return index > 0 && peek(index) == ":"
    }

    // GroupName :: "<" RegExpIdentifierName ">"; the "<" has been taken.
    private mutating func readName() throws(PatternError) -> [UInt32] {
        let start = position
        while let next = peek(), next != ">" {
            guard let scalar = Unicode.Scalar(next) else { throw error(.syntax) }
            let isFirst = position == start
            let isAllowed =
                next == "$" || next == "_"
                || (isFirst ? scalar.properties.isIDStart : scalar.properties.isIDContinue)
            guard isAllowed else { throw error(.syntax) }
            position += 1
        }
        let name = Array(points[start..<position])
        guard !name.isEmpty, take(">") else { throw error(.syntax) }
        return name
    }

    // MARK: quantifiers

    private mutating func readQuantifier(_ term: PatternTree) throws(PatternError) -> PatternTree {
        let bounds: (least: Int, most: Int?)
        if take("*") {
            bounds = (0, nil)
        } else if take("+") {
            bounds = (1, nil)
        } else if take("?") {
            bounds = (0, 1)
        } else if let written = try readBounds() {
            bounds = written
        } else {
            return term
        }
        _ = take("?")  // Lazy ones match the same strings.
        return .repetition(term, least: bounds.least, most: bounds.most)
    }

    // "{" DecimalDigits "}" | "{" DecimalDigits ",}" | "{" DecimalDigits "," DecimalDigits "}"
    /// Takes bounds in braces; takes nothing, and returns nil, where something else stands here.
    private mutating func readBounds() throws(PatternError) -> (least: Int, most: Int?)? {
        let start = position
        guard take("{"), let least = readInteger() else {
            position = start
            return nil
        }
        var most: Int? = least
        if take(",") { most = readInteger() }
        guard take("}") else {
            position = start
            return nil
        }
        if let most, most < least { throw error(.syntax) }
        return (least, most)
    }

    /// Digits as a number, one billion at most.
    private mutating func readInteger() -> Int? {
        var value: Int?
        while let next = peek(), next >= 0x30, next <= 0x39 {
            value = min((value ?? 0) * 10 + Int(next - 0x30), 1_000_000_000)
            position += 1
        }
        return value
    }

    // MARK: escapes

    // AtomEscape; the backslash has been taken.
    private mutating func readEscape() throws(PatternError) -> (PatternTree, isQuantifiable: Bool) {
        guard let next = peek() else { throw error(.syntax) }
        switch next {
        case "b", "B":
            position += 1
            return (.wordBoundary(isNegated: next == "B"), false)
        case "k":
            position += 1
            guard take("<") else { throw error(.syntax) }
            referencedNames.insert(try readName())
            return (.backreference, true)
        case 0x31...0x39:
            largestReference = max(largestReference, readInteger() ?? 0)
            return (.backreference, true)
        default:
            return (finished(try readSetEscape()), true)
        }
    }

    /// An escape that stands for a character or a set of them, in a class and outside.
    private mutating func readSetEscape() throws(PatternError) -> CharacterSet {
        guard let next = peek() else { throw error(.syntax) }
        switch next {
        case "d", "D": return classEscape(.digits, isNegated: next == "D")
        case "w", "W": return classEscape(.wordCharacters, isNegated: next == "W")
        case "s", "S": return classEscape(.whiteSpace, isNegated: next == "S")
        case "p", "P":
            position += 1
            var set = CharacterSet()
            set.insert(try readProperty(), isNegated: next == "P")
            return set
        default:
            let point = try readCharacterEscape(next)
            return CharacterSet([point...point])
        }
    }

    private mutating func classEscape(_ set: CharacterSet, isNegated: Bool) -> CharacterSet {
        position += 1
        var set = set
        if isNegated { set.negate() }
        return set
    }

    private mutating func readCharacterEscape(_ letter: UInt32) throws(PatternError) -> UInt32 {
        position += 1
        switch letter {
        case "t": return 0x09
        case "n": return 0x0A
        case "v": return 0x0B
        case "f": return 0x0C
        case "r": return 0x0D
        case "0":
            if let next = peek(), next >= 0x30, next <= 0x39 { throw error(.syntax) }
            return 0
        case "c":
            guard let next = peek(), next < 0x80, UInt8(next).isASCIILetter else { throw error(.syntax) }
            position += 1
            return next & 0x1F
        case "x": return try readHexadecimal(2)
        case "u": return try readUnicodeEscape()
        default:
            // Letters and digits that mean nothing are errors; punctuation stands for itself.
            let isLetterOrDigit = letter < 0x80 && UInt8(letter).isASCIILetterOrDigit
            guard !isLetterOrDigit else { throw error(.syntax) }
            return letter
        }
    }

    private mutating func readHexadecimal(_ count: Int) throws(PatternError) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<count {
            guard let next = peek(), next < 0x80, let digit = UInt8(next).hexadecimalValue else { throw error(.syntax) }
            value = value << 4 | digit
            position += 1
        }
        return value
    }

    // RegExpUnicodeEscapeSequence: \uXXXX, a pair of them, or \u{X…}.
    private mutating func readUnicodeEscape() throws(PatternError) -> UInt32 {
        if take("{") {
            var value: UInt32 = 0
            var count = 0
            while let next = peek(), next < 0x80, let digit = UInt8(next).hexadecimalValue {
                value = min(value << 4 | digit, 0x110000)
                count += 1
                position += 1
            }
            guard count > 0, value <= CharacterSet.largestCodePoint, take("}") else { throw error(.syntax) }
            return value
        }
        let first = try readHexadecimal(4)
        guard (0xD800...0xDBFF).contains(first) else { return first }
        let afterFirst = position
        guard take("\\u"), let second = try? readHexadecimal(4), (0xDC00...0xDFFF).contains(second) else {
            position = afterFirst
            return first
        }
        return 0x10000 + (first - 0xD800) << 10 + (second - 0xDC00)
    }

    private mutating func readProperty() throws(PatternError) -> CodePointProperty {
        guard take("{") else { throw error(.syntax) }
        var name = ""
        while let next = peek(), next != "}" {
            guard let scalar = Unicode.Scalar(next), next < 0x80, UInt8(next).isASCIILetterOrDigit || next == "_" || next == "="
            else { throw error(.syntax) }
            name.unicodeScalars.append(scalar)
            position += 1
        }
        guard take("}") else { throw error(.syntax) }
        guard let property = UnicodeProperties.named(name) else { throw error(.unknownProperty) }
        return property
    }

    // MARK: classes

    // CharacterClass :: "[" "^"? ClassRanges "]"; the "[" has been taken.
    private mutating func readClass() throws(PatternError) -> CharacterSet {
        var set = CharacterSet()
        let isNegated = take("^")
        while !take("]") {
            let first = try readClassAtom()
            guard peek() == "-", let after = peek(1), after != "]" else {
                set.formUnion(first)
                continue
            }
            position += 1
            let last = try readClassAtom()
            guard let lower = first.singleCodePoint, let upper = last.singleCodePoint, lower <= upper else {
                throw error(.syntax)
            }
            set.insert(lower...upper)
        }
        if isNegated { set.negate() }
        return set
    }

    private mutating func readClassAtom() throws(PatternError) -> CharacterSet {
        guard let next = peek() else { throw error(.syntax) }
        position += 1
        guard next == "\\" else { return CharacterSet([next...next]) }
        if take("b") { return CharacterSet([0x08...0x08]) }
        if take("-") { return CharacterSet([0x2D...0x2D]) }
        return try readSetEscape()
    }
}

extension CharacterSet {
    /// The only member, where the set was written as one character.
    fileprivate var singleCodePoint: UInt32? {
        guard !isNegated, properties.isEmpty, ranges.count == 1, ranges[0].count == 1 else { return nil }
        return ranges[0].lowerBound
    }
}

extension UInt32 {
    /// Compares code points with ASCII characters in `switch` and `==`.
    static func ~= (pattern: Unicode.Scalar, value: UInt32) -> Bool { pattern.value == value }
    static func == (left: UInt32, right: Unicode.Scalar) -> Bool { left == right.value }
    static func != (left: UInt32, right: Unicode.Scalar) -> Bool { left != right.value }
}

extension UInt32? {
    fileprivate static func == (left: UInt32?, right: Unicode.Scalar) -> Bool { left.map { $0 == right.value } ?? false }
}
