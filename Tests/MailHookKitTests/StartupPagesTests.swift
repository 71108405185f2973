// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Which lines of /proc/self/maps name code whose pages can be given back.

import Testing

@testable import MailHookKit

@Suite struct StartupPagesTests {
    static let lines: [(String, Range<UInt>?)] = [
        ("55d0a0000000-55d0a2300000 r-xp 00000000 fe:00 1234                      /usr/bin/mailhookd", 0x55d0_a000_0000..<0x55d0_a230_0000),
        ("7f0000001000-7f0000002000 r-xp 00001000 fe:00 99 /opt/a folder/libz.so.1", 0x7f00_0000_1000..<0x7f00_0000_2000),
        // Relocated data is read-only too, and exists in memory alone.
        ("55d0a2300000-55d0a2400000 r--p 02300000 fe:00 1234                      /usr/bin/mailhookd", nil),
        ("55d0a2400000-55d0a2500000 rw-p 02400000 fe:00 1234                      /usr/bin/mailhookd", nil),
        ("7ffd1cbf0000-7ffd1cbf2000 r-xp 00000000 00:00 0                          [vdso]", nil),
        ("7f0000001000-7f0000002000 r-xp 00000000 00:00 0", nil),
        ("7f0000001000 r-xp 00000000 00:00 0 /usr/bin/x", nil),
        ("", nil),
    ]

    @Test(arguments: lines) func onlyCodeOfFiles(line: String, range: Range<UInt>?) {
        #expect(StartupPages.executableFile(line) == range)
    }
}
