// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// HTTPS endpoints: whose certificate is trusted, and showing our own.

import Foundation
import HookModel
import Logging
import TestSupport
import Synchronization
import Testing

@testable import HookDelivery

@Suite(.openssl, .serialized) struct MutualTLSTests {
    private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    /// Python's server, which asks for a certificate that is signed by `clients`; prints its port.
    private func server(_ pair: TestCertificate, clients: TestCertificate?) throws -> (Child, Int) {
        let script = """
            import http.server, ssl, sys
            class Handler(http.server.BaseHTTPRequestHandler):
                protocol_version = "HTTP/1.1"
                def do_POST(self):
                    self.rfile.read(int(self.headers["content-length"]))
                    self.send_response(200)
                    self.send_header("content-length", "0")
                    self.end_headers()
                def log_message(self, *_): pass
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(sys.argv[1], sys.argv[2])
            if len(sys.argv) > 3:
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_verify_locations(sys.argv[3])
            class Server(http.server.ThreadingHTTPServer):
                def get_request(self):
                    connection, address = super().get_request()
                    return context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address
                def handle_error(self, *_): pass
            server = Server(("127.0.0.1", 0), Handler)
            print(server.server_port, flush=True)
            server.serve_forever()
            """
        let child = try Child(
            "python3", ["-c", script, pair.certificate.path, pair.key.path] + (clients.map { [$0.certificate.path] } ?? []))
        try child.waitForOutput("its port") { !$0.isEmpty }
        return (child, try #require(child.lines.first.flatMap { Int($0) }))
    }

    private func post(_ port: Int, host: String = "127.0.0.1", _ tls: TLSSettings?) async throws -> DeliveryVerdict? {
        let secret = try WebhookSecret("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")
        var configuration = try WebhookConfiguration(url: "https://\(host):\(port)/", secrets: [secret])
        configuration.allowsPrivate = true
        configuration.tls = tls
        let sink = WebhookSink(configuration, userAgent: "test", logger: logger)
        let delivery = ClaimedDelivery(
            id: 1, subscription: "s", event: Event(id: "e", type: "a", json: [123, 125]), attempt: 1,
            createdAt: Timestamp(seconds: 0))
        // TLS 1.3 tells a client late that its certificate was wanted: both requests are judged.
        let verdicts = await sink.deliver([delivery], now: Timestamp(seconds: 0))
        // By the sink's queue it comes to the same.
        let queued = Mutex<DeliveryVerdict?>(nil)
        let queue = try #require(sink.queue)
        queue.start(now: { Timestamp(seconds: 0) }) { reports in
            for case .tried(_, let answer, _) in reports { queued.withLock { $0 = answer.verdict } }
        }
        queue.add([LeasedDelivery(delivery, leaseEnds: Timestamp(seconds: 100))], now: Timestamp(seconds: 0))
        await queue.end()
        #expect((queued.withLock { $0 } == .delivered) == (verdicts.first == .delivered))
        await sink.shutdown()
        return verdicts.first
    }

    @Test func certificatesAreCheckedOnBothSides() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("mailhookd-mtls-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let (own, other) = (try TestCertificate(in: folder, name: "server"), try TestCertificate(in: folder, name: "client"))
        func bytes(_ url: URL) throws -> [UInt8] { Array(try Data(contentsOf: url)) }
        let (child, port) = try server(own, clients: other)
        defer { child.signal(SIGKILL) }
        // Nobody vouches for it.
        #expect(try await post(port, nil) == .retry(reason: "tls_failed"))
        let trusting = try TLSSettings(certificate: nil, key: nil, authorities: try bytes(own.certificate))
        #expect(try await post(port, trusting) != .delivered)
        let mutual = try TLSSettings(
            certificate: try bytes(other.certificate), key: try bytes(other.key), authorities: try bytes(own.certificate))
        #expect(try await post(port, mutual) == .delivered)
        // The certificate is not for this name.
        #expect(try await post(port, host: "localhost", mutual) == .retry(reason: "tls_failed"))

        #expect(throws: TLSSettingsError.certificateUnreadable) { try TLSSettings(certificate: [1], key: nil, authorities: nil) }
        #expect(throws: TLSSettingsError.keyUnreadable) {
            try TLSSettings(certificate: try bytes(other.certificate), key: nil, authorities: nil)
        }
        #expect(throws: TLSSettingsError.authoritiesUnreadable) { try TLSSettings(certificate: nil, key: nil, authorities: []) }
        #expect(throws: TLSSettingsError.unusable) {
            try TLSSettings(certificate: try bytes(other.certificate), key: try bytes(own.key), authorities: nil)
        }
    }
}
