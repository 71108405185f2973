// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// How much room a file system has for those without privileges.

internal import Glibc

package enum FreeSpace {
    /// Octets that are free on the file system of `path`; nil where that can't be told.
    package static func octets(at path: String) -> Int? {
        var status = statvfs()
        guard statvfs(path, &status) == 0 else { return nil }
        return octets(blocks: UInt(status.f_bavail), of: UInt(status.f_frsize))
    }

    /// The same of an open file.
    static func octets(of descriptor: Int32) -> Int? {
        var status = statvfs()
        guard fstatvfs(descriptor, &status) == 0 else { return nil }
        return octets(blocks: UInt(status.f_bavail), of: UInt(status.f_frsize))
    }

    /// A file system may call itself larger than any number of octets: then there is room.
    static func octets(blocks: UInt, of size: UInt) -> Int {
        let (octets, isTooMuch) = blocks.multipliedReportingOverflow(by: size)
        return isTooMuch ? .max : Int(clamping: octets)
    }
}
