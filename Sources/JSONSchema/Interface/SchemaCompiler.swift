// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Makes a schema of draft 7 or 2020-12 ready for use. Nothing is fetched: references lead into
// the schema itself, the documents given, or the meta-schemas that are built in.

public import JSONLD

/// Compiles JSON Schemas.
public enum SchemaCompiler {
    /// Compiles `schema`, an object or a boolean.
    ///
    /// - Parameter documents: what the schema may refer to, by absolute URI. They are read when they are referred to.
    ///   Their own `$id` counts too.
    /// - Throws: `SchemaError` with a JSON pointer to what is wrong. Every subschema of `schema` is compiled, used or
    ///   not; those of `documents` only where they are referred to.
    public static func compile(
        _ schema: JSONDocument, documents: [String: JSONDocument] = [:], options: SchemaOptions = SchemaOptions()
    ) throws(SchemaError) -> CompiledSchema {
        var compilation = try Compilation(schema, documents: documents, options: options)
        return CompiledSchema(program: try compilation.run())
    }
}

/// A schema ready for use. It never changes, and can be used by any number of threads at once.
public struct CompiledSchema: Sendable {
    let program: SchemaProgram

    /// Checks a value. Time is bounded by `limits.work`; memory is linear in the value's text, plus what is allowed by
    /// `limits.depth`. There is no recursion.
    public func validate(_ value: JSONValue, limits: SchemaLimits = SchemaLimits()) -> SchemaResult {
        let tree = ValueTree(value, names: program.names)
        return tree.withView { view in
            var evaluator = Evaluator(program, view, limits: limits)
            return evaluator.run()
        }
    }

    /// Number of subschemas, those of other documents included.
    public var subschemaCount: Int { program.nodes.count }
}
