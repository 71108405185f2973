// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Which mappings of /proc/self/smaps can be given back.

import Testing

@testable import MailHookKit

@Suite struct ProgramPagesTests {
    static let mappings: [(header: String, anonymous: Int, range: Range<UInt>?)] = [
        ("55d0a0000000-55d0a2300000 r-xp 00000000 fe:00 1234                      /usr/bin/mailhookd", 0, 0x55d0_a000_0000..<0x55d0_a230_0000),
        ("7f0000001000-7f0000002000 r--p 00001000 fe:00 99 /opt/a folder/libz.so.1", 0, 0x7f00_0000_1000..<0x7f00_0000_2000),
        // Relocated data is read-only too, and exists in memory alone.
        ("55d0a2300000-55d0a2400000 r--p 02300000 fe:00 1234                      /usr/bin/mailhookd", 936, nil),
        ("55d0a2400000-55d0a2500000 rw-p 02400000 fe:00 1234                      /usr/bin/mailhookd", 0, nil),
        ("7f0000001000-7f0000002000 r--s 00001000 fe:00 99 /var/lib/mailhookd/store.db-shm", 0, nil),
        ("7ffd1cbf0000-7ffd1cbf2000 r-xp 00000000 00:00 0                          [vdso]", 0, nil),
        ("7f0000001000-7f0000002000 r-xp 00000000 00:00 0", 0, nil),
        ("7f0000001000 r-xp 00000000 00:00 0 /usr/bin/x", 0, nil),
    ]

    private static func block(_ mapping: (header: String, anonymous: Int, range: Range<UInt>?)) -> String {
        "\(mapping.header)\nRss: 12 kB\nAnonymous:         \(mapping.anonymous) kB\nVmFlags: rd ex mr mw me sd \n"
    }

    @Test(arguments: mappings) func onlyWhatTheFileHolds(header: String, anonymous: Int, range: Range<UInt>?) {
        #expect(ProgramPages.ranges(Self.block((header, anonymous, range))) == (range.map { [$0] } ?? []))
    }

    @Test func eachMappingIsJudgedAlone() {
        let text = Self.mappings.map(Self.block).joined()
        #expect(ProgramPages.ranges(text) == Self.mappings.compactMap(\.range))
        #expect(ProgramPages.ranges("") == [])
    }
}
