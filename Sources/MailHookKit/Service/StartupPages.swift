// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Starting touches most of the program once: relocations, the Swift runtime's tables, the readers of
// configuration. None of it is needed again, and the daemon gives those pages back.

import Glibc

enum StartupPages {
    /// Unmaps the pages of the program and its libraries that were read so far; those that are used again come back
    /// from the page cache, or from the file, at the next touch.
    ///
    /// Only executable mappings are named: they are private and never written to (no text relocations), so that
    /// nothing can be lost. Read-only data may be the part that was relocated, which exists in memory alone.
    static func release() {
        guard let maps = try? Files.read("/proc/self/maps", limit: 4 << 20) else { return }
        for line in maps.split(separator: UInt8(ascii: "\n")) {
            guard let range = executableFile(String(decoding: line, as: UTF8.self)) else { continue }
            madvise(UnsafeMutableRawPointer(bitPattern: range.lowerBound), range.count, MADV_DONTNEED)
        }
    }

    /// The addresses of a line of /proc/self/maps (proc(5)) that is code of a file, such as
    /// `55d0a0000000-55d0a2300000 r-xp 00000000 fe:00 1234  /usr/bin/mailhookd`; nil for any other.
    static func executableFile(_ line: String) -> Range<UInt>? {
        let fields = line.split(separator: " ", maxSplits: 5, omittingEmptySubsequences: true)
        guard fields.count == 6, fields[1] == "r-xp", fields[5].drop(while: { $0 == " " }).hasPrefix("/") else { return nil }
        let bounds = fields[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
        guard bounds.count == 2, bounds[0] < bounds[1] else { return nil }
        return bounds[0]..<bounds[1]
    }
}
