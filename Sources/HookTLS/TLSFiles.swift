// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Certificate chain and key of a server as files: read whole, checked against each other, and
// looked at again for changes. Knows no protocol above TLS.

import Glibc
import NIOSSL

/// Where a server's certificate and key lie. Both may be the same file.
public struct TLSFiles: Sendable, Hashable {
    /// Absolute path of PEM: the server's certificate first, then those that lead to its authority.
    public var certificate: String
    /// Absolute path of the private key in PEM, without a passphrase.
    public var key: String
    public var minimum: TLSMinimum

    public init(certificate: String, key: String, minimum: TLSMinimum = .v12) {
        self.certificate = certificate
        self.key = key
        self.minimum = minimum
    }
}

/// The oldest version of TLS that is spoken.
public enum TLSMinimum: String, Sendable, Hashable, CaseIterable {
    case v12 = "1.2"
    case v13 = "1.3"
}

/// Why certificate and key can't be used.
public struct TLSFilesError: Error, Sendable, Hashable, CustomStringConvertible {
    public enum File: Sendable, Hashable {
        case certificate
        case key
    }

    /// Which of the two is at fault.
    public var file: File
    public var path: String
    public var reason: String

    public var description: String { "\(path): \(reason)" }
}

/// What is wrong with a certificate that can be used all the same.
public enum TLSCertificateDoubt: Sendable, Hashable {
    /// Seconds since 1970.
    case expired(at: Int64)
    case notYetValid(until: Int64)
}

extension TLSFiles {
    /// A PEM file of a chain has a few kilobytes.
    private static let sizeLimit = 1 << 20

    /// Reads both files as they are now.
    func load() throws(TLSFilesError) -> NIOSSLContext {
        let chain = try certificates()
        let privateKey: NIOSSLPrivateKey
        let keyBytes = try Self.read(key, .key)
        do {
            privateKey = try NIOSSLPrivateKey(bytes: keyBytes, format: .pem)
        } catch {
            throw TLSFilesError(file: .key, path: key, reason: "holds no private key in PEM that can be read without a passphrase")
        }
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(privateKey))
        configuration.minimumTLSVersion =
            switch minimum {
            case .v12: .tlsv12
            case .v13: .tlsv13
            }
        do {
            return try NIOSSLContext(configuration: configuration)
        } catch {
            throw TLSFilesError(file: .key, path: key, reason: "does not belong to the certificate in \(certificate)")
        }
    }

    /// Reads both files, and finds what does not keep the certificate from being used.
    ///
    /// - Parameter now: seconds since 1970.
    public func check(now: Int64) throws(TLSFilesError) -> [TLSCertificateDoubt] {
        _ = try load()
        guard let own = try certificates().first else { return [] }
        var doubts: [TLSCertificateDoubt] = []
        if Int64(own.notValidAfter) < now { doubts.append(.expired(at: Int64(own.notValidAfter))) }
        if Int64(own.notValidBefore) > now { doubts.append(.notYetValid(until: Int64(own.notValidBefore))) }
        return doubts
    }

    private func certificates() throws(TLSFilesError) -> [NIOSSLCertificate] {
        let bytes = try Self.read(certificate, .certificate)
        guard let chain = try? NIOSSLCertificate.fromPEMBytes(bytes), !chain.isEmpty else {
            throw TLSFilesError(file: .certificate, path: certificate, reason: "holds no certificate in PEM")
        }
        return chain
    }

    private static func read(_ path: String, _ file: TLSFilesError.File) throws(TLSFilesError) -> [UInt8] {
        func failure() -> TLSFilesError { TLSFilesError(file: file, path: path, reason: String(cString: strerror(errno))) }
        // A named pipe would make us wait for whoever writes into it.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw failure() }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure() }
        guard status.st_mode & S_IFMT == S_IFREG, status.st_size <= sizeLimit else {
            throw TLSFilesError(file: file, path: path, reason: "is no file of at most \(sizeLimit) octets")
        }
        var bytes = [UInt8](repeating: 0, count: sizeLimit)
        var count = 0
        while count < bytes.count {
            let more = bytes.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress.map { $0 + count }, $0.count - count) }
            if more < 0, errno == EINTR { continue }
            guard more >= 0 else { throw failure() }
            if more == 0 { break }
            count += more
        }
        return Array(bytes[..<count])
    }

    /// What changes when either file does.
    struct Stamp: Sendable, Hashable {
        private var values: [Int64] = []

        init(_ files: TLSFiles) {
            for path in [files.certificate, files.key] {
                var status = stat()
                guard stat(path, &status) == 0 else {
                    values.append(-1)
                    continue
                }
                values += [
                    Int64(truncatingIfNeeded: status.st_dev), Int64(truncatingIfNeeded: status.st_ino), Int64(status.st_size),
                    Int64(status.st_mtim.tv_sec), Int64(status.st_mtim.tv_nsec), Int64(status.st_ctim.tv_sec),
                    Int64(status.st_ctim.tv_nsec),
                ]
            }
        }
    }
}
