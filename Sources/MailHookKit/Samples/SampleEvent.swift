// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// `mailhookd hooks sample`: the event that example data for a hook would become, by the same code
// as the daemon's.

import HookExtraction
public import HookModel

public enum SampleEvent {
    public struct Result: Sendable {
        /// CloudEvents JSON, or the data alone, on one line.
        public var line: String
        /// What a person should know about it.
        public var notes: [String]
    }

    /// - Parameter onlyData: the example data instead of the event.
    public static func make(
        _ name: String, onlyData: Bool, setup: Setup, now: Timestamp
    ) throws -> Result {
        let directory = try setup.directory()
        guard let addressed = directory.hooks.first(where: { $0.hook.eventName == name }) else {
            let hint = suggestion(for: name, among: directory.hooks.map(\.hook.eventName))
            throw SetupError("no hook '\(name)'; \(hint ?? "`mailhookd hooks` lists them")", exitStatus: SysExit.noInput)
        }
        let sample = HookSample(of: addressed.hook, number: "T-1")
        if onlyData { return Result(line: String(decoding: sample.data, as: UTF8.self), notes: []) }
        let verdict: Verdict
        if let address = directory.address(of: addressed) {
            let mail = TestMail.example(for: addressed, recipient: address, now: now)
            let envelope = Envelope(
                source: .smtp, mailFrom: TestMail.sender(of: addressed.hook, at: "localhost"), recipients: [address])
            verdict = setup.processor(directory).process(
                ReceivedMessage(envelope: envelope, bytes: mail, receivedAt: now)).verdict
        } else {
            let type = sample.isJSONLD ? "application/ld+json" : "application/json"
            let post = TestPost.received(sample.data, type: type, by: addressed, identity: "sample", now: now)
            verdict = setup.postProcessor(directory).process(post)
        }
        guard let hook = verdict.hooks.first, let event = hook.events.first else {
            throw SetupError(
                "the example made for \(name) would be refused: \(verdict.answer.rawValue)", exitStatus: SysExit.dataError)
        }
        return Result(line: String(decoding: event.json, as: UTF8.self), notes: hook.failures.map(\.reason))
    }
}
