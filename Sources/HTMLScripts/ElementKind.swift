// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What tree construction (HTML Standard 13.2.6) distinguishes about the names of elements: which rule their tags
// follow, and in which of the standard's lists they are.

/// The rule a start tag follows in HTML content; names under one rule share a kind.
enum ElementKind: UInt8 {
    case a, body, button, caption, cell, column, columnGroup, definition, form, formatting, frame, frameset, head,
        heading, html
    case block, preformatted, input, item, mathRoot, marked, nobr, noframes, noscript, option, optionGroup, other,
        paragraph, plaintext
    case annotation, base, description, font, foreignObject, iframe, mathGlyph, mathText, noembed
    case row, rowGroup, ruby, rubyBase, rubyText, rule, script, select, style, svgRoot, table, template, textarea,
        title, voidBlock
    case voidHead, voidInline, xmp, lineBreak
}

/// The lists of 13.2.4.2 and 13.2.4.3, of the rules for foreign content (13.2.6.5) and of the rules for list items
/// (13.2.6.4.7).
struct ElementTraits: OptionSet {
    let rawValue: UInt8
    /// The special category.
    static let special = ElementTraits(rawValue: 1)
    /// Ends the search of "has an element in scope".
    static let scope = ElementTraits(rawValue: 2)
    /// Closed by "generate implied end tags".
    static let implied = ElementTraits(rawValue: 4)
    /// Closed by "generate all implied end tags thoroughly".
    static let impliedThoroughly = ElementTraits(rawValue: 8)
    /// Its start tag leaves foreign content.
    static let breakout = ElementTraits(rawValue: 16)
    /// Ends the search for a list item in scope.
    static let itemScope = ElementTraits(rawValue: 32)
    /// Special, but the search for the list item to close goes past it.
    static let passable = ElementTraits(rawValue: 64)
}

/// A name as a number: the same number, the same name, within one scan. 0 is none.
///
/// Names of the standard have fixed numbers; others of up to eight bytes are their bytes; longer ones are counted.
typealias ElementName = UInt64

struct ElementClass {
    var kind: ElementKind
    var traits: ElementTraits

    static let unknown = ElementClass(kind: .other, traits: [])
}

/// The names of one document.
struct ElementNames {
    private var long: [String: ElementName] = [:]
    /// Packed names begin with a letter, so the highest bit tells long ones apart.
    private var lastLong: ElementName = 1 << 63

    static let a = number("a")
    static let body = number("body")
    static let columnGroup = number("colgroup")
    static let head = number("head")
    static let html = number("html")
    static let item = number("li")
    static let nobr = number("nobr")
    static let optionGroup = number("optgroup")
    static let paragraph = number("p")
    static let row = number("tr")
    static let rowGroup = number("tbody")
    static let rubyTextContainer = number("rtc")
    static let script = number("script")

    private static func number(_ name: String) -> ElementName { KnownNames.shared.numbers[name] ?? 0 }

    static let knownCount = KnownNames.shared.classes.count

    /// Index of a name of the standard.
    @inline(__always) static func knownIndex(_ name: ElementName) -> Int? {
        name & KnownNames.mark == KnownNames.mark ? Int(name & 0xFFFF) : nil
    }

    static func elementClass(_ name: ElementName) -> ElementClass {
        guard let index = knownIndex(name) else { return .unknown }
        return KnownNames.shared.classes[index]
    }

    mutating func number(_ range: Range<Int>, in input: Input) -> ElementName {
        if let packed = Self.packed(range, input) { return KnownNames.shared.short[packed] ?? packed }
        let name = AttributeList.lowercasedName(input, range)
        if let number = KnownNames.shared.numbers[name] ?? long[name] { return number }
        lastLong += 1
        long[name] = lastLong
        return lastLong
    }

    /// Forgets what no open element is called, so that a document of nothing but new names does not fill the memory.
    mutating func forget(except open: OpenElements) {
        guard long.count > Self.longLimit else { return }
        let names = Set(open.stack.map(\.name))
        long = long.filter { names.contains($0.value) }
    }

    /// More than can be open at once is what counts.
    private static let longLimit = 4_096

    /// Up to eight bytes in one number. Shorter names end in zero bytes, so a NUL in a name must not be packed.
    private static func packed(_ range: Range<Int>, _ input: Input) -> UInt64? {
        guard range.count <= 8 else { return nil }
        var packed: UInt64 = 0
        for index in range {
            if input[index] == 0 { return nil }
            packed = packed << 8 | UInt64(input[index].lowercased)
        }
        return packed
    }
}

private struct KnownNames: Sendable {
    static let shared = KnownNames()

    /// Set in the numbers of these names only.
    static let mark: ElementName = 3 << 62

    private(set) var numbers: [String: ElementName] = [:]
    /// The packed ones of them.
    private(set) var short: [UInt64: ElementName] = [:]
    private(set) var classes: [ElementClass] = []

    private init() {
        for (kind, names) in Self.kinds {
            for name in names.split(separator: " ") { classes[add(String(name))].kind = kind }
        }
        for (trait, names) in Self.traits {
            for name in names.split(separator: " ") { classes[add(String(name))].traits.insert(trait) }
        }
    }

    private mutating func add(_ name: String) -> Int {
        if let number = numbers[name] { return Int(number & ~Self.mark) }
        let index = classes.count
        classes.append(.unknown)
        numbers[name] = Self.mark | ElementName(index)
        if name.utf8.count <= 8 { short[name.utf8.reduce(0) { $0 << 8 | UInt64($1) }] = Self.mark | ElementName(index) }
        return index
    }

    private static let kinds: [(ElementKind, String)] = [
        (.a, "a"), (.body, "body"), (.button, "button"), (.caption, "caption"), (.cell, "td th"), (.column, "col"),
        (.columnGroup, "colgroup"), (.definition, "dd dt"), (.form, "form"), (.frame, "frame"), (.frameset, "frameset"),
        (.formatting, "b big code em i s small strike strong tt u"), (.head, "head"), (.heading, "h1 h2 h3 h4 h5 h6"),
        (.html, "html"), (.input, "input"), (.item, "li"), (.mathRoot, "math"), (.marked, "applet marquee object"),
        (.nobr, "nobr"),
        (
            .block,
            "address article aside blockquote center details dialog dir div dl fieldset figcaption figure"
                + " footer header hgroup main menu nav ol search section summary ul"
        ),
        (.preformatted, "listing pre"), (.noframes, "noframes"), (.noscript, "noscript"), (.option, "option"),
        (.optionGroup, "optgroup"), (.paragraph, "p"), (.plaintext, "plaintext"), (.noembed, "noembed"), (.row, "tr"),
        (.rowGroup, "tbody tfoot thead"), (.ruby, "ruby"), (.rubyBase, "rb rtc"), (.rubyText, "rp rt"), (.rule, "hr"),
        (.script, "script"), (.select, "select"), (.style, "style"), (.svgRoot, "svg"), (.table, "table"),
        (.template, "template"),
        (.textarea, "textarea"), (.title, "title"), (.mathText, "mi mn mo ms mtext"), (.mathGlyph, "malignmark mglyph"),
        (.annotation, "annotation-xml"), (.foreignObject, "foreignobject"), (.description, "desc"), (.font, "font"),
        (.base, "base"),
        (.iframe, "iframe"), (.voidBlock, "param source track"), (.voidHead, "basefont bgsound link meta"),
        (.voidInline, "area embed image img keygen wbr"), (.lineBreak, "br"), (.xmp, "xmp"),
    ]

    private static let traits: [(ElementTraits, String)] = [
        (
            .special,
            "address applet area article aside base basefont bgsound blockquote body br button caption"
                + " center col colgroup dd details dir div dl dt embed fieldset figcaption figure footer form"
                + " frame frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html iframe img input keygen li link"
                + " listing main marquee menu meta nav noembed noframes noscript object ol p param plaintext pre"
                + " script search section select source style summary table tbody td template textarea tfoot th"
                + " thead title tr track ul wbr xmp"
        ),
        (.itemScope, "ol ul"), (.passable, "address div p"),
        (.scope, "applet caption html marquee object select table td template th"),
        (.implied, "dd dt li optgroup option p rb rp rt rtc"),
        (.impliedThoroughly, "caption colgroup dd dt li optgroup option p rb rp rt rtc tbody td tfoot th thead tr"),
        (
            .breakout,
            "b big blockquote body br center code dd div dl dt em embed h1 h2 h3 h4 h5 h6 head hr i img"
                + " li listing menu meta nobr ol p pre ruby s small span strong strike sub sup table tt u ul var"
        ),
    ]
}
