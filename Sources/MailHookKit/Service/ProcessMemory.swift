// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What the process asks of the C library and the kernel so that the memory it holds follows what it
// does now, and not what it did once. Nothing here changes what the program does.

import Glibc

enum ProcessMemory {
    // malloc.h of glibc; macros with a sign or a cast are not imported.
    private static let arenaMaximum: Int32 = -8
    private static let mapThreshold: Int32 = -3
    private static let trimThreshold: Int32 = -1

    /// Before there are threads: few heaps instead of one for each thread, and large blocks that go back to the kernel
    /// when they are freed (setting the threshold keeps it from growing with the largest block ever freed).
    static func bound() {
        // Not in the module map of the C library, and not in every C library.
        guard let symbol = dlsym(nil, "mallopt") else { return }
        let mallopt = unsafeBitCast(symbol, to: (@convention(c) (Int32, Int32) -> Int32).self)
        _ = mallopt(arenaMaximum, 2)
        _ = mallopt(mapThreshold, 256 << 10)
        _ = mallopt(trimThreshold, 1 << 20)
    }

    /// After the start: unmaps the program's code, most of which was needed only once. What is needed again is mapped
    /// again from the page cache at the first use, without reading the disk.
    static func releaseStartCode() {
        guard let maps = fopen("/proc/self/maps", "re") else { return }
        defer { fclose(maps) }
        // Of code nothing was written to, so nothing is lost; other segments hold relocated addresses.
        let code = unsafeBitCast(releaseStartCodeMarker as @convention(c) () -> Void, to: UInt.self)
        var line = [CChar](repeating: 0, count: 4352)
        while fgets(&line, Int32(line.count), maps) != nil {
            let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            let fields = text.split(separator: " ", maxSplits: 2)
            guard fields.count > 1, fields[1] == "r-xp" else { continue }
            let ends = fields[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
            guard ends.count == 2, ends[0] <= code, code < ends[1] else { continue }
            madvise(UnsafeMutableRawPointer(bitPattern: ends[0]), Int(ends[1] - ends[0]), MADV_DONTNEED)
        }
    }
}

/// Stands in the program's code.
private func releaseStartCodeMarker() {}
