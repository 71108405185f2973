// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A recipient for mail that comes without an envelope: from a Maildir, or given to `try`.

import HookModel

struct RecipientFinder: Sendable {
    private let directory: HookDirectory
    /// The address of the only email hook there is.
    private let only: String?
    private let addresses: [String: String]

    init(directory: HookDirectory) {
        self.directory = directory
        let email = directory.hooks.filter { $0.hook.type == .email }
        only = email.count == 1 ? email.first.flatMap { directory.address(of: $0) } : nil
        var addresses: [String: String] = [:]
        for addressed in email { addresses[addressed.hook.eventName] = directory.address(of: addressed) }
        self.addresses = addresses
    }

    /// The address of a hook named by its event name, else the name itself.
    func address(named name: String) -> String { addresses[name] ?? name }

    /// The first address of the header that leads to a hook; where none does, the only email hook there is.
    ///
    /// What the last server wrote about the envelope (`Delivered-To`, `X-Original-To`, `Envelope-To`) counts before
    /// what the sender wrote (`To`, `Cc`).
    func recipient(_ header: HeaderGlance, now: Timestamp) -> String? {
        for field in HeaderGlance.recipientFields {
            for address in header.values(field).flatMap(HeaderGlance.addresses) {
                if case .hook = directory.resolve(address, now: now) { return address }
            }
        }
        return only
    }
}
