// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Looks at a document as JSON-LD where a hook asks for that: whether its types are accepted, and
// in which form it becomes the data of an event. Contexts come from the library; nothing is fetched.

import HookModel
import JSONLD
import JSONSchema

struct DocumentShaper: Sendable {
    enum Result: Sendable, Hashable {
        case asSent
        /// A JSON text.
        case shaped([UInt8])
        case refused(CandidateDecision, reason: String)
        /// Looking at it took more work than is allowed.
        case tooMuch(CandidateDecision, reason: String)
    }

    /// A mail can hold a hundred documents, and its sender hears the answer while the connection waits: a document may
    /// cost some milliseconds, far more than an order and far less than the library itself allows.
    private static var options: JSONLDOptions {
        var options = JSONLDOptions()
        options.limits.termDefinitions = 50_000
        options.limits.cells = 1_000_000
        return options
    }
    private static let schemaLimits = SchemaLimits(work: 1_000_000)

    private let processor: JSONLDProcessor
    /// Compiled schemas by their text.
    private let schemas: [[UInt8]: CompiledSchema]

    /// `policies` are those it will be asked about: their schemas are compiled once. One that cannot be compiled lets
    /// nothing through; the configuration's check tells it first.
    init(contexts: ContextLibrary = .standard, policies: [HookPolicy] = []) {
        processor = JSONLDProcessor(options: Self.options, contexts: contexts)
        var schemas: [[UInt8]: CompiledSchema] = [:]
        for text in policies.compactMap(\.schema) where schemas[text] == nil {
            schemas[text] = (try? JSONDocument(text)).flatMap { try? SchemaCompiler.compile($0) }
        }
        self.schemas = schemas
    }

    func shape(_ document: JSONDocument, _ kind: Candidate.Kind, _ policy: HookPolicy) -> Result {
        if let schema = policy.schema, let refusal = violation(of: schema, in: document) { return refusal }
        guard policy.form != .asSent || !policy.acceptTypes.isEmpty else { return .asSent }
        // Plain JSON has no types and no other form; with a context it is JSON-LD whatever it is labelled.
        guard kind == .jsonLD || document.root["@context"] != nil else {
            return policy.acceptTypes.isEmpty ? .asSent : .refused(.typeNotAccepted, reason: "plain JSON has no type")
        }
        do throws(JSONLDError) {
            if !policy.acceptTypes.isEmpty {
                let types = try processor.topTypes(.document(document))
                guard NodeTypes.accepts(policy.acceptTypes, types) else {
                    return .refused(.typeNotAccepted, reason: types.isEmpty ? "no @type" : types.joined(separator: ", "))
                }
            }
            return try formed(document, policy.form)
        } catch {
            if error.code == .limitExceeded || error.code == .contextOverflow {
                return .tooMuch(.jsonldInvalid, reason: error.description)
            }
            guard policy.onUnprocessable == .refuse else { return .asSent }
            let decision: CandidateDecision =
                error.code == .loadingRemoteContextFailed || error.code == .loadingDocumentFailed
                ? .contextUnknown : .jsonldInvalid
            return .refused(decision, reason: error.description)
        }
    }

    /// The places and rules that are violated, without anything of the data; nil where all is well.
    private func violation(of schema: [UInt8], in document: JSONDocument) -> Result? {
        guard let compiled = schemas[schema] else {
            return .refused(.schemaInvalid, reason: "the schema cannot be compiled")
        }
        let result = compiled.validate(document.root, limits: Self.schemaLimits)
        switch result.outcome {
        case .valid: return nil
        case .workLimitReached, .depthLimitReached:
            return .tooMuch(.schemaInvalid, reason: "checking it takes more work than is allowed")
        case .invalid:
            return .refused(.schemaInvalid, reason: Self.text(of: result.violations, whole: "the document"))
        }
    }

    /// The first few, with their places; `whole` names the value itself.
    static func text(of violations: [SchemaViolation], whole: String) -> String {
        violations.prefix(5).map { violation in
            "\(violation.instancePointer.isEmpty ? whole : violation.instancePointer): \(violation.message)"
        }.joined(separator: "; ")
    }

    private func formed(_ document: JSONDocument, _ form: DocumentForm) throws(JSONLDError) -> Result {
        switch form {
        case .asSent: .asSent
        case .expanded: .shaped(try processor.expand(.document(document)).json())
        case .compacted(let context): .shaped(try processor.compact(.document(document), context: context).json())
        case .framed(let frame): .shaped(try processor.frame(.document(document), frame: .json(frame)).json())
        }
    }
}
