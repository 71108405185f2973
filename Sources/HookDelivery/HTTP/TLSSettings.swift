// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What TLS needs for one endpoint, checked when the configuration is read.

internal import Crypto
internal import NIOSSL

/// Certificate of our own and further trust roots of an `https` webhook. The receiver's certificate is always verified.
public struct TLSSettings: Sendable, Hashable {
    let context: NIOSSLContext
    /// Tells settings apart by what they were made of.
    private let digest: [UInt8]

    public static func == (a: TLSSettings, b: TLSSettings) -> Bool { a.digest == b.digest }
    public func hash(into hasher: inout Hasher) { hasher.combine(digest) }

    /// Only the system's trust roots, no certificate of our own.
    public init() throws(TLSSettingsError) { try self.init(certificate: nil, key: nil, authorities: nil) }

    /// All in PEM. `authorities` are trusted besides the system's.
    public init(certificate: [UInt8]?, key: [UInt8]?, authorities: [UInt8]?) throws(TLSSettingsError) {
        var hash = SHA256()
        for part in [certificate, key, authorities] { hash.update(data: SHA256.hash(data: part ?? []).map { $0 }) }
        digest = Array(hash.finalize())
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        if let authorities {
            let roots = (try? NIOSSLCertificate.fromPEMBytes(authorities)) ?? []
            if roots.isEmpty { throw .authoritiesUnreadable }
            configuration.additionalTrustRoots = [.certificates(roots)]
        }
        if let certificate {
            let chain = (try? NIOSSLCertificate.fromPEMBytes(certificate)) ?? []
            if chain.isEmpty { throw .certificateUnreadable }
            configuration.certificateChain = chain.map { .certificate($0) }
            guard let key, let privateKey = try? NIOSSLPrivateKey(bytes: key, format: .pem) else { throw .keyUnreadable }
            configuration.privateKey = .privateKey(privateKey)
        }
        do {
            context = try NIOSSLContext(configuration: configuration)
        } catch {
            throw .unusable
        }
    }
}

/// Why TLS settings are refused. Nothing of a key is part of it.
public enum TLSSettingsError: String, Error, Sendable, Hashable {
    case authoritiesUnreadable = "holds no certificate in PEM"
    case certificateUnreadable = "the certificate's file holds none in PEM"
    case keyUnreadable = "the key's file holds no private key in PEM without a password"
    case unusable = "certificate and key do not belong together, or cannot be used"
}
