// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Quads of symbols: what the conversion to RDF makes, before anybody asks for strings or for
// N-Quads.

/// The object of a statement.
enum SymbolTerm: Hashable, Sendable, BitwiseCopyable {
    /// An IRI, or a blank node with its `_:`.
    case resource(Symbol)
    case literal(Symbol, datatype: Symbol)
    case tagged(Symbol, language: Symbol)
}

/// A statement. Resources that begin with `_:` are blank nodes.
struct SymbolQuad: Hashable, Sendable, BitwiseCopyable {
    var subject: Symbol
    var predicate: Symbol
    var object: SymbolTerm
    /// Nil for the default graph.
    var graph: Symbol?
}

/// The statements of a document.
public struct RDFDataset: Sendable {
    let tree: Tree
    let list: [SymbolQuad]
    let limits: JSONLDLimits

    /// The number of statements.
    public var count: Int { list.count }

    /// The statements as values.
    public var quads: [RDFQuad] {
        list.map { quad in
            RDFQuad(
                subject: resource(quad.subject), predicate: resource(quad.predicate), object: term(quad.object),
                graph: quad.graph.map { resource($0) })
        }
    }

    private func resource(_ symbol: Symbol) -> RDFTerm {
        let text = tree.symbols.text(symbol)
        return tree.symbols.traits(symbol).contains(.blankNode) ? .blankNode(String(text.dropFirst(2))) : .iri(text)
    }

    private func term(_ term: SymbolTerm) -> RDFTerm {
        let symbols = tree.symbols
        switch term {
        case .resource(let symbol): return resource(symbol)
        case .literal(let lexical, let datatype):
            return .literal(symbols.text(lexical), datatype: symbols.text(datatype))
        case .tagged(let lexical, let language):
            return .literal(RDFLiteral(lexicalForm: symbols.text(lexical), language: symbols.text(language)))
        }
    }
}

extension RDFDataset {
    /// The statements as N-Quads, a line each, in the order they were made.
    /// - Throws: `limit exceeded` if they are larger than `JSONLDLimits.outputSize`.
    public func nquads() throws(JSONLDError) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(min(list.count * 160, limits.outputSize))
        for quad in list {
            append(resource: quad.subject, to: &bytes)
            bytes.append(UInt8(ascii: " "))
            append(resource: quad.predicate, to: &bytes)
            bytes.append(UInt8(ascii: " "))
            append(quad.object, to: &bytes)
            if let graph = quad.graph {
                bytes.append(UInt8(ascii: " "))
                append(resource: graph, to: &bytes)
            }
            bytes.append(contentsOf: " .\n".utf8)
            guard bytes.count <= limits.outputSize else {
                throw JSONLDError(.limitExceeded, "the result is larger than \(limits.outputSize) octets")
            }
        }
        return bytes
    }

    private func append(resource symbol: Symbol, to bytes: inout [UInt8]) {
        let content = tree.symbols.bytes(symbol)
        if tree.symbols.traits(symbol).contains(.blankNode) {
            bytes.append(contentsOf: content)
        } else {
            // Only well-formed IRIs get here; they hold nothing that has to be escaped.
            bytes.append(UInt8(ascii: "<"))
            bytes.append(contentsOf: content)
            bytes.append(UInt8(ascii: ">"))
        }
    }

    private func append(_ term: SymbolTerm, to bytes: inout [UInt8]) {
        switch term {
        case .resource(let symbol): append(resource: symbol, to: &bytes)
        case .literal(let lexical, let datatype):
            append(lexical: lexical, to: &bytes)
            if datatype != .xsdString {
                bytes.append(contentsOf: "^^".utf8)
                append(resource: datatype, to: &bytes)
            }
        case .tagged(let lexical, let language):
            append(lexical: lexical, to: &bytes)
            bytes.append(UInt8(ascii: "@"))
            bytes.append(contentsOf: tree.symbols.bytes(language))
        }
    }

    // RDFC-1.0 section 5: what is escaped in canonical N-Quads, and how.
    private func append(lexical symbol: Symbol, to bytes: inout [UInt8]) {
        let content = tree.symbols.bytes(symbol)
        bytes.append(UInt8(ascii: "\""))
        if tree.symbols.traits(symbol).contains(.needsEscape) || content.contains(0x7F) {
            for byte in content { appendEscaped(byte, to: &bytes) }
        } else {
            bytes.append(contentsOf: content)
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private func appendEscaped(_ byte: UInt8, to bytes: inout [UInt8]) {
        switch byte {
        case UInt8(ascii: "\""): bytes.append(contentsOf: "\\\"".utf8)
        case UInt8(ascii: "\\"): bytes.append(contentsOf: "\\\\".utf8)
        case 0x08: bytes.append(contentsOf: "\\b".utf8)
        case 0x09: bytes.append(contentsOf: "\\t".utf8)
        case 0x0A: bytes.append(contentsOf: "\\n".utf8)
        case 0x0C: bytes.append(contentsOf: "\\f".utf8)
        case 0x0D: bytes.append(contentsOf: "\\r".utf8)
        case 0..<0x20, 0x7F:
            let digits = String(byte, radix: 16, uppercase: true)
            bytes.append(contentsOf: "\\u00\(digits.utf8.count == 1 ? "0" : "")\(digits)".utf8)
        default: bytes.append(byte)
        }
    }
}
