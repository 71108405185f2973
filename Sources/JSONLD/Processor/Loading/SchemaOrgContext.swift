// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The schema.org context, made again from its terms when it is first asked for.

enum SchemaOrgContext {
    /// Schema.org answers under these addresses; mail uses all of them.
    private static let addresses: [String] = ["https", "http"].flatMap { scheme in
        ["schema.org", "www.schema.org"].flatMap { host in
            ["/", "", "/docs/jsonldcontext.jsonld", "/docs/jsonldcontext.json", "/docs/jsonldcontext.json.txt"]
                .map { "\(scheme)://\(host)\($0)" }
        }
    }

    /// Compiled once in a process, in a few milliseconds.
    static let compiled: CompiledContexts = {
        do {
            return try CompiledContexts([document])
        } catch {
            // The terms are part of the program, and a test compiles them; without them the context is unknown.
            return .none
        }
    }()

    static let document = ContextDocument(iris: addresses) { tree throws(JSONLDError) in .object(make(in: tree)) }

    private static func make(in tree: Tree) -> ObjectID {
        let symbols = tree.symbols
        let context = tree.makeObject()
        for (term, value) in pairs(SchemaOrgTerms.strings) {
            tree.set(symbols.intern(term), .string(symbols.intern(value)), in: context)
        }
        let date = symbols.intern("Date")
        for (terms, type) in [
            (SchemaOrgTerms.plain, nil), (SchemaOrgTerms.identifiers, Symbol.id), (SchemaOrgTerms.dates, date),
        ] {
            for term in words(terms) {
                let definition = tree.makeObject(.id, .string(symbols.intern("schema:\(term)")))
                if let type { tree.add(.type, .string(type), to: definition) }
                tree.set(symbols.intern(term), .object(definition), in: context)
            }
        }
        for (term, value) in pairs(SchemaOrgTerms.others) {
            let definition = tree.makeObject(.id, .string(symbols.intern(value)))
            tree.set(symbols.intern(term), .object(definition), in: context)
        }
        return tree.makeObject(.context, .object(context))
    }

    private static func words(_ text: StaticString) -> [String] {
        text.withUTF8Buffer { bytes in
            bytes.split(whereSeparator: { $0 <= 0x20 }).map { String(decoding: $0, as: UTF8.self) }
        }
    }

    private static func pairs(_ text: StaticString) -> [(String, String)] {
        let words = words(text)
        return stride(from: 0, to: words.count - 1, by: 2).map { (words[$0], words[$0 + 1]) }
    }
}
