// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What an app definition's trigger adds to the events of a hook, and what can go wrong with
// that. Values only; evaluating is the work of HookExtraction.

/// The trigger that names a hook's event: in which shape its data is handed on.
public struct HookTrigger: Sendable, Hashable {
    /// For people.
    public var description: String?
    /// A JSON object; its strings that begin with `/#` are paths into the event. nil: no shaping.
    public var outputTemplate: [UInt8]?
    /// A JSON Schema for what the template makes, as JSON text.
    public var outputSchema: [UInt8]?
    /// An example of the output, as JSON text.
    public var sampleOutput: [UInt8]?

    public init(
        description: String? = nil, outputTemplate: [UInt8]? = nil, outputSchema: [UInt8]? = nil,
        sampleOutput: [UInt8]? = nil
    ) {
        self.description = description
        self.outputTemplate = outputTemplate
        self.outputSchema = outputSchema
        self.sampleOutput = sampleOutput
    }
}

/// Why an event goes without the output of its trigger. The event itself was made.
public struct TriggerFailure: Sendable, Hashable {
    public enum Code: String, Sendable, Hashable, CaseIterable {
        /// The output does not satisfy the trigger's `outputSchema`.
        case outputInvalid = "output_invalid"
        /// The output would be too large, or takes too much work to make or to check.
        case outputTooCostly = "output_too_costly"
    }

    public var eventID: String
    public var code: Code
    /// Places and rules, for people; nothing of the data but names of members.
    public var reason: String

    public init(eventID: String, code: Code, reason: String) {
        self.eventID = eventID
        self.code = code
        self.reason = reason
    }
}

/// Whether a hook takes anything.
public enum HookState: String, Sendable, Hashable, CaseIterable {
    case active
    /// Not now: senders are asked to come again.
    case paused
    /// Not any more: senders are refused.
    case disabled

    /// What a sender is told; nil where the hook takes what comes.
    public var refusal: Outcome? {
        switch self {
        case .active: nil
        case .paused: .hookPaused
        case .disabled: .hookDisabled
        }
    }
}
