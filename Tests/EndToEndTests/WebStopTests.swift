// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// SIGTERM while a stranger holds a connection of HTTP: the time to stop is bounded, whatever it does.

import Foundation
import TestSupport
import Testing

@Suite(.openssl) struct WebStopTests {
    private func installation(stopTimeout: String) throws -> Installation {
        let installation = try Installation(
            "tls: { certificate: tls.crt, key: tls.key }\nstopTimeout: \(stopTimeout)", listen: "https: [\"127.0.0.1:0\"]")
        try TestCertificate(in: installation.folder)
        try installation.start()
        return installation
    }

    /// Who does not even begin the handshake was told nothing that it might read.
    @Test func aSilentStrangerDoesNotHoldUpTheStop() throws {
        let installation = try installation(stopTimeout: "20s")
        let stranger = try Connection(installation.address(of: "https"))
        usleep(300_000)
        let begun = Date()
        #expect(try installation.stop() == 0)
        #expect(Date().timeIntervalSince(begun) < 10)
        #expect(stranger.rest().isEmpty)
    }

    /// Who does not confirm the end of TLS is not waited for behind `stopTimeout`.
    @Test(arguments: [false, true]) func whoDoesNotConfirmTheEndIsCutOff(isAnswered: Bool) throws {
        let installation = try installation(stopTimeout: "1s")
        let stranger = try TLSClient(installation.address(of: "https"))
        #expect(try stranger.handshake().hasPrefix("TLSv1"))
        if isAnswered { #expect(try stranger.command("GET / HTTP/1.1\r\nHost: x\r\n").hasPrefix("HTTP/1.1 404")) }
        let begun = Date()
        #expect(try installation.stop() == 0)
        #expect(Date().timeIntervalSince(begun) < 5)
        // The connection was there until now.
        _ = try stranger.rest()
    }
}
