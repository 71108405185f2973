// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Contexts that a processor has at hand, read and processed once. The standard library has
// schema.org; others are added as documents.

/// Contexts known by their addresses. Cheap to copy; made once and shared by any number of processors and threads.
public struct ContextLibrary: Sendable {
    let compiled: CompiledContexts

    /// Schema.org, under all the addresses it is used by.
    public static let standard = ContextLibrary(compiled: SchemaOrgContext.compiled)

    /// The release of schema.org's vocabulary that `standard` knows.
    public static let schemaOrgRelease = SchemaOrgTerms.release

    /// SHA-256 of the context file of that release, in hexadecimal.
    public static let schemaOrgDigest = SchemaOrgTerms.sourceDigest

    /// Schema.org's context document as JSON.
    public static func schemaOrgContext() throws(JSONLDError) -> [UInt8] {
        let tree = Tree(symbols: SymbolTable(capacity: 8192))
        return try tree.json(SchemaOrgContext.document.read(into: tree), limit: JSONLDLimits().outputSize)
    }

    /// No contexts at all.
    public static let empty = ContextLibrary(compiled: .none)

    /// Contexts by address.
    /// - Parameters:
    ///   - documents: JSON texts of objects with `@context`.
    ///   - includesSchemaOrg: Whether schema.org is known too.
    /// - Throws: `loading remote context failed` for a text that isn't JSON, `invalid remote context` for one without
    ///   `@context`.
    public init(_ documents: [String: [UInt8]], includesSchemaOrg: Bool = true) throws(JSONLDError) {
        var all = includesSchemaOrg ? [SchemaOrgContext.document] : []
        for (iri, text) in documents.sorted(by: { $0.key < $1.key }) {
            all.append(
                ContextDocument(iris: [iri]) { tree throws(JSONLDError) in
                    do throws(JSONError) {
                        let limit = JSONLDLimits().depth
                        let document = try JSONDocument(text, limits: JSONLimits(depth: limit))
                        return tree.read(document, depth: limit) ?? .null
                    } catch {
                        throw JSONLDError(.loadingRemoteContextFailed, "\(iri): \(error.code.rawValue)")
                    }
                })
        }
        compiled = try CompiledContexts(all)
    }

    init(compiled: CompiledContexts) {
        self.compiled = compiled
    }
}
