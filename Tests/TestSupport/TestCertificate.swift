// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Self-signed certificates made with openssl, for tests of TLS.

public import Foundation
public import Testing

public struct TestCertificate: Sendable {
    public let certificate: URL
    public let key: URL

    /// Makes `NAME.crt` and `NAME.key` in a folder, for the host name hooks.example.com and 127.0.0.1. Files that are
    /// there are replaced at once, as tools that renew certificates do.
    ///
    /// - Parameter isExpired: valid from 2001 to 2002.
    @discardableResult
    public init(in folder: URL, name: String = "tls", isExpired: Bool = false) throws {
        certificate = folder.appendingPathComponent("\(name).crt")
        key = folder.appendingPathComponent("\(name).key")
        let (newKey, newCertificate) = (key.path + ".new", certificate.path + ".new")
        let subject = ["-subj", "/CN=hooks.example.com", "-addext", "subjectAltName=DNS:hooks.example.com,IP:127.0.0.1"]
        if isExpired {
            let (request, base) = (key.path + ".csr", folder.appendingPathComponent("ca-\(name)"))
            try FileManager.default.createDirectory(at: base, withIntermediateDirectories: true)
            try "".write(to: base.appendingPathComponent("index"), atomically: true, encoding: .utf8)
            try "01".write(to: base.appendingPathComponent("serial"), atomically: true, encoding: .utf8)
            let settings = base.appendingPathComponent("openssl.cnf")
            try """
                [ca]
                default_ca = own
                [own]
                database = \(base.path)/index
                serial = \(base.path)/serial
                new_certs_dir = \(base.path)
                default_md = sha256
                policy = any
                [any]
                commonName = supplied

                """.write(to: settings, atomically: true, encoding: .utf8)
            try Self.openssl(
                ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", newKey, "-out", request]
                    + subject)
            try Self.openssl([
                "ca", "-batch", "-selfsign", "-config", settings.path, "-keyfile", newKey, "-in", request, "-out", newCertificate,
                "-startdate", "20010101000000Z", "-enddate", "20020101000000Z", "-notext",
            ])
        } else {
            try Self.openssl(
                [
                    "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-keyout",
                    newKey, "-out", newCertificate,
                ] + subject)
        }
        for (new, old) in [(newKey, key.path), (newCertificate, certificate.path)] where rename(new, old) != 0 {
            throw Child.Failure(description: "rename \(new): errno \(errno)")
        }
    }

    private static func openssl(_ arguments: [String]) throws {
        let result = try Child.run("openssl", arguments)
        guard result.status == 0 else {
            throw Child.Failure(description: "openssl \(arguments[0]): \(result.errors)")
        }
    }

    public static let isAvailable = ["/usr/bin/openssl", "/usr/local/bin/openssl"].contains {
        FileManager.default.isExecutableFile(atPath: $0)
    }
}

extension Trait where Self == ConditionTrait {
    /// Skips a test, visibly, where openssl is absent.
    public static var openssl: Self {
        .enabled(if: TestCertificate.isAvailable, "skipped: openssl is not installed; run scripts/test")
    }
}
