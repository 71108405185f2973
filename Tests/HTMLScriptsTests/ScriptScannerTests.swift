// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What counts as a script element, and what it says: one table of documents, and the mails of the corpus that were made
// for this.

import Foundation
import HTMLScripts
import TestSupport
import Testing

@Suite struct ScriptScannerTests {
    struct Document: CustomTestStringConvertible {
        var html: String
        /// The text of each script element, `!` before those that the input's end cut.
        var texts: [String]
        var testDescription: String { html.debugDescription }

        init(_ html: String, _ texts: String...) {
            self.html = html
            self.texts = texts
        }
    }

    static func check(_ document: Document) {
        let bytes = Array(document.html.utf8)
        let scan = ScriptScanner.scan(bytes)
        let texts = scan.elements.map {
            ($0.isTerminated ? "" : "!") + String(decoding: ScriptScanner.text(of: $0, in: bytes), as: UTF8.self)
        }
        #expect(texts == document.texts)
        for element in scan.elements {
            #expect(bytes[element.startTag.lowerBound] == 0x3C)
            #expect(element.startTag.upperBound <= element.content.lowerBound)
            #expect(element.content.upperBound <= bytes.count)
        }
        let unterminated = scan.problems.filter { $0.code == .unterminatedScript }
        #expect(unterminated.count == scan.elements.count { !$0.isTerminated })
    }

    @Test(arguments: [
        Document(""), Document("<"), Document("</"), Document("<script"), Document("<script>", "!"),
        Document("<scripts>x</scripts>"),
        Document("<script>a</script>b<SCRIPT >c</ScRiPt\n>d", "a", "c"),
        Document("<script/>a</script>", "a"), Document("<script/x>a</script/>", "a"),
        Document("<script>a</script x='>'>b<script>c</script>", "a", "c"),
        Document("<script>a</scriptx></script-></ script></script>b", "a</scriptx></script-></ script>"),
        Document("<script>a</script", "!a</script"), Document("<script>a</script ", "!a"),
        Document("<script>a</script b='", "!a"),
        Document("<script\u{0C}a>x</script\u{0C}>", "x"), Document("< script>x</script>"),
        Document("<\u{0}script>x</script>"),
    ]) func tags(_ document: Document) { Self.check(document) }

    @Test(arguments: [
        Document("<!--<script>x</script>--><script>y</script>", "y"), Document("<!--><script>y</script>-->", "y"),
        Document("<!---><script>y</script>-->", "y"), Document("<!----><script>y</script>-->", "y"),
        Document("<!--x--!><script>y</script>-->", "y"), Document("<!--x--!-><script>y</script>"),
        Document("<!--x-- ><script>y</script>"), Document("<!--<!--><script>y</script>-->", "y"),
        Document("<!--<!-><script>y</script>"),
        Document("<!---!><script>y</script>"), Document("<!x<script>y</script>"),
        Document("<!x'>'<script>y</script>", "y"),
        Document("<?x '><script>y</script>'?>", "y"), Document("</ x='><script>y</script>", "y"),
        Document("</><script>y</script>", "y"),
        Document("<!doctype html SYSTEM \"><script>y</script>\">", "y"),
        Document("<![CDATA[<script>x</script>]]><script>y</script>", "y"),
        Document("<![CDATA[>]]><script>y</script>", "y"), Document("<!-"), Document("<!"),
    ]) func comments(_ document: Document) { Self.check(document) }

    @Test(arguments: [
        Document("<script><!--</script>", "<!--"),
        Document("<script><!--<script></script>--></script>", "<!--<script></script>-->"),
        Document("<script><!--<script></script></script>", "<!--<script></script>"),
        Document("<script><!--<script>--></script>", "<!--<script>-->"),
        Document("<script><!--><script></script>", "<!--><script>"),
        Document("<script><!---><script></script>", "<!---><script>"),
        Document("<script><!-<script></script>", "<!-<script>"),
        Document("<script><!--<scripts></script>", "<!--<scripts>"), Document("<script><!--<script", "!<!--<script"),
        Document("<script><!--<script-->x</script>", "<!--<script-->x"),
        Document("<script><!--<script ></script/ ></script>", "<!--<script ></script/ >"),
        Document("<script><!--<script></scripts></script>y</script>", "<!--<script></scripts></script>y"),
        Document("<script><!--</script x", "!<!--"), Document("<script>a\r\nb\rc\u{0}</script>", "a\nb\nc\u{FFFD}"),
        Document("<script>&lt;</script>", "&lt;"), Document("<script><![CDATA[x]]></script>", "<![CDATA[x]]>"),
    ]) func scriptData(_ document: Document) { Self.check(document) }

    @Test(arguments: [
        Document("<title><script>x</script></title><script>y</script>", "y"), Document("<textarea><script>x</script>"),
        Document("<style><script>x</script></style ><script>y</script>", "y"),
        Document("<xmp><!--</xmp><script>y</script>-->", "y"),
        Document(
            "<iframe><script>x</script></iframe><noembed><script>x</script></noembed><noframes><script>x</script></noframes>"
        ),
        Document("<noscript><script>y</script></noscript>", "y"), Document("<plaintext><script>x</script></plaintext>"),
        Document("</plaintext><script>y</script>", "y"),
        Document("<title></titles><script>x</script></TITLE/><script>y</script>", "y"),
        Document("<p title='<script>x</script>'><script>y</script>", "y"),
        Document("<p title=\"'\" x='\"'><script>y</script>", "y"),
        Document("<p a=b'><script>y</script>'", "y"), Document("<p a'='><script>x</script>'>"),
        Document("<p =\"><script>y</script>", "y"),
        Document("<p a = ><script>y</script>", "y"),
        Document("<p a=\"b\"c='><script>x</script>'><script>y</script>", "y"),
        Document("<p/='><script>y</script>'>", "y"), Document("<p a==\"><script>y</script>\">", "y"),
    ]) func otherText(_ document: Document) { Self.check(document) }

    @Test(arguments: [
        Document("<svg><script>a&amp;<![CDATA[<b>&]]><!--c-->d</script></svg><script>y</script>", "a&<b>&d", "y"),
        Document("<svg><script>a<g>b</g>c</script>", "ac"), Document("<svg><script/><script>y</script>", "", "y"),
        Document("<svg><script>a<p>b<script>y</script>", "a", "y"), Document("<svg><style><script>y</script>", "y"),
        Document("<svg><title><script>y</script><title><script>x</script>", "y"), Document("<math><script>y", "!y"),
        Document("<math><mi><script>a&amp;</script>", "a&amp;"), Document("<svg><![CDATA[<script>x</script>]]></svg>"),
        Document("<svg><foreignObject><![CDATA[<script>x</script>]]><script>&</script>", "&"),
        Document("<svg><script>x</svg>", "x"),
        Document("<svg></svg><![CDATA[<script>x</script>]]>"), Document("<svg/><style><script>x</script>"),
        Document("<svg><script><svg><script>b</script></svg>a</script>", "a", "b"),
        Document("<svg><script>a&#0;\u{0}\r\n</script>", "a\u{FFFD}\u{FFFD}\n"),
        Document("<math><annotation-xml><svg><desc><style><script>x</script></style><script>y</script>", "y"),
        Document("<svg><body></svg><frameset><script>y</script>", "y"),
        Document("<template><script>y</script></template>", "y"),
        Document("<template><col><script>x</script></template><script>y</script>", "y"),
        Document("<frameset><script>x</script><noframes><script>x</script></noframes></frameset><script>x</script>"),
        Document("<script>y</script><p><script>x</script><frameset>", "y"),
        Document("x<frameset><script>y</script>", "y"),
        Document("<table><tr><script>y</script><td><script>z</script>", "y", "z"),
        Document("<select><style><script>x</script></style></select>"),
        Document("<div><svg></div><style><script>x</script></style>"),
        Document("<svg></div><style><script>y</script></style>", "y"),
    ]) func openElements(_ document: Document) { Self.check(document) }

    struct Attributes: CustomTestStringConvertible {
        var tag: String
        var expected: [ScriptElement.Attribute]
        var testDescription: String { tag.debugDescription }

        init(_ tag: String, _ expected: (String, String)...) {
            self.tag = tag
            self.expected = expected.map { ScriptElement.Attribute(name: $0.0, value: $0.1) }
        }
    }

    @Test(arguments: [
        Attributes("<script>"), Attributes("<script TYPE=a Type='b' x>", ("type", "a"), ("x", "")),
        Attributes("<script type = 'application/ld&#x2B;json'>", ("type", "application/ld+json")),
        Attributes("<script a='&amp;&lt;&ampx&notit;&not=&notin;&acE;'>", ("a", "&<&ampx&notit;&not=∉∾̳")),
        Attributes("<script a=&quot;>", ("a", "\"")), Attributes("<script a=&ampb b=&amp>", ("a", "&ampb"), ("b", "&")),
        Attributes(
            "<script a='&#0;&#xD800;&#x110000;&#99999999999;&#128;&#13;&#;&#x;'>",
            ("a", "\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}€\r&#;&#x;")),
        Attributes("<script a\u{0}='\u{0}\r\n\r'>", ("a\u{FFFD}", "\u{FFFD}\n\n")),
        Attributes("<script ='a' É=É>", ("='a'", ""), ("É", "É")),
        Attributes("<script a/b='c'/d>", ("a", ""), ("b", "c"), ("d", "")), Attributes("<script a=b/>", ("a", "b/")),
        Attributes("<script \"a\"'=<>", ("\"a\"'", "<")),
    ]) func attributes(_ test: Attributes) throws {
        let scan = ScriptScanner.scan(Array((test.tag + "</script>").utf8))
        #expect(try #require(scan.elements.first).attributes == test.expected)
        #expect(scan.problems.isEmpty)
    }

    @Test func overloadsAgree() throws {
        let html = Array("<p><script type=\" Application/LD+JSON \" data-hook-key=k>{}</script>".utf8)
        let element = try #require(ScriptScanner.scan(html).elements.first)
        #expect(element.type == " Application/LD+JSON ")
        #expect(element.attribute("data-hook-key") == "k")
        #expect(element.attribute("missing") == nil)
        #expect(Array(html[element.content]) == Array("{}".utf8))
        #expect(html.withUnsafeBufferPointer { ScriptScanner.scan($0) } == ScriptScanner.scan(html))
        #expect(ScriptScanner.scan(html.span) == ScriptScanner.scan(html))
        #expect(HTMLCharset.label(of: html.span).label == nil)
    }
}
