// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What the configuration and the app definitions mean for a message, as one value that never
// changes. A reload puts another in its place; whoever handles a message takes it once, so that a
// message is judged by one set of rules from begin to end.

import HookDelivery
import HookExtraction
import HookIntake
import HookModel
import HookWeb
import Synchronization

final class DaemonSnapshot: Sendable {
    let setup: Setup
    let directory: HookDirectory
    let mail: MessageProcessor
    let posts: PostProcessor
    /// Those of the configuration, and those of the apps.
    let subscribers: [Subscription]
    let subscriptions: SubscriptionTable
    let reporter: FailureReporter
    /// Within which time hooks expect something.
    let expected: [String: Duration]
    let organization: String
    /// The hooks as the management interface shows them.
    let managed: [ManagedHook]

    /// - Parameter http: where form and web hooks can be reached, in the daemon itself.
    /// - Throws: where the instance secret cannot be read.
    init(_ setup: Setup, http: [HookURLs.Listener]? = nil) throws(FileError) {
        self.setup = setup
        let configuration = setup.configuration
        let secret = try InstanceSecret.load(dataFolder: configuration.data)
        let directory = try setup.directory()
        let organization = configuration.http.organization ?? secret.organization
        let urls = HookURLs(configuration, organization: organization, listeners: http)
        managed = directory.hooks.map { setup.managed($0, directory, urls, secret) }
        mail = setup.processor(directory)
        posts = setup.postProcessor(directory)
        subscribers = try setup.subscriptions()
        subscriptions = SubscriptionTable(subscribers)
        reporter = FailureReporter(subscriptions, instance: configuration.hostname)
        expected = configuration.hooks.compactMapValues(\.expectEvery)
        self.directory = directory
        self.organization = organization
    }

    var configuration: Configuration { setup.configuration }
}

/// The snapshot that holds now.
final class CurrentSnapshot: Sendable {
    private let snapshot: Mutex<DaemonSnapshot>

    init(_ snapshot: DaemonSnapshot) { self.snapshot = Mutex(snapshot) }

    var value: DaemonSnapshot { snapshot.withLock { $0 } }

    func replace(_ next: DaemonSnapshot) { snapshot.withLock { $0 = next } }
}

extension Setup {
    /// A hook as the management interface shows it.
    fileprivate func managed(
        _ addressed: AddressedHook, _ directory: HookDirectory, _ urls: HookURLs, _ secret: InstanceSecret
    ) -> ManagedHook {
        let hook = addressed.hook
        let note = note(of: hook.eventName)
        // A definition of the same name comes before a hook that was made here.
        let origin = hook.app == HookLedger.app ? note?.origin : nil
        let previous = addressed.previous.flatMap { previous in
            hook.type == .email
                ? directory.domains.first.map { "\(previous.credentials.token)@\($0)" }
                : urls.url(of: addressed, token: previous.credentials.token)
        }
        return ManagedHook(
            id: origin?.id ?? secret.hookID(app: hook.app, eventName: hook.eventName), addressed: addressed,
            address: directory.address(of: addressed) ?? urls.url(of: addressed) ?? "", previousAddress: previous,
            isOwn: origin != nil, debugSince: note?.debugSince, debugUntil: note?.debugUntil, createdAt: origin?.createdAt,
            modifiedAt: note?.modifiedAt)
    }
}
