// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Looks at a document as JSON-LD where a hook asks for that: whether its types are accepted, and
// in which form it becomes the data of an event. Contexts come from the library; nothing is fetched.

import HookModel
import JSONLD

struct DocumentShaper: Sendable {
    enum Result: Sendable, Hashable {
        case asSent
        /// A JSON text.
        case shaped([UInt8])
        case refused(CandidateDecision, reason: String)
    }

    private let processor: JSONLDProcessor

    init(contexts: ContextLibrary = .standard) { processor = JSONLDProcessor(contexts: contexts) }

    func shape(_ document: JSONDocument, _ kind: Candidate.Kind, _ policy: HookPolicy) -> Result {
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
            guard policy.onUnprocessable == .refuse else { return .asSent }
            let decision: CandidateDecision =
                error.code == .loadingRemoteContextFailed || error.code == .loadingDocumentFailed
                ? .contextUnknown : .jsonldInvalid
            return .refused(decision, reason: error.description)
        }
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
