// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Which processors threads run on. A new thread inherits this from the one that starts it, whoever that is, so a process
// that binds some threads has to free the others.

internal import Glibc

public enum ThreadPlacement {
    /// One bit for each of 1,024 processors, as many as cpu_set_t has. On a machine with more nothing is bound.
    private typealias Mask = [UInt8]
    private static let octets = 128

    /// The processors that the process may use, by number: those of its first thread, which nobody binds. Empty if the
    /// system does not tell.
    public static func processors() -> [Int] {
        guard let mask = mask(of: getpid()) else { return [] }
        return mask.indices.flatMap { index in (0..<8).filter { mask[index] >> $0 & 1 == 1 }.map { index * 8 + $0 } }
    }

    /// The calling thread's number (gettid(2)); nil where the C library does not tell.
    public static func current() -> Int32? { threadNumber?() }

    /// Keeps a thread of the process on one processor (sched_setaffinity(2)); false if the system refuses.
    @discardableResult
    public static func bind(_ thread: Int32, to processor: Int) -> Bool {
        guard 0..<octets * 8 ~= processor else { return false }
        var mask = Mask(repeating: 0, count: octets)
        mask[processor / 8] = 1 << UInt8(processor % 8)
        return give(mask, to: thread)
    }

    /// Lets threads of the process, or the calling one, run on all processors that the process may use.
    public static func free(_ threads: [Int32] = [0]) {
        guard let all = mask(of: getpid()) else { return }
        for thread in threads { give(all, to: thread) }
    }

    /// Lets every thread of the process but `bound` run on all of its processors.
    public static func freeAll(but bound: Set<Int32>) {
        guard let all = mask(of: getpid()), let folder = opendir("/proc/self/task") else { return }
        defer { closedir(folder) }
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            // One that has ended meanwhile has no mask.
            guard let thread = Int32(name), !bound.contains(thread), let mask = mask(of: thread) else { continue }
            if mask != all { give(all, to: thread) }
        }
    }

    // Not among what Swift sees of sched.h and unistd.h; gettid(2) is in glibc since 2.30.
    private typealias Function = @convention(c) (Int32, Int, UnsafeMutableRawPointer) -> Int32
    private static let getMask = dlsym(nil, "sched_getaffinity").map { unsafeBitCast($0, to: Function.self) }
    private static let setMask = dlsym(nil, "sched_setaffinity").map { unsafeBitCast($0, to: Function.self) }
    private static let threadNumber = dlsym(nil, "gettid").map {
        unsafeBitCast($0, to: (@convention(c) () -> Int32).self)
    }

    private static func mask(of thread: Int32) -> Mask? {
        var mask = Mask(repeating: 0, count: octets)
        return getMask?(thread, octets, &mask) == 0 ? mask : nil
    }

    @discardableResult
    private static func give(_ mask: Mask, to thread: Int32) -> Bool {
        var mask = mask
        return setMask?(thread, octets, &mask) == 0
    }
}
