// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// How the sender of a form's post shows that it is a person. Values only; asking is the work of
// HookDelivery.

/// A challenge that pages with a form show (hCaptcha, Turnstile, reCAPTCHA), and who can tell whether it was passed.
public struct HookChallenge: Sendable, Hashable {
    /// Where answers are checked, `siteverify` in the field's own words. Begins with https://, or http:// on this machine.
    public var url: String
    /// The field of the post that holds the answer.
    public var field: String
    /// Shared with who checks.
    public var secret: String
    public var timeout: Duration

    public init(url: String, field: String, secret: String, timeout: Duration) {
        self.url = url
        self.field = field
        self.secret = secret
        self.timeout = timeout
    }
}

/// What became of one answer.
public enum ChallengeResult: Sendable, Hashable {
    case passed
    case failed
    /// Nobody could tell; `reason` is for the log and holds no secret.
    case unavailable(reason: String)
}

public protocol ChallengeVerifier: Sendable {
    /// - Parameter answer: as the sender gave it.
    func verify(_ answer: String, for challenge: HookChallenge) async -> ChallengeResult
}
