// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Functions of the GNU C library that its headers only show to GNU sources, and so not to Swift.
// They are looked up by name when first used; where one is absent, the caller does without or says so.

internal import Glibc

enum GNUFunctions {
    /// pipe2(2): a pipe whose ends no other program can inherit, not even one started at this moment.
    static let pipe2 = find("pipe2", as: (@convention(c) (UnsafeMutablePointer<Int32>, Int32) -> Int32).self)

    /// posix_spawn_file_actions_addchdir_np(3), glibc 2.29
    static let addChangeDirectory = find(
        "posix_spawn_file_actions_addchdir_np",
        as: (@convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, UnsafePointer<CChar>) -> Int32).self)

    /// posix_spawn_file_actions_addclosefrom_np(3), glibc 2.34
    static let addCloseFrom = find(
        "posix_spawn_file_actions_addclosefrom_np",
        as: (@convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, Int32) -> Int32).self)

    /// pidfd_open(2), glibc 2.36: a descriptor that becomes readable when the process ends.
    static let openProcess = find("pidfd_open", as: (@convention(c) (pid_t, UInt32) -> Int32).self)

    private static func find<Function>(_ name: String, as type: Function.Type) -> Function? {
        // A null handle is RTLD_DEFAULT: everything the program is linked with.
        guard let address = dlsym(nil, name) else { return nil }
        return unsafeBitCast(address, to: type)
    }
}
