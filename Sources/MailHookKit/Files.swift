// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The few things the daemon does with files, over POSIX: whole reads, atomic and synced
// creation, listing. New files get the owner of their folder when root makes them, so that
// a command run by the administrator never locks the daemon out.

import Glibc

public struct FileError: Error, Sendable, Hashable, CustomStringConvertible {
    public var path: String
    public var reason: String
    /// errno(3), where the system gave one.
    public var errorNumber: Int32?

    public var description: String { "\(path): \(reason)" }

    public init(path: String, reason: String) {
        self.path = path
        self.reason = reason
    }

    init(path: String, errno number: Int32) {
        self.init(path: path, reason: String(cString: strerror(number)))
        errorNumber = number
    }
}

public enum Files {
    /// The whole of a regular file or stream of at most `limit` octets.
    public static func read(_ path: String, limit: Int) throws(FileError) -> [UInt8] {
        guard let bytes = try read(path, limit: limit, orNil: nil) else { throw FileError(path: path, errno: ENOENT) }
        return bytes
    }

    /// As `read(_:limit:)`, and nil where opening fails with the error number `tolerated`.
    static func read(_ path: String, limit: Int, orNil tolerated: Int32?) throws(FileError) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == tolerated { return nil }
            throw FileError(path: path, errno: errno)
        }
        defer { close(descriptor) }
        return try read(descriptor: descriptor, path: path, limit: limit)
    }

    /// Everything a descriptor still has, at most `limit` octets. `path` is for the error.
    public static func read(descriptor: Int32, path: String, limit: Int) throws(FileError) -> [UInt8] {
        var bytes: [UInt8] = []
        var status = stat()
        if fstat(descriptor, &status) == 0, status.st_size > 0 {
            bytes.reserveCapacity(min(Int(status.st_size), limit) + 1)
        }
        let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 16)
        defer { chunk.deallocate() }
        while true {
            let count = Glibc.read(descriptor, chunk.baseAddress, chunk.count)
            if count == 0 { return bytes }
            if count < 0 {
                if errno == EINTR { continue }
                throw FileError(path: path, errno: errno)
            }
            guard bytes.count + count <= limit else {
                throw FileError(path: path, reason: "is larger than \(limit) octets")
            }
            bytes += chunk[0..<count]
        }
    }

    /// Makes a folder and those above it; nothing happens where it exists.
    static func makeFolder(_ path: String, mode: mode_t) throws(FileError) {
        var cause = mkdir(path, mode) == 0 ? 0 : errno
        if cause == ENOENT, parent(path) != path {
            try makeFolder(parent(path), mode: 0o755)
            cause = mkdir(path, mode) == 0 ? 0 : errno
        }
        switch cause {
        case 0: adoptOwner(of: parent(path), for: path)
        // A file, and a link to where nothing is, exist as well.
        case EEXIST where !isFolder(path): throw FileError(path: path, errno: access(path, F_OK) == 0 ? ENOTDIR : ENOENT)
        case EEXIST: return
        default: throw FileError(path: path, errno: cause)
        }
    }

    /// Makes a file with this content, synced, wholly or not at all; a file that exists is left as it is.
    static func create(_ path: String, _ bytes: [UInt8], mode: mode_t) throws(FileError) {
        let temporary = "\(path).\(getpid()).new"
        try write(temporary, bytes, mode: mode)
        defer { unlink(temporary) }
        // link(2) fails where the name exists, which rename(2) does not.
        guard link(temporary, path) == 0 || errno == EEXIST else { throw FileError(path: path, errno: errno) }
        try syncFolder(parent(path))
    }

    /// Replaces a file with this content, wholly or not at all.
    static func replace(_ path: String, _ bytes: [UInt8], mode: mode_t) throws(FileError) {
        let temporary = "\(path).\(getpid()).new"
        try write(temporary, bytes, mode: mode)
        guard rename(temporary, path) == 0 else {
            let number = errno
            unlink(temporary)
            throw FileError(path: path, errno: number)
        }
        try syncFolder(parent(path))
    }

    /// Runs `body` while nobody else, in whatever process, runs one with the same lock file.
    static func locked<Result>(
        _ lockPath: String, _ body: () throws(FileError) -> Result
    ) throws(FileError) -> Result {
        let lock = open(lockPath, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0, flock(lock, LOCK_EX) == 0 else {
            let number = errno
            if lock >= 0 { close(lock) }
            throw FileError(path: lockPath, errno: number)
        }
        defer { close(lock) }
        // A lock that root made must not lock the daemon's user out.
        adoptOwner(of: parent(lockPath), for: lockPath)
        return try body()
    }

    /// Removes a file for good.
    static func remove(_ path: String) throws(FileError) {
        guard unlink(path) == 0 else { throw FileError(path: path, errno: errno) }
        try syncFolder(parent(path))
    }

    /// Names of the entries of a folder, sorted.
    static func list(_ path: String) throws(FileError) -> [String] {
        guard let folder = opendir(path) else { throw FileError(path: path, errno: errno) }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    static func isFolder(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// The folder a path stands in.
    static func parent(_ path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// `path` as it is if absolute, else below `folder`.
    static func resolve(_ path: String, in folder: String) -> String {
        path.hasPrefix("/") ? path : folder + "/" + path
    }

    static var workingFolder: String {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        guard getcwd(&buffer, buffer.count) != nil else { return "/" }
        return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    private static func write(_ path: String, _ bytes: [UInt8], mode: mode_t) throws(FileError) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw FileError(path: path, errno: errno) }
        defer { close(descriptor) }
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { buffer in
                let rest = UnsafeRawBufferPointer(rebasing: buffer[written...])
                return Glibc.write(descriptor, rest.baseAddress, rest.count)
            }
            if count < 0 {
                if errno == EINTR { continue }
                throw FileError(path: path, errno: errno)
            }
            written += count
        }
        guard fsync(descriptor) == 0 else { throw FileError(path: path, errno: errno) }
        adoptOwner(of: parent(path), for: path)
    }

    private static func syncFolder(_ path: String) throws(FileError) {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileError(path: path, errno: errno) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw FileError(path: path, errno: errno) }
    }

    /// Only root can and needs to.
    static func adoptOwner(of folder: String, for path: String) {
        var status = stat()
        guard geteuid() == 0, stat(folder, &status) == 0 else { return }
        _ = lchown(path, status.st_uid, status.st_gid)
    }
}
