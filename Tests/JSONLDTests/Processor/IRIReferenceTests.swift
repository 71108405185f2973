// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// IRI references: the examples of RFC 3986, and the way back.

import Testing

@testable import JSONLD

private func resolve(_ reference: String, _ base: String) -> String {
    let (reference, base) = (Array(reference.utf8), Array(base.utf8))
    return reference.withUnsafeBufferPointer { reference in
        base.withUnsafeBufferPointer { base in
            String(decoding: IRIReference.resolve(reference, against: base), as: UTF8.self)
        }
    }
}

private func relativize(_ iri: String, _ base: String) -> String {
    let (iri, base) = (Array(iri.utf8), Array(base.utf8))
    return iri.withUnsafeBufferPointer { iri in
        base.withUnsafeBufferPointer { base in
            String(decoding: IRIReference.relativize(iri, against: base), as: UTF8.self)
        }
    }
}

// RFC 3986 sections 5.4.1 and 5.4.2.
@Test(arguments: [
    ("g:h", "g:h"), ("g", "http://a/b/c/g"), ("./g", "http://a/b/c/g"), ("g/", "http://a/b/c/g/"), ("/g", "http://a/g"),
    ("//g", "http://g"), ("?y", "http://a/b/c/d;p?y"), ("g?y", "http://a/b/c/g?y"), ("#s", "http://a/b/c/d;p?q#s"),
    ("g#s", "http://a/b/c/g#s"), ("g?y#s", "http://a/b/c/g?y#s"), (";x", "http://a/b/c/;x"), ("g;x", "http://a/b/c/g;x"),
    ("g;x?y#s", "http://a/b/c/g;x?y#s"), ("", "http://a/b/c/d;p?q"), (".", "http://a/b/c/"), ("./", "http://a/b/c/"),
    ("..", "http://a/b/"), ("../", "http://a/b/"), ("../g", "http://a/b/g"), ("../..", "http://a/"),
    ("../../", "http://a/"), ("../../g", "http://a/g"), ("../../../g", "http://a/g"), ("../../../../g", "http://a/g"),
    ("/./g", "http://a/g"), ("/../g", "http://a/g"), ("g.", "http://a/b/c/g."), (".g", "http://a/b/c/.g"),
    ("g..", "http://a/b/c/g.."), ("..g", "http://a/b/c/..g"), ("./../g", "http://a/b/g"), ("./g/.", "http://a/b/c/g/"),
    ("g/./h", "http://a/b/c/g/h"), ("g/../h", "http://a/b/c/h"), ("g;x=1/./y", "http://a/b/c/g;x=1/y"),
    ("g;x=1/../y", "http://a/b/c/y"), ("g?y/./x", "http://a/b/c/g?y/./x"), ("g?y/../x", "http://a/b/c/g?y/../x"),
    ("g#s/./x", "http://a/b/c/g#s/./x"), ("g#s/../x", "http://a/b/c/g#s/../x"), ("http:g", "http:g"),
])
func referenceResolves(reference: String, expected: String) {
    #expect(resolve(reference, "http://a/b/c/d;p?q") == expected)
}

@Test(arguments: [
    ("g", "http://a", "http://a/g"), ("?x", "http://a", "http://a?x"), ("b", "urn:x:a", "urn:b"),
    ("#f", "http://a/b#c", "http://a/b#f"), ("é", "http://a/b/", "http://a/b/é"),
])
func referenceResolvesAgainstOtherBases(reference: String, base: String, expected: String) {
    #expect(resolve(reference, base) == expected)
}

@Test(arguments: [
    ("http://a/b/c/x", "x"), ("http://a/b/x", "../x"), ("http://a/x", "../../x"), ("http://a/b/c/d;p?q#s", "#s"),
    ("http://a/b/c/d;p?y", "?y"), ("http://a/b/c/", "./"), ("http://a/b/", "../"), ("http://b/c", "http://b/c"),
    ("https://a/b/c/x", "https://a/b/c/x"), ("http://a/b/c/x:y", "./x:y"), ("http://a/b/c/@id", "./@id"),
    ("http://a/b/c/x?y#z", "x?y#z"), ("urn:x", "urn:x"),
])
func relativeReferenceLeadsBack(iri: String, expected: String) {
    let base = "http://a/b/c/d;p?q"
    #expect(relativize(iri, base) == expected)
    #expect(resolve(expected, base) == iri)
}

@Test(arguments: [
    ("http://a/b", true), ("urn:x", true), ("a+b-c.1:x", true), ("http://a/é", true), ("http://a/#x", true), ("x", false),
    ("", false), (":x", false), ("1a:x", false), ("http://a b", false), ("http://a/<", false), ("http://a/{b}", false),
    ("http://a/#x#y", false), ("http://a/\\", false),
])
func formOfAnIRI(text: String, expected: Bool) {
    let bytes = Array(text.utf8)
    #expect(bytes.withUnsafeBufferPointer { IRIReference.isWellFormed($0) } == expected)
}
