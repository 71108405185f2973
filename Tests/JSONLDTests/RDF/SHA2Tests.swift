// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// SHA-256 and SHA-384 against the published vectors and another implementation.

import Testing

@testable import JSONLD

@Suite("SHA-2")
struct SHA2Tests {
    private func check(
        _ message: [UInt8], _ sha256: String, _ sha384: String, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(String(decoding: SHA2.hexadecimal(message, .sha256), as: UTF8.self) == sha256, sourceLocation: sourceLocation)
        #expect(String(decoding: SHA2.hexadecimal(message, .sha384), as: UTF8.self) == sha384, sourceLocation: sourceLocation)
    }

    // FIPS 180-2 appendix B and D, and the empty message.
    @Test func publishedVectors() {
        check(
            Array("abc".utf8), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7")
        check(
            [], "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51ad2f14898b95b")
        check(
            Array("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu".utf8),
            "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1",
            "09330c33f71147e83d192fc782cd1b4753111b173b3b05d22fa08086e3b0f712fcc7c71a557e2db966c3e9fa91746039")
    }

    /// Messages of every length up to some blocks. The digests of the digests are those that Python's hashlib gives.
    @Test func everyLength() {
        var digests: [HashAlgorithm: [UInt8]] = [:]
        for length in 0..<600 {
            let message = (0..<length).map { UInt8(truncatingIfNeeded: $0 * 7 + length) }
            for algorithm in HashAlgorithm.allCases {
                digests[algorithm, default: []] += SHA2.hexadecimal(message, algorithm)
            }
        }
        #expect(
            String(decoding: SHA2.hexadecimal(digests[.sha256] ?? [], .sha256), as: UTF8.self)
                == "80cf7552a864f171742fa609a6c8b6f286fe1c0164ab04bfed0ff848661bf0eb")
        #expect(
            String(decoding: SHA2.hexadecimal(digests[.sha384] ?? [], .sha384), as: UTF8.self)
                == "51ef996f98eb5af5ccb585e8627e4d7ea31fb6f7aa92131e295381d59598f9517d6ffa9c876077648ce4ffdbcb1c3adc")
    }
}
