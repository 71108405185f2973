// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// `mailhookd apps list`: which apps there are, in which version and state.

import HookModel
import JSONLD

public enum AppListing {
    /// A line an app, for people.
    public static func text(_ setup: Setup) -> String {
        guard !setup.definitions.isEmpty else { return "no apps: \(setup.configuration.apps) holds no definition" }
        return setup.definitions.map { definition in
            let hooks = definition.hooks.count == 1 ? "1 hook" : "\(definition.hooks.count) hooks"
            return "\(definition.app) \(definition.version) \(state(definition, setup)), \(hooks): "
                + "\(Terminal.harmless(definition.title)) (\(definition.file))"
        }.joined(separator: "\n")
    }

    /// One JSON object a line.
    public static func json(_ setup: Setup) -> String {
        setup.definitions.map { definition in
            var writer = JSONWriter()
            writer.beginObject()
            writer.member("app", definition.app)
            writer.member("version", definition.version.description)
            writer.member("title", definition.title)
            writer.member("state", state(definition, setup))
            writer.member("file", definition.file)
            for (name, values) in [("hooks", definition.hooks.map(\.eventName)), ("notRun", definition.dormantParts)] {
                writer.name(name)
                writer.beginArray()
                values.forEach { writer.string($0) }
                writer.endArray()
            }
            writer.name("versions")
            writer.beginArray()
            for version in setup.records.first(where: { $0.app == definition.app })?.versions ?? [] {
                writer.beginObject()
                writer.member("version", version.version.description)
                writer.member("installedAt", version.installedAt.rfc3339)
                writer.endObject()
            }
            writer.endArray()
            writer.endObject()
            return String(decoding: writer.bytes, as: UTF8.self)
        }.joined(separator: "\n")
    }

    private static func state(_ definition: AppDefinition, _ setup: Setup) -> String {
        (setup.records.first { $0.app == definition.app }?.state ?? .enabled).rawValue
    }
}
