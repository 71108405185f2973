// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// `mailhookd hooks`: every hook with its address and key.

public import HookModel
import JSONLD

public enum HookListing {
    /// A block a hook, for people.
    public static func text(_ directory: HookDirectory, _ setup: Setup) throws(FileError) -> String {
        let urls = try urls(setup)
        if directory.hooks.isEmpty { return "no hooks: \(setup.configuration.apps) declares none" }
        return directory.hooks.map { addressed in
            let hook = addressed.hook
            var lines = [hook.eventName]
            func line(_ name: String, _ value: String?) {
                guard let value, !value.isEmpty else { return }
                lines.append("  \(name.padded(to: 13))\(Terminal.harmless(value))")
            }
            line("type", hook.type.rawValue)
            line("address", directory.address(of: addressed))
            line("URL", urls.url(of: addressed))
            line("aliases", hook.policy.aliases.joined(separator: ", "))
            line("key", hook.type == .form ? nil : addressed.current.key)
            line("signing", hook.type == .web ? PostAuthorizer.signingSecret(ofKey: addressed.current.key) : nil)
            line("key is", hook.type == .email ? hook.policy.key.rawValue : nil)
            line("name", hook.displayEventName)
            line("description", hook.description)
            line("state", hook.policy.state == .active ? nil : hook.policy.state.rawValue)
            line("app", hook.app)
            if let previous = addressed.previous, let domain = directory.domains.first, hook.type == .email {
                line("until", "\(previous.until.rfc3339): \(previous.credentials.token)@\(domain), key \(previous.credentials.key)")
            }
            if let previous = addressed.previous, let url = urls.url(of: addressed, token: previous.credentials.token) {
                line("until", "\(previous.until.rfc3339): \(url)")
            }
            return lines.joined(separator: "\n")
        }.joined(separator: "\n\n")
    }

    /// One JSON object a line.
    public static func json(_ directory: HookDirectory, _ setup: Setup) throws(FileError) -> String {
        let urls = try urls(setup)
        return directory.hooks.map { addressed in
            let hook = addressed.hook
            var writer = JSONWriter()
            writer.beginObject()
            writer.member("type", hook.type.rawValue)
            writer.member("address", directory.address(of: addressed))
            writer.member("url", urls.url(of: addressed))
            if !hook.policy.aliases.isEmpty {
                writer.name("aliases")
                writer.beginArray()
                hook.policy.aliases.forEach { writer.string($0) }
                writer.endArray()
            }
            writer.member("key", hook.type == .form ? nil : addressed.current.key)
            writer.member(
                "signingSecret", hook.type == .web ? PostAuthorizer.signingSecret(ofKey: addressed.current.key) : nil)
            writer.member("keyRequirement", hook.type == .email ? hook.policy.key.rawValue : nil)
            writer.member("eventName", hook.eventName)
            writer.member("displayEventName", hook.displayEventName)
            writer.member("description", hook.description)
            writer.member("state", hook.policy.state.rawValue)
            writer.member("app", hook.app)
            writer.endObject()
            return String(decoding: writer.bytes, as: UTF8.self)
        }.joined(separator: "\n")
    }

    private static func urls(_ setup: Setup) throws(FileError) -> HookURLs {
        let configuration = setup.configuration
        let derived = try InstanceSecret.load(dataFolder: configuration.data).organization
        return HookURLs(configuration, organization: configuration.http.organization ?? derived)
    }
}

extension String {
    /// With spaces behind it up to `width` characters, and at least one.
    func padded(to width: Int) -> String { self + String(repeating: " ", count: max(1, width - count)) }
}
