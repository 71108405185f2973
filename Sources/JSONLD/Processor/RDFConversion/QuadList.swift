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
        let writer = QuadWriter(symbols: tree.symbols, capacity: min(list.count * 192, limits.outputSize) + 64)
        for quad in list {
            writer.write(quad)
            if writer.bytes.count > limits.outputSize {
                writer.bytes.deallocate()
                throw JSONLDError(.limitExceeded, "the result is larger than \(limits.outputSize) octets")
            }
        }
        return writer.bytes.finish()
    }
}

/// Writes quads in the canonical form of RDFC-1.0 section 5.
private struct QuadWriter {
    let symbols: SymbolTable
    let bytes: ByteBuffer

    init(symbols: SymbolTable, capacity: Int) {
        self.symbols = symbols
        bytes = ByteBuffer(capacity: capacity)
    }

    func write(_ quad: SymbolQuad) {
        write(resource: quad.subject)
        bytes.append(UInt8(ascii: " "))
        write(resource: quad.predicate)
        bytes.append(UInt8(ascii: " "))
        switch quad.object {
        case .resource(let symbol): write(resource: symbol)
        case .literal(let lexical, let datatype):
            write(lexical: lexical)
            if datatype != .xsdString {
                bytes.append("^^")
                write(resource: datatype)
            }
        case .tagged(let lexical, let language):
            write(lexical: lexical)
            bytes.append(UInt8(ascii: "@"))
            bytes.append(contentsOf: symbols.bytes(language))
        }
        if let graph = quad.graph {
            bytes.append(UInt8(ascii: " "))
            write(resource: graph)
        }
        bytes.append(" .\n")
    }

    @inline(__always)
    private func write(resource symbol: Symbol) {
        if symbols.traits(symbol).contains(.blankNode) {
            bytes.append(contentsOf: symbols.bytes(symbol))
        } else {
            // Only well-formed IRIs get here; they hold nothing that has to be escaped.
            bytes.append(UInt8(ascii: "<"))
            bytes.append(contentsOf: symbols.bytes(symbol))
            bytes.append(UInt8(ascii: ">"))
        }
    }

    private func write(lexical symbol: Symbol) {
        let content = symbols.bytes(symbol)
        bytes.append(UInt8(ascii: "\""))
        if symbols.traits(symbol).contains(.needsEscape) {
            writeEscaped(content)
        } else {
            bytes.append(contentsOf: content)
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private func writeEscaped(_ content: UnsafeBufferPointer<UInt8>) {
        for byte in content where !bytes.append(shortEscape: byte) {
            if byte < 0x20 || byte == 0x7F {
                bytes.append(unicodeEscape: byte, digits: "0123456789ABCDEF")
            } else {
                bytes.append(byte)
            }
        }
    }
}
