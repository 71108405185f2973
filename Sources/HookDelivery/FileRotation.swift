// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Puts a file of events aside when it is large or a new period has begun. Which file is old enough is told from its
// size and time alone, so that restarts make no difference.

internal import Glibc
internal import HookModel

struct FileRotation {
    let path: String
    let size: Int?
    /// Periods are counted from 1970 on: with `1d` a file holds one day of UTC.
    let age: Duration?
    let kept: Int?

    init(_ configuration: FileConfiguration) {
        path = configuration.path
        size = configuration.rotationSize
        age = configuration.rotationAge
        kept = configuration.kept
    }

    var isWanted: Bool { size != nil || age != nil }

    /// Renames the file if it is due before `octets` more are written. Failing is no loss: the file only grows on.
    /// True if it was.
    func rotate(adding octets: Int, now: Timestamp) -> Bool {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_size > 0 else { return false }
        let written = Timestamp(seconds: Int64(status.st_mtim.tv_sec))
        guard isTooLarge(Int(status.st_size) + octets) || isOfEarlierPeriod(written, now) else { return false }
        // link(2) refuses a name that is taken, rename(2) would overwrite.
        let target = "\(path).\(Self.stamp(now))"
        guard link(path, target) == 0, unlink(path) == 0 else { return false }
        removeOld()
        return true
    }

    private func isTooLarge(_ octets: Int) -> Bool { size.map { octets > $0 } ?? false }

    private func isOfEarlierPeriod(_ written: Timestamp, _ now: Timestamp) -> Bool {
        guard let seconds = age?.components.seconds, seconds > 0 else { return false }
        return now.seconds / seconds > written.seconds / seconds
    }

    /// Such as `20261125T171500.123456Z`: in the order of time, and without a colon, which some tools take for a host.
    private static func stamp(_ now: Timestamp) -> String { now.rfc3339.filter { $0 != "-" && $0 != ":" } }

    private static func isStamp(_ text: Substring) -> Bool {
        let bytes = Array(text.utf8)
        return bytes.count == 23
            && bytes.enumerated().allSatisfy { index, byte in
                switch index {
                case 8: byte == UInt8(ascii: "T")
                case 15: byte == UInt8(ascii: ".")
                case 22: byte == UInt8(ascii: "Z")
                default: (0x30...0x39).contains(byte)
                }
            }
    }

    private func removeOld() {
        guard let kept else { return }
        let slash = path.lastIndex(of: "/")
        let folder = slash.map { String(path[...$0]) } ?? "./"
        let prefix = path[(slash.map { path.index(after: $0) } ?? path.startIndex)...] + "."
        var names: [String] = []
        guard let stream = opendir(folder) else { return }
        defer { closedir(stream) }
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.hasPrefix(prefix), Self.isStamp(name.dropFirst(prefix.count)) { names.append(name) }
        }
        for name in names.sorted().dropLast(max(0, kept)) { unlink(folder + name) }
    }
}
