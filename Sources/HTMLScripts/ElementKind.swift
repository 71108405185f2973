// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What tree construction (HTML Standard 13.2.6) distinguishes about the names of elements: which rule their tags follow, and in which of the
// standard's lists they are.

/// The rule a start tag follows in HTML content; names under one rule share a kind.
enum ElementKind: UInt8 {
    case a, body, button, caption, cell, column, columnGroup, definition, form, formatting, frame, frameset, head, heading, html
    case block, preformatted, input, item, mathRoot, marked, nobr, noframes, noscript, option, optionGroup, other, paragraph, plaintext
    case rawText, row, rowGroup, ruby, rubyBase, rubyText, rule, script, select, style, svgRoot, table, template, textarea, title, voidBlock
    case voidHead, voidInline, xmp, lineBreak
}

/// The lists of 13.2.4.2 and 13.2.4.3 and of the rules for foreign content (13.2.6.5).
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
}

struct ElementClass {
    var kind: ElementKind
    var traits: ElementTraits

    static let unknown = ElementClass(kind: .other, traits: [])

    static func named(_ name: String) -> ElementClass {
        table[name] ?? unknown
    }

    private static let table: [String: ElementClass] = {
        var table: [String: ElementClass] = [:]
        for (kind, names) in kinds {
            for name in names.split(separator: " ") { table[String(name)] = ElementClass(kind: kind, traits: []) }
        }
        for (trait, names) in traits {
            for name in names.split(separator: " ") { table[String(name), default: unknown].traits.insert(trait) }
        }
        return table
    }()

    private static let kinds: [(ElementKind, String)] = [
        (.a, "a"), (.body, "body"), (.button, "button"), (.caption, "caption"), (.cell, "td th"), (.column, "col"),
        (.columnGroup, "colgroup"), (.definition, "dd dt"), (.form, "form"), (.frame, "frame"), (.frameset, "frameset"),
        (.formatting, "b big code em font i s small strike strong tt u"), (.head, "head"), (.heading, "h1 h2 h3 h4 h5 h6"),
        (.html, "html"), (.input, "input"), (.item, "li"), (.mathRoot, "math"), (.marked, "applet marquee object"), (.nobr, "nobr"),
        (
            .block,
            "address article aside blockquote center details dialog dir div dl fieldset figcaption figure footer header hgroup main menu"
                + " nav ol search section summary ul"
        ),
        (.preformatted, "listing pre"), (.noframes, "noframes"), (.noscript, "noscript"), (.option, "option"),
        (.optionGroup, "optgroup"), (.paragraph, "p"), (.plaintext, "plaintext"), (.rawText, "iframe noembed"), (.row, "tr"),
        (.rowGroup, "tbody tfoot thead"), (.ruby, "ruby"), (.rubyBase, "rb rtc"), (.rubyText, "rp rt"), (.rule, "hr"),
        (.script, "script"), (.select, "select"), (.style, "style"), (.svgRoot, "svg"), (.table, "table"), (.template, "template"),
        (.textarea, "textarea"), (.title, "title"), (.voidBlock, "param source track"), (.voidHead, "base basefont bgsound link meta"),
        (.voidInline, "area embed image img keygen wbr"), (.lineBreak, "br"), (.xmp, "xmp"),
    ]

    private static let traits: [(ElementTraits, String)] = [
        (
            .special,
            "address applet area article aside base basefont bgsound blockquote body br button caption center col colgroup dd details dir"
                + " div dl dt embed fieldset figcaption figure footer form frame frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html"
                + " iframe img input keygen li link listing main marquee menu meta nav noembed noframes noscript object ol p param"
                + " plaintext pre script search section select source style summary table tbody td template textarea tfoot th thead"
                + " title tr track ul wbr xmp"
        ),
        (.scope, "applet caption html marquee object select table td template th"),
        (.implied, "dd dt li optgroup option p rb rp rt rtc"),
        (.impliedThoroughly, "caption colgroup dd dt li optgroup option p rb rp rt rtc tbody td tfoot th thead tr"),
        (
            .breakout,
            "b big blockquote body br center code dd div dl dt em embed h1 h2 h3 h4 h5 h6 head hr i img li listing menu meta nobr ol p"
                + " pre ruby s small span strong strike sub sup table tt u ul var"
        ),
    ]
}
