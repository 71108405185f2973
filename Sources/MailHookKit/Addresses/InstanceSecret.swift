// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The secret from which hook addresses and keys are derived: 32 random octets in a file of
// the data folder that only its owner can read. Lost with it are all addresses.

import Crypto
import Glibc
public import HookModel

public struct InstanceSecret: Sendable {
    private let key: SymmetricKey

    static let length = 32

    /// - Parameter octets: 32 octets or more.
    public init?(octets: [UInt8]) {
        guard octets.count >= Self.length else { return nil }
        key = SymmetricKey(data: octets)
    }

    static func path(inFolder dataFolder: String) -> String { dataFolder + "/instance.key" }

    /// Reads the secret of a data folder; makes folder and secret where they are missing.
    public static func load(dataFolder: String) throws(FileError) -> InstanceSecret {
        let path = path(inFolder: dataFolder)
        if let octets = try Files.read(path, limit: 4096, orNil: ENOENT) {
            guard let secret = InstanceSecret(octets: octets) else {
                throw FileError(path: path, reason: "holds fewer than \(length) octets; restore it from a backup")
            }
            return secret
        }
        try Files.makeFolder(dataFolder, mode: 0o700)
        let octets = SymmetricKey(size: .bits256).withUnsafeBytes { [UInt8]($0) }
        try Files.create(path, octets, mode: 0o600)
        // Two processes may have come here at once: what lies on the disk now is what counts.
        return try load(dataFolder: dataFolder)
    }

    /// Token and key of a hook in a generation: the first 160 bits of HMAC-SHA256 over purpose, app, event name and
    /// generation, in base32 (RFC 4648 section 6) and lower case, 32 characters.
    public func credentials(app: String, eventName: String, generation: Int) -> AddressedHook.Credentials {
        AddressedHook.Credentials(
            token: derive("address", app, eventName, generation), key: "k_" + derive("key", app, eventName, generation))
    }

    /// What the management interface calls a hook, in every generation: 24 hexadecimal digits.
    public func hookID(app: String, eventName: String) -> String {
        Self.hexadecimal(code("hook", app, eventName).prefix(12))
    }

    /// The organization in the longer form of form hooks' URLs: 24 hexadecimal digits.
    public var organization: String { Self.hexadecimal(code("organization").prefix(12)) }

    private static func hexadecimal(_ octets: some Sequence<UInt8>) -> String {
        octets.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    private func code(_ fields: String...) -> [UInt8] {
        Array(HMAC<SHA256>.authenticationCode(for: Array(fields.joined(separator: "\0").utf8), using: key))
    }

    /// 32 characters for other purposes. Only the last field may hold a NUL.
    func derived(_ fields: String...) -> String {
        let code = HMAC<SHA256>.authenticationCode(for: Array(fields.joined(separator: "\0").utf8), using: key)
        return Base32.lowerCase(Array(code.prefix(20)))
    }

    private func derive(_ purpose: String, _ app: String, _ eventName: String, _ generation: Int) -> String {
        // NUL cannot stand in any of them, so no two lists of fields give the same octets.
        let fields = [purpose, app, eventName, String(generation)].joined(separator: "\0")
        let code = HMAC<SHA256>.authenticationCode(for: Array(fields.utf8), using: key)
        return Base32.lowerCase(Array(code.prefix(20)))
    }
}
