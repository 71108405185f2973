// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Starting touches most of the program once: relocations, the Swift runtime's tables, the readers of
// configuration. Little of it is needed again, and the daemon gives those pages back when it is at rest.

import Glibc

struct ProgramPages: Sendable {
    private let ranges: [Range<UInt>]

    /// The program and the libraries that it was started with, which are never unmapped. To be called before threads start:
    /// libraries that are loaded later come and go, and something else may be where they were.
    init() {
        let text = (try? Files.read("/proc/self/smaps", limit: 4 << 20)) ?? []
        ranges = Self.ranges(String(decoding: text, as: UTF8.self))
    }

    /// Unmaps the pages that were read so far; those that are used again come back from the page cache, or from the
    /// file, at the next touch.
    func release() {
        for range in ranges {
            madvise(UnsafeMutableRawPointer(bitPattern: range.lowerBound), range.count, MADV_DONTNEED)
        }
    }

    /// The addresses of the mappings in /proc/self/smaps (proc(5)) that show nothing but what is in a file. Relocated
    /// data is read-only too, but exists in memory alone: it counts as anonymous.
    static func ranges(_ smaps: String) -> [Range<UInt>] {
        var ranges: [Range<UInt>] = []
        var candidate: Range<UInt>?
        for line in smaps.split(separator: "\n") {
            if line.hasPrefix("Anonymous:") {
                let isFile = line.dropFirst("Anonymous:".count).split(separator: " ").first == "0"
                if isFile, let candidate { ranges.append(candidate) }
                candidate = nil
            } else if let header = fileMapping(line) {
                candidate = header
            }
        }
        return ranges
    }

    /// A line such as `55d0a0000000-55d0a2300000 r-xp 00000000 fe:00 1234  /usr/bin/mailhookd` begins a mapping; nil
    /// for one that can be written to, one that has no file, and every other line.
    private static func fileMapping(_ line: Substring) -> Range<UInt>? {
        let fields = line.split(separator: " ", maxSplits: 5, omittingEmptySubsequences: true)
        guard fields.count == 6, fields[1] == "r-xp" || fields[1] == "r--p",
            fields[5].drop(while: { $0 == " " }).hasPrefix("/")
        else { return nil }
        let bounds = fields[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
        guard bounds.count == 2, bounds[0] < bounds[1] else { return nil }
        return bounds[0]..<bounds[1]
    }
}
