// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// API keys: a small file of the data folder that holds who may do what, and digests instead of
// keys. A key has 200 random bits, so one round of SHA-256 is all the hiding it needs.

import Crypto
import Glibc
public import HookModel
public import HookWeb
import JSONLD
import Synchronization

/// An API key as it is kept.
public struct APIKey: Sendable, Hashable {
    /// `key_` and eight characters; no secret.
    public var id: String
    /// What it is for, for people.
    public var name: String
    public var roles: [APIRole]
    public var createdAt: Timestamp
    /// SHA-256 of the key, in base32.
    var digest: String
}

/// The keys of a data folder. The file is read again whenever it changed, so that commands act on a running daemon.
public final class APIKeyFile: Sendable {
    /// What tells one state of the file from another.
    private struct Stamp: Hashable {
        var inode: UInt
        var size: Int
        var seconds: Int
        var nanoseconds: Int
    }

    private struct State {
        var stamp: Stamp?
        var holders: [String: APIKeyHolder] = [:]
    }

    private let path: String
    private let folder: String
    private let state = Mutex(State())
    private static let sizeLimit = 1 << 20

    public init(dataFolder: String) {
        folder = dataFolder
        path = dataFolder + "/keys.json"
    }

    // MARK: - For the daemon

    /// Who holds a key. A file that cannot be read lets nobody in.
    public func holder(ofKey key: String) -> APIKeyHolder? {
        state.withLock { state in
            let stamp = stamp()
            if stamp == nil || stamp != state.stamp {
                let keys = (try? read()) ?? []
                state.holders = [:]
                for key in keys { state.holders[key.digest] = APIKeyHolder(id: key.id, roles: Set(key.roles)) }
                state.stamp = stamp
            }
            return state.holders[Self.digest(key)]
        }
    }

    private func stamp() -> Stamp? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        return Stamp(
            inode: UInt(status.st_ino), size: Int(status.st_size), seconds: status.st_mtim.tv_sec,
            nanoseconds: status.st_mtim.tv_nsec)
    }

    // MARK: - For commands

    /// All keys, oldest first.
    public func list() throws(FileError) -> [APIKey] { try read() }

    /// Makes a key. The secret is not kept: this is the only time it can be shown.
    public func create(
        name: String, roles: [APIRole], now: Timestamp
    ) throws(FileError) -> (key: APIKey, secret: String) {
        try Files.makeFolder(folder, mode: 0o700)
        let secret = "mhk_" + Self.random(octets: 25)
        let key = APIKey(
            id: "key_" + Self.random(octets: 5), name: name, roles: roles, createdAt: now, digest: Self.digest(secret))
        try change { $0.append(key) }
        return (key, secret)
    }

    /// Removes a key; false where there is none of this id.
    public func revoke(id: String) throws(FileError) -> Bool {
        var isFound = false
        try change { keys in
            isFound = keys.contains { $0.id == id }
            keys.removeAll { $0.id == id }
        }
        return isFound
    }

    /// One change at a time, also among processes.
    private func change(_ change: (inout [APIKey]) -> Void) throws(FileError) {
        try Files.locked(path + ".lock") { () throws(FileError) in
            var keys = try read()
            change(&keys)
            try Files.replace(path, Self.text(of: keys), mode: 0o600)
        }
    }

    // MARK: - The file

    private func read() throws(FileError) -> [APIKey] {
        guard let bytes = try Files.read(path, limit: Self.sizeLimit, orNil: ENOENT) else { return [] }
        do {
            let root = try JSONDocument(bytes).root
            return root["keys"]?.elements.compactMap(Self.key) ?? []
        } catch {
            throw FileError(path: path, reason: "is not JSON: \(error.code.rawValue)")
        }
    }

    private static func key(_ value: JSONValue) -> APIKey? {
        guard let id = value["id"]?.string, let digest = value["digest"]?.string else { return nil }
        // A role of a newer version allows nothing here.
        let roles = value["roles"]?.elements.compactMap { $0.string.flatMap(APIRole.init(rawValue:)) } ?? []
        let createdAt = value["createdAt"]?.string.flatMap(Timestamp.init(rfc3339:)) ?? Timestamp(seconds: 0)
        return APIKey(id: id, name: value["name"]?.string ?? "", roles: roles, createdAt: createdAt, digest: digest)
    }

    private static func text(of keys: [APIKey]) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.name("keys")
        writer.beginArray()
        for key in keys {
            writer.beginObject()
            writer.member("id", key.id)
            writer.member("name", key.name)
            writer.name("roles")
            writer.beginArray()
            key.roles.forEach { writer.string($0.rawValue) }
            writer.endArray()
            writer.member("createdAt", key.createdAt.rfc3339)
            writer.member("digest", key.digest)
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        return writer.bytes + [UInt8(ascii: "\n")]
    }

    private static func digest(_ secret: String) -> String {
        Base32.lowerCase(SHA256.hash(data: Array(secret.utf8)))
    }

    private static func random(octets: Int) -> String {
        let key = SymmetricKey(size: SymmetricKeySize(bitCount: octets * 8))
        return Base32.lowerCase(key.withUnsafeBytes { [UInt8]($0) })
    }
}

extension APIKey {
    /// Id, creation time, roles and name, on one line.
    public var text: String {
        "\(id) \(createdAt.rfc3339) \(roles.map(\.rawValue).joined(separator: ",")) \(Terminal.harmless(name))"
    }

    public var jsonLine: String {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("id", id)
        writer.member("name", name)
        writer.name("roles")
        writer.beginArray()
        roles.forEach { writer.string($0.rawValue) }
        writer.endArray()
        writer.member("createdAt", createdAt.rfc3339)
        writer.endObject()
        return String(decoding: writer.bytes, as: UTF8.self)
    }
}
