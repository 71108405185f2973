// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Messages whose lines end in CR alone, as old Macintosh software wrote them.

enum LineEnds {
    /// Whether there are CR and no LF at all. A CR beside line ends of the usual kind is an octet like any other.
    static func areCarriageReturnsAlone(_ bytes: [UInt8]) -> Bool {
        bytes.withUnsafeBufferPointer {
            $0.firstIndex(of: .lineFeed, in: 0..<$0.count) == $0.count
                && $0.firstIndex(of: .carriageReturn, in: 0..<$0.count) < $0.count
        }
    }

    /// LF for each CR: places stay the same.
    static func withLineFeeds(_ bytes: [UInt8]) -> [UInt8] {
        bytes.map { $0 == .carriageReturn ? .lineFeed : $0 }
    }
}
