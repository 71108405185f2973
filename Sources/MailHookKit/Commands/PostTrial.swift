// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// `mailhookd try` for form and web hooks: what a post would become, by the same code as the
// daemon's. Nothing is stored or sent.

import HookExtraction
public import HookModel
import JSONLD

public struct PostTrial: Sendable {
    private let hook: Hook
    private let url: String?
    private let mediaType: String?
    private let octets: Int
    private let verdict: HookVerdict?
    private let answer: Outcome
    private let deliveries: [Trial.Delivery]

    /// 0 when the post would be accepted, else as for mail.
    public var exitStatus: Int32 { answer.isPositive ? 0 : answer.exitStatus }

    /// - Parameters:
    ///   - name: the hook's event name or URL; nil takes the only form or web hook there is, for files that can only
    ///     be posts.
    ///   - mediaType: nil: what the file's name says.
    /// - Returns: nil where a mail is meant.
    public static func run(
        _ body: [UInt8], file: String, mediaType: String?, to name: String?, setup: Setup, now: Timestamp
    ) throws -> PostTrial? {
        let directory = try setup.directory()
        let type = mediaType ?? TestPost.mediaType(ofFile: file)
        let addressed: AddressedHook
        if let name {
            guard let named = TestPost.hook(name, in: directory, now: now) else { return nil }
            addressed = named
        } else {
            guard let type, type.hasSuffix("json") else { return nil }
            let open = directory.hooks.filter { $0.hook.type != .email }
            guard let only = open.first, open.count == 1 else {
                throw SetupError("a JSON file is posted to a form or web hook; name one with --to", exitStatus: SysExit.noInput)
            }
            addressed = only
        }
        let organization = try setup.configuration.http.organization
            ?? InstanceSecret.load(dataFolder: setup.configuration.data).organization
        let url = HookURLs(setup.configuration, organization: organization).url(of: addressed)
        guard body.count <= setup.configuration.http.bodySize else {
            return PostTrial(
                hook: addressed.hook, url: url, mediaType: type, octets: body.count, verdict: nil,
                answer: .messageTooLarge, deliveries: [])
        }
        let post = TestPost.received(body, type: type, by: addressed, identity: "try", now: now)
        let verdict = setup.postProcessor(directory).process(post)
        return PostTrial(
            hook: addressed.hook, url: url, mediaType: type, octets: body.count, verdict: verdict.hooks.first,
            answer: verdict.answer,
            deliveries: verdict.answer.isPositive ? Trial.deliveries(verdict, setup, now) : [])
    }

    private var outcome: Outcome { verdict?.outcome ?? answer }
    private var events: [Event] { verdict?.events ?? [] }
    private var failures: [TriggerFailure] { verdict?.failures ?? [] }

    public var text: String {
        let head = """
            Post
              URL        \(url ?? "-")
              type       \(mediaType.map(Terminal.harmless) ?? "none")
              size       \(octets) octets

            Verdict
              hook       \(hook.eventName)
              outcome    \(outcome.rawValue)
              status     \(answer.httpStatus)\(answer.isPositive ? "" : " \(answer.smtpReply.text)")
            """
        return [head, Trial.text(events, failures), events.isEmpty ? "" : Trial.text(deliveries)]
            .filter { !$0.isEmpty }.joined(separator: "\n\n")
    }

    /// One object on one line.
    public var json: String {
        var writer = JSONWriter(capacity: 4096)
        writer.beginObject()
        writer.member("url", url)
        writer.member("hook", hook.eventName)
        writer.member("outcome", outcome.rawValue)
        writer.name("status")
        writer.integer(answer.httpStatus)
        Trial.writeEnd(exitStatus, events, failures, deliveries, to: &writer)
        writer.endObject()
        return String(decoding: writer.bytes, as: UTF8.self)
    }
}
