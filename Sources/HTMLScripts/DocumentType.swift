// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Whether a document type means quirks mode (HTML Standard 13.2.6.4.1). It decides one thing here: whether a table
// closes a paragraph.

struct DocumentType {
    private(set) var isQuirky = false
    private let input: Input
    private var index: Int
    /// Place of `>`, or the end of the input.
    private let end: Int

    /// `range` is from `<!` to after `>`; the input may have ended before the `>`.
    init(_ input: Input, _ range: Range<Int>) {
        self.input = input
        index = range.lowerBound + 9
        end = input[range.upperBound - 1] == 0x3E ? range.upperBound - 1 : range.upperBound
        isQuirky = end == range.upperBound || readsAsQuirky()
    }

    /// 13.2.5.53 to 13.2.5.68, and then the conditions of 13.2.6.4.1.
    private mutating func readsAsQuirky() -> Bool {
        skipSpace()
        let nameStart = index
        while index < end, !input[index].isSpace { index += 1 }
        guard input.equals(nameStart..<index, "html") else { return true }
        skipSpace()
        guard index < end else { return false }
        let isPublic = input.hasPrefix("public", at: index)
        guard isPublic || input.hasPrefix("system", at: index) else { return true }
        index += 6
        skipSpace()
        guard let first = identifier() else { return true }
        guard isPublic else { return first == Self.quirkySystemIdentifier }
        skipSpace()
        guard index < end else { return Self.isQuirky(publicIdentifier: first, system: nil) }
        guard let second = identifier() else { return true }
        return second == Self.quirkySystemIdentifier || Self.isQuirky(publicIdentifier: first, system: second)
    }

    private mutating func skipSpace() {
        while index < end, input[index].isSpace { index += 1 }
    }

    /// A quoted identifier in lower case; nil where there is none or it is not closed.
    private mutating func identifier() -> String? {
        guard index < end, input[index] == 0x22 || input[index] == 0x27 else { return nil }
        let close = input.find(input[index], from: index + 1)
        guard close < end else { return nil }
        let text = String(decoding: ((index + 1)..<close).map { input[$0].lowercased }, as: UTF8.self)
        index = close + 1
        return text
    }

    private static func isQuirky(publicIdentifier: String, system: String?) -> Bool {
        if ["-//w3o//dtd w3 html strict 3.0//en//", "-/w3c/dtd html 4.0 transitional/en", "html"].contains(
            publicIdentifier)
        {
            return true
        }
        if system == nil,
            publicIdentifier.hasPrefix("-//w3c//dtd html 4.01 frameset//")
                || publicIdentifier.hasPrefix("-//w3c//dtd html 4.01 transitional//")
        {
            return true
        }
        return quirkyPrefixes.contains { publicIdentifier.hasPrefix($0) }
    }

    private static let quirkySystemIdentifier = "http://www.ibm.com/data/dtd/v11/ibmxhtml1-transitional.dtd"

    private static let quirkyPrefixes = [
        "+//silmaril//dtd html pro v0r11 19970101//", "-//as//dtd html 3.0 aswedit + extensions//",
        "-//advasoft ltd//dtd html 3.0 aswedit + extensions//", "-//ietf//dtd html 2.0 level 1//",
        "-//ietf//dtd html 2.0 level 2//",
        "-//ietf//dtd html 2.0 strict level 1//", "-//ietf//dtd html 2.0 strict level 2//",
        "-//ietf//dtd html 2.0 strict//",
        "-//ietf//dtd html 2.0//", "-//ietf//dtd html 2.1e//", "-//ietf//dtd html 3.0//",
        "-//ietf//dtd html 3.2 final//",
        "-//ietf//dtd html 3.2//", "-//ietf//dtd html 3//", "-//ietf//dtd html level 0//",
        "-//ietf//dtd html level 1//",
        "-//ietf//dtd html level 2//", "-//ietf//dtd html level 3//", "-//ietf//dtd html strict level 0//",
        "-//ietf//dtd html strict level 1//", "-//ietf//dtd html strict level 2//",
        "-//ietf//dtd html strict level 3//",
        "-//ietf//dtd html strict//", "-//ietf//dtd html//", "-//metrius//dtd metrius presentational//",
        "-//microsoft//dtd internet explorer 2.0 html strict//", "-//microsoft//dtd internet explorer 2.0 html//",
        "-//microsoft//dtd internet explorer 2.0 tables//", "-//microsoft//dtd internet explorer 3.0 html strict//",
        "-//microsoft//dtd internet explorer 3.0 html//", "-//microsoft//dtd internet explorer 3.0 tables//",
        "-//netscape comm. corp.//dtd html//", "-//netscape comm. corp.//dtd strict html//",
        "-//o'reilly and associates//dtd html 2.0//",
        "-//o'reilly and associates//dtd html extended 1.0//",
        "-//o'reilly and associates//dtd html extended relaxed 1.0//",
        "-//sq//dtd html 2.0 hotmetal + extensions//",
        "-//softquad software//dtd hotmetal pro 6.0::19990601::extensions to html 4.0//",
        "-//softquad//dtd hotmetal pro 4.0::19971010::extensions to html 4.0//", "-//spyglass//dtd html 2.0 extended//",
        "-//sun microsystems corp.//dtd hotjava html//", "-//sun microsystems corp.//dtd hotjava strict html//",
        "-//w3c//dtd html 3 1995-03-24//", "-//w3c//dtd html 3.2 draft//", "-//w3c//dtd html 3.2 final//",
        "-//w3c//dtd html 3.2//",
        "-//w3c//dtd html 3.2s draft//", "-//w3c//dtd html 4.0 frameset//", "-//w3c//dtd html 4.0 transitional//",
        "-//w3c//dtd html experimental 19960712//", "-//w3c//dtd html experimental 970421//", "-//w3c//dtd w3 html//",
        "-//w3o//dtd w3 html 3.0//", "-//webtechs//dtd mozilla html 2.0//", "-//webtechs//dtd mozilla html//",
    ]
}
