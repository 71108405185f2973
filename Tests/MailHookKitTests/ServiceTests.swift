// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The parts of the service that need no running daemon: sockets, places in the configuration,
// the watchdog, the data folder, what `check` finds on the machine.

import Foundation
import HookDelivery
import HookModel
import HookStore
import Synchronization
import TestSupport
import Testing

@testable import HookIntake
@testable import MailHookKit

/// A folder that goes with the test.
/// A folder for the files of one test.
final class Folder {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("mailhookd-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ name: String, _ text: String, mode: mode_t = 0o600) throws {
        try text.write(toFile: "\(path)/\(name)", atomically: true, encoding: .utf8)
        chmod("\(path)/\(name)", mode)
    }
}

@Suite struct ListenerTableTests {
    fileprivate func listen(smtp: [ListenAddress] = [], lmtp: [ListenAddress] = []) -> Configuration.Listen {
        Configuration.Listen(smtp: smtp, lmtp: lmtp)
    }

    private let any = ListenAddress.tcp(host: "127.0.0.1", port: 0)

    @Test func whatStaysIsNotTouched() throws {
        let folder = try Folder()
        let socket = ListenAddress.unix(path: folder.path + "/s")
        let first = try ListenerTable().change(to: listen(smtp: [any, any], lmtp: [socket]))
        #expect(first.added.count == 3 && first.removed.isEmpty)
        #expect(Set(first.added.map(\.address)).count == 3)
        let second = try first.table.change(to: listen(smtp: [any], lmtp: [socket, any]))
        #expect(second.removed == [first.added[1]])
        #expect(second.added.map(\.kind) == [.lmtp])
        #expect(Set(second.table.listeners) == Set([first.added[0], first.added[2]] + second.added))
        (first.added + second.added).forEach { close($0.descriptor) }
    }

    @Test func aFailureLeavesNothingBehind() throws {
        let folder = try Folder()
        let table = try ListenerTable().change(to: listen(smtp: [any])).table
        let taken = try #require(table.listeners.first)
        defer { close(taken.descriptor) }
        let path = folder.path + "/s"
        #expect(throws: ListenError.self) {
            try ListenerTable().change(to: listen(smtp: [.unix(path: path), taken.address]))
        }
        #expect(!FileManager.default.fileExists(atPath: path))
        // Somebody listens there: it is not taken away from him.
        let other = try ListenerTable().change(to: listen(lmtp: [.unix(path: path)]))
        #expect(throws: ListenError.self) { try ListenerTable().change(to: listen(lmtp: [.unix(path: path)])) }
        other.added.forEach { close($0.descriptor) }
        // Nobody does any more: the name is free.
        let again = try ListenerTable().change(to: listen(lmtp: [.unix(path: path)]))
        again.discard()
        #expect(!FileManager.default.fileExists(atPath: path))
    }

    /// What stands in the place of a socket by now is not its own name.
    @Test func theNameOfAnotherSocketStays() throws {
        let folder = try Folder()
        let path = folder.path + "/s"
        let first = try ListenerTable().change(to: listen(lmtp: [.unix(path: path)]))
        unlink(path)
        // The same place by another name.
        let second = try first.table.change(to: listen(lmtp: [.unix(path: folder.path + "/./s")]))
        #expect(second.removed == first.added && second.added.count == 1)
        second.removed.forEach { $0.removeFile() }
        #expect(FileManager.default.fileExists(atPath: path))
        second.added.forEach { $0.removeFile() }
        #expect(!FileManager.default.fileExists(atPath: path))
        (first.added + second.added).forEach { close($0.descriptor) }
    }

    @Test(arguments: [
        ("127.0.0.1", "127.0.0.1", true), ("0.0.0.0", "127.0.0.1", true), ("0.0.0.0", "::1", false),
        ("::", "::1", true), ("::", "192.0.2.1", true), ("127.0.0.1", "0.0.0.0", false), ("::1", "127.0.0.1", false),
    ])
    func passedSocketsCoverAddresses(host: String, other: String, isCovered: Bool) throws {
        let descriptor = try ListeningSocket.bind(.tcp(host: host, port: 0), mode: 0o600)
        defer { close(descriptor) }
        let address = try #require(ListeningSocket.address(of: descriptor))
        let port = try #require(address.port)
        let passed = Listener(kind: .smtp, configured: nil, address: address, descriptor: descriptor, isPassed: true)
        let table = ListenerTable(passed: [passed])
        let wanted = listen(smtp: [.tcp(host: other, port: port)])
        if isCovered {
            let change = try table.change(to: wanted)
            #expect(change.added.isEmpty && change.removed.isEmpty && change.table.listeners == [passed])
        } else if let change = try? table.change(to: wanted) {
            #expect(change.added.count == 1 && change.removed.isEmpty && change.table.listeners.count == 2)
            change.discard()
        }
        // For another kind it is nothing; and it goes with no configuration.
        #expect(try table.change(to: listen()).removed.isEmpty)
    }
}

extension ListenerTableTests {
    @Test func bothFamiliesOnOnePort() throws {
        let probe = try ListeningSocket.bind(.tcp(host: "127.0.0.1", port: 0), mode: 0)
        let port = try #require(ListeningSocket.address(of: probe)?.port)
        close(probe)
        let addresses: [ListenAddress] = [.tcp(host: "0.0.0.0", port: port), .tcp(host: "::", port: port)]
        for order in [addresses, addresses.reversed()] {
            let change = try ListenerTable().change(to: listen(smtp: order))
            #expect(change.added.map(\.address) == order)
            change.discard()
        }
        let change = try ListenerTable().change(to: listen(smtp: [addresses[0], .tcp(host: "0::0", port: port)]))
        #expect(change.added.map(\.address) == addresses)
        change.discard()
    }

    /// A Unix socket's path may be longer than a socket address (unix(7)).
    @Test func longPaths() throws {
        let folder = try Folder()
        let long = folder.path + "/" + String(repeating: "a", count: 120)
        mkdir(long, 0o700)
        let address = ListenAddress.unix(path: long + "/socket")
        let change = try ListenerTable().change(to: listen(lmtp: [address]))
        #expect(change.added.map(\.address) == [address])
        #expect(FileManager.default.fileExists(atPath: long + "/socket"))
        change.discard()
        #expect(!FileManager.default.fileExists(atPath: long + "/socket"))
    }
}

@Suite struct ConfigurationPlacesTests {
    @Test(arguments: [
        ("data", 1, 1), ("hooks", 2, 1), ("hooks.a.b", 3, 3), ("hooks.a.b.aliases", 4, 5), ("hooks.a.b.c", 5, 3),
        ("hooks.a.b.c.key", 5, 12), ("list[1].path", 8, 5), ("list[1]", 8, 5), ("list[7].path", 6, 1),
        ("list[0].gone", 7, 5),
    ])
    func placesHaveLines(place: String, line: Int, column: Int) throws {
        let text = """
            data: x
            hooks:
              a.b:
                aliases: [c]
              a.b.c: { key: required }
            list:
              - path: a
              - path: b
            """
        let places = try #require(ConfigurationPlaces(file: "f", Array(text.utf8)))
        #expect(places.position(of: place) == Diagnostic.Position(line: line, column: column))
        #expect(places.position(of: "nothing") == nil && places.position(of: "") == nil)
    }

    @Test func warningsAboutHooksNameTheirLine() throws {
        let folder = try Folder()
        try folder.write("apps.json", #"{"app":"s","version":"1.0.0","title":"S","hooks":[]}"#)
        try folder.write("m.yaml", "apps: apps.json\ndata: data\nhooks:\n  kustomer.app.s.order: { key: required }\n")
        let setup = try #require(try? Setup.load(SetupRequest(configurationFile: folder.path + "/m.yaml")).get())
        let finding = try #require(setup.warnings.first { $0.place.hasPrefix("hooks.") })
        #expect(finding.description.hasPrefix("\(folder.path)/m.yaml:4:3: warning: hooks.kustomer.app.s.order: no app"))
    }
}

@Suite struct ReloadTableTests {
    /// What a reload means for it stands in docs/service.md for every key of the configuration.
    @Test func everyKeyHasItsRow() throws {
        let path = Conformance.packageRoot.appendingPathComponent("docs/service.md")
        let table = try #require(
            try String(contentsOf: path, encoding: .utf8).components(separatedBy: "## Stop").first)
        for key in ConfigurationReader.topKeys { #expect(table.contains("`\(key)`"), "\(key)") }
    }
}

@Suite struct SetupInspectionTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var yaml: String
        var findings: [String]
        var testDescription: String { yaml }
    }

    @Test(arguments: [
        Case(yaml: "subscriptions: [{ name: a, events: [\">\"], file: { path: out/e } }]", findings: [":3:51: warning: subscriptions[0].file.path: the folder"]),
        Case(yaml: "subscriptions: [{ name: a, events: [\">\"], file: { path: e } }]", findings: []),
        Case(yaml: "subscriptions: [{ name: a, events: [\">\"], file: { path: box } }]", findings: ["box is a folder"]),
        Case(yaml: "subscriptions: [{ name: a, events: [\">\"], exec: { command: [/no/such] } }]", findings: ["the program /no/such does not exist"]),
        Case(yaml: "subscriptions: [{ name: a, events: [\">\"], exec: { command: [no-such-program] } }]", findings: ["no program no-such-program in PATH"]),
        Case(yaml: "subscriptions: [{ name: a, events: [\">\"], exec: { command: [sh], folder: nowhere } }]", findings: ["exec.folder: the folder"]),
        Case(yaml: "subscriptions: [{ name: a, events: [\">\"], exec: { command: [sh], folder: box } }]", findings: []),
        Case(yaml: "maildirs: [{ path: box }]", findings: []),
        Case(yaml: "maildirs: [{ path: none }]", findings: [":3:14: warning: maildirs[0].path: "]),
        Case(yaml: "listen: { lmtp: [\"/no/such/folder/s\"] }", findings: [":3:18: warning: listen.lmtp[0]: the folder /no/such/folder"]),
        Case(yaml: "listen: { lmtp: [\"/run/mailhookd/lmtp.sock\"] }", findings: []),
        Case(yaml: "listen: { smtp: [\"127.0.0.1:0\"] }", findings: []),
        Case(yaml: "log: info", findings: []),
    ])
    func whatTheMachineLacks(example: Case) throws {
        let folder = try Folder()
        for part in ["box/new", "box/cur", "box/tmp"] {
            try FileManager.default.createDirectory(
                atPath: "\(folder.path)/\(part)", withIntermediateDirectories: true)
        }
        try folder.write("apps.json", #"{"app":"s","version":"1.0.0","title":"S","hooks":[{"eventName":"kustomer.app.s.a","displayEventName":"A","description":"d","type":"email"}]}"#)
        try folder.write("m.yaml", "apps: apps.json\ndata: data\n\(example.yaml)\n")
        let setup = try Setup.load(SetupRequest(configurationFile: folder.path + "/m.yaml")).get()
        let findings = setup.inspect().map(\.description)
        #expect(findings.count == example.findings.count, "\(findings)")
        for (finding, expected) in zip(findings, example.findings) { #expect(finding.contains(expected), "\(finding)") }
    }

    /// Root can write everything; the data folder's owner is who will have to.
    @Test(.enabled(if: geteuid() == 0, "only root can give files away"))
    func rootLooksWithTheDaemonsEyes() throws {
        let folder = try Folder()
        try folder.write("apps.json", #"{"app":"s","version":"1.0.0","title":"S","hooks":[]}"#, mode: 0o644)
        try folder.write("m.yaml", "apps: apps.json\ndata: data\nlisten: { smtp: [\"127.0.0.1:25\"] }\nsubscriptions: [{ name: a, events: [\">\"], file: { path: e } }]\n", mode: 0o644)
        mkdir(folder.path + "/data", 0o700)
        let setup = try Setup.load(SetupRequest(configurationFile: folder.path + "/m.yaml")).get()
        #expect(setup.inspect().isEmpty)
        chown(folder.path + "/data", 65534, 65534)
        let findings = setup.inspect().map(\.description)
        #expect(findings.count == 1 && findings[0].contains("cannot be written by nobody"), "\(findings)")
        chown(folder.path, 65534, 0)
        #expect(setup.inspect().isEmpty)
    }
}

@Suite struct DataFolderTests {
    @Test func whoMayDoWhat() throws {
        let folder = try Folder()
        let data = folder.path + "/data"
        #expect(try DataFolder.check(data).isEmpty)
        mkdir(data, 0o700)
        #expect(try DataFolder.check(data).isEmpty)
        for (mode, isRefused) in [(mode_t(0o720), true), (0o702, true), (0o750, false), (0o701, false)] {
            chmod(data, mode)
            let result = Result { try DataFolder.check(data) }
            switch result {
            case .success(let findings): #expect(!isRefused && findings.count == 1, "\(String(mode, radix: 8))")
            case .failure: #expect(isRefused, "\(String(mode, radix: 8))")
            }
        }
        chmod(data, 0o700)
        try folder.write("data/instance.key", "x", mode: 0o640)
        #expect(try DataFolder.check(data).map(\.path) == [data + "/instance.key"])
        // Whoever makes the first file in it has the reason why not.
        try folder.write("file", "")
        #expect(try DataFolder.check(folder.path + "/file").isEmpty)
    }

    /// Each file of the daemon's that belongs to somebody else is named, those of the store's journal too.
    @Test(.enabled(if: geteuid() == 0, "only root can give files away"))
    func whatRootLeftBehind() throws {
        let folder = try Folder()
        let data = folder.path + "/data"
        mkdir(data, 0o700)
        let journal = data + "/mailhookd.sqlite.journal"
        mkdir(journal, 0o750)
        let names = ["mailhookd.sqlite", "mailhookd.sqlite-wal", "instance.key", "mailhookd.sqlite.journal/00000002.seg"]
        for name in names { try folder.write("data/" + name, "x", mode: 0o600) }
        try folder.write("data/events.log", "of a sink")
        try folder.write("data/mailhookd.sqlite.journal/note", "of somebody")
        for path in [data, journal] + names.map({ data + "/" + $0 }) {
            let error = #expect(throws: FileError.self) { try DataFolder.check(data, user: 65534) }
            #expect(error?.description.contains("belongs to root") == true && error?.description.contains("chown -R") == true)
            chown(path, 65534, 65534)
        }
        #expect(try DataFolder.check(data, user: 65534).isEmpty)
        for name in names {
            chown(data + "/" + name, 0, 0)
            let error = #expect(throws: FileError.self) { try DataFolder.check(data, user: 65534) }
            #expect(error?.path == data + "/" + name)
            chown(data + "/" + name, 65534, 65534)
        }
        #expect(try DataFolder.check(data).isEmpty)
    }
}

@Suite struct WatchdogTests {
    /// A store whose writer hangs as long as it is told to.
    private final class HangingStore: EventStore {
        let isHanging = Mutex(true)

        func commit(_ entry: MessageEntry, completion: @escaping @Sendable (Result<CommitReceipt, StoreError>) -> Void) {
            completion(.failure(.closed))
        }
        func claimDue(
            subscription: String, now: Timestamp, lease: Duration, limit: Int, excluding excluded: Set<Int64>
        ) async throws(StoreError) -> [ClaimedDelivery] { [] }
        func finish(_ results: [DeliveryResult], now: Timestamp) async throws(StoreError) {}
        func probe() async {
            while isHanging.withLock({ $0 }), !Task.isCancelled { try? await Task.sleep(for: .milliseconds(5)) }
        }
        func nextDue(subscription: String, excluding excluded: Set<Int64>) async throws(StoreError) -> Timestamp? { nil }
        func events(after sequence: Int64, limit: Int) async throws(StoreError) -> [StoredEvent] { [] }
        func onNewDeliveries(_ handler: @escaping @Sendable (Set<String>) -> Void) {}
    }

    @Test func aWriterThatHangsIsNoLife() async throws {
        let folder = try Folder()
        let path = folder.path + "/notify"
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
        defer { close(descriptor) }
        #expect(UnixAddress(path)?.call(bind, descriptor) == 0)
        func received() -> Int {
            var buffer = [UInt8](repeating: 0, count: 4096)
            var count = 0
            while true {
                let length = recv(descriptor, &buffer, buffer.count, 0)
                guard length > 0 else { return count }
                if String(decoding: buffer[..<length], as: UTF8.self).hasPrefix("WATCHDOG=1\n") { count += 1 }
            }
        }
        let store = HangingStore()
        let dispatcher = Dispatcher(store: try MemoryStore(), subscriptions: [], userAgent: "t", logger: DaemonLog.quiet)
        let watchdog = Watchdog(
            period: .milliseconds(80), notifier: SystemdNotifier(socketName: path), store: store,
            dispatcher: dispatcher, tally: Tally(), logger: DaemonLog.quiet)
        let task = Task { await watchdog.run() }
        try await Task.sleep(for: .milliseconds(400))
        #expect(received() == 0)
        store.isHanging.withLock { $0 = false }
        var count = 0
        for _ in 0..<1000 where count < 3 {
            try await Task.sleep(for: .milliseconds(10))
            count += received()
        }
        #expect(count >= 3)
        store.isHanging.withLock { $0 = true }
        // The round that was under way may still end.
        try await Task.sleep(for: .seconds(1))
        _ = received()
        try await Task.sleep(for: .milliseconds(300))
        #expect(received() == 0)
        task.cancel()
        await task.value
    }
}

@Suite struct SecretEqualityTests {
    /// What decides whether a subscription is restarted by a reload.
    @Test func subscriptionsThatDifferInASecretDiffer() throws {
        func subscription(_ secret: String, header: String = "a") throws -> Subscription {
            let configuration = try WebhookConfiguration(
                url: "https://h.example/", secrets: [WebhookSecret(secret)], headers: [(name: "X-A", value: header)])
            return Subscription(name: "s", events: [try EventPattern(">")], sink: .webhook(configuration))
        }
        let (a, b) = ("whsec_" + Data(repeating: 1, count: 24).base64EncodedString(), "whsec_" + Data(repeating: 2, count: 24).base64EncodedString())
        #expect(try subscription(a) == subscription(a + "\n"))
        #expect(try subscription(a) != subscription(b))
        #expect(try subscription(a) != subscription(a, header: "b"))
    }
}
