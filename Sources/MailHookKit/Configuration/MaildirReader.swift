// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Reads `maildirs`, and checks them against the hooks that there are.

import HookIntake
import HookModel

enum MaildirReader {
    static func read(
        _ items: [YAMLNode], file: String, folder: String, into diagnostics: inout Diagnostics
    ) -> [Maildir] {
        var maildirs: [Maildir] = []
        for (index, node) in items.enumerated() {
            let place = "maildirs[\(index)]"
            let section = YAMLSection(
                node, file: file, place: place, keys: ["path", "to", "afterwards"], into: &diagnostics)
            guard let path = section.string("path", into: &diagnostics) else {
                if section.node("path") == nil {
                    diagnostics.add(
                        Diagnostic(
                            .error, file: file, position: node.position, place: place,
                            reason: "needs 'path' (the folder that holds new, cur and tmp)"))
                }
                continue
            }
            let maildir = Maildir(
                path: Files.resolve(path, in: folder), to: section.string("to", into: &diagnostics),
                afterwards: section.choice("afterwards", into: &diagnostics) ?? .move)
            if maildirs.contains(where: { $0.path == maildir.path }) {
                section.complain("path", "stands in this list twice", into: &diagnostics)
            }
            maildirs.append(maildir)
        }
        return maildirs
    }
}

extension Setup {
    /// `to` names an email hook, or is an address, which only the instance secret could tell from a wrong one.
    static func checkMaildirs(
        _ configuration: Configuration, _ definitions: [AppDefinition], into diagnostics: inout Diagnostics
    ) {
        let names = definitions.flatMap(\.hooks).filter { $0.type == .email }.map(\.eventName)
        for (index, maildir) in configuration.maildirs.enumerated() {
            let file = configuration.file ?? "configuration"
            let place = "maildirs[\(index)]"
            guard let name = maildir.to else {
                if names.isEmpty {
                    diagnostics.add(
                        Diagnostic(
                            .warning, file: file, place: place,
                            reason: "there is no email hook: all mail of this Maildir will be set aside"))
                }
                continue
            }
            guard !name.contains("@"), !names.contains(name) else { continue }
            diagnostics.add(
                Diagnostic(
                    .error, file: file, place: "\(place).to", reason: "'\(name)' is no email hook",
                    hint: suggestion(for: name, among: names)
                        ?? "an event name of an app definition, or an address"))
        }
    }
}
