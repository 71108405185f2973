// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A webhook's name that changes where it leads, seen by the system's own resolver: a name server on the loopback of a
// network that only the daemon under test and its receiver can see, where every address is one of the receiver's. A
// connection that should not have been made would succeed, and be counted.

import Foundation
import TestSupport
import Testing

/// The small network with its name server, and a daemon in it.
private final class SmallInternet {
    static let name = "receiver.fernleaf.example"
    static let publicAddress = "93.184.215.14"

    static let absence: String? = {
        guard geteuid() == 0 else { return "namespaces need root" }
        let probe = try? Child.run("unshare", ["--mount", "--net", "python3", "-c", "import fcntl"])
        return probe?.status == 0 ? nil : "no namespaces here, or no python3"
    }()

    let server: Child
    let installation: Installation

    init(allowPrivate: Bool = false) throws {
        installation = try Installation()
        let script = Conformance.packageRoot.appendingPathComponent("Tests/EndToEndTests/Support/resolving.py").path
        server = try Child(
            "unshare", ["--mount", "--net", "python3", script, installation.folder.path, Self.name])
        let server = server
        try server.waitForOutput("is ready") { lines in lines.contains { $0.hasPrefix("ready ") } || !server.isRunning }
        let port = try #require(server.lines.first { $0.hasPrefix("ready ") }?.dropFirst(6), "\(server.errors)")
        let configuration = try String(contentsOf: installation.configurationFile, encoding: .utf8)
        try (configuration + """

            subscriptions:
              - name: erp
                events: ["kustomer.app.ecommstore.>"]
                allowPrivate: \(allowPrivate)
                webhook: { url: "http://\(Self.name):\(port)/in", secretFile: erp.key, timeout: 5s }
                retry: [500ms, 500ms, 500ms, 500ms, 500ms, 500ms, 500ms, 500ms, 500ms, 500ms, 500ms, 500ms]
                breaker: "off"
            """).write(to: installation.configurationFile, atomically: true, encoding: .utf8)
        _ = try installation.write("erp.key", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD\n")
    }

    deinit { server.closeInput() }

    func start() throws {
        try installation.start(within: ["nsenter", "--target", "\(server.identifier)", "--mount", "--net"])
    }

    func tell(_ command: String) throws {
        let count = server.lines.count { $0 == "ok" }
        server.write(command + "\n")
        try server.waitForOutput("does what it is told") { lines in lines.count { $0 == "ok" } > count }
    }

    /// By the pipe: it is a file, and so the same in every network.
    func send(_ number: String) throws {
        let mail = try String(contentsOf: Installation.exampleMail, encoding: .utf8)
        let result = try installation.command(
            ["receive", "--to", Installation.alias], input: mail.replacingOccurrences(of: "88-104", with: number))
        #expect(result.status == 0, "\(result.errors)")
    }

    private var told: [[String: Any]] {
        (try? Installation.objects(server.lines.filter { $0.hasPrefix("{") }.joined(separator: "\n"))) ?? []
    }

    /// Addresses that were connected to, in their order.
    var connections: [String] { told.compactMap { $0["connection"] as? String } }
    var requests: [String] { told.compactMap { $0["request"] as? String } }
    /// Questions for an IPv4 address of the name.
    var questions: Int { told.count { $0["question"] as? String == Self.name && $0["type"] as? Int == 1 } }

    func deliveries(_ arguments: String...) throws -> [[String: Any]] {
        try Installation.objects(installation.command(["deliveries", "list", "--json"] + arguments).output)
    }

    func failures() throws -> [String] {
        let event = try #require(try installation.events().last?["id"] as? String)
        let life = try #require(try Installation.objects(installation.command(["trace", event, "--json"]).output).first)
        let delivery = ((life["events"] as? [[String: Any]])?.last?["deliveries"] as? [[String: Any]])?.first
        return (delivery?["failures"] as? [[String: Any]])?.compactMap { $0["reason"] as? String } ?? []
    }
}

@Suite(.enabled(if: SmallInternet.absence == nil, "skipped: \(SmallInternet.absence ?? "")"))
struct RebindingTests {
    /// Good at first, then refused at the connection, then good again: nothing is lost and nobody else was spoken to.
    @Test(arguments: ["127.0.0.1", "10.1.2.3", "169.254.169.254", "192.168.7.7", "::1", "::ffff:127.0.0.1", "10.1.2.3,::1"])
    func aNameThatTurnsPrivate(_ address: String) throws {
        let net = try SmallInternet()
        try net.tell("answer \(SmallInternet.publicAddress)")
        try net.start()
        try net.send("88-1")
        try eventually("the first delivery") { try net.deliveries("--state", "delivered").count == 1 }
        #expect(net.requests == [SmallInternet.publicAddress] && net.questions == 1)

        try net.tell("answer \(address)")
        try net.send("88-2")
        try eventually("two refusals") { try net.failures().count >= 2 }
        #expect(try Set(net.failures()) == ["address_refused"])
        #expect(net.connections == [SmallInternet.publicAddress], "nobody was connected to")

        try net.tell("answer \(SmallInternet.publicAddress)")
        try eventually("the second delivery") { try net.deliveries("--state", "delivered").count == 2 }
        #expect(net.connections == [SmallInternet.publicAddress, SmallInternet.publicAddress])
        #expect(try net.installation.stop() == 0)
    }

    /// Between two attempts at one delivery.
    @Test func aNameThatMovesBetweenAttempts() throws {
        let net = try SmallInternet()
        try net.tell("answer \(SmallInternet.publicAddress)")
        try net.tell("status 503")
        try net.start()
        try net.send("88-1")
        try eventually("the first attempt") { !net.requests.isEmpty }
        try net.tell("answer 127.0.0.1")
        try net.tell("status 200")
        try eventually("a refusal") { try net.failures().contains("address_refused") }
        let before = net.connections
        #expect(Set(before) == [SmallInternet.publicAddress])
        // Of two addresses the one that is allowed.
        try net.tell("answer 127.0.0.1,93.184.215.15")
        try eventually("the delivery") { try net.deliveries("--state", "delivered").count == 1 }
        #expect(net.connections == before + ["93.184.215.15"])
        #expect(try net.failures().first == "http_503")
    }

    /// The answer changes between the look-up and the connection: what was checked is what is connected to.
    @Test func aNameThatIsPublicForOneLookUpOnly() throws {
        let net = try SmallInternet()
        try net.tell("answer \(SmallInternet.publicAddress) 127.0.0.1")
        try net.start()
        try net.send("88-1")
        try eventually("the delivery") { try net.deliveries("--state", "delivered").count == 1 }
        #expect(net.connections == [SmallInternet.publicAddress] && net.questions == 1)
    }

    /// The same network proves itself: where it is allowed, the connection to loopback is made.
    @Test func whereItIsAllowed() throws {
        let net = try SmallInternet(allowPrivate: true)
        try net.tell("answer 127.0.0.1")
        try net.start()
        try net.send("88-1")
        try eventually("the delivery") { try net.deliveries("--state", "delivered").count == 1 }
        #expect(net.connections == ["127.0.0.1"])
    }
}
