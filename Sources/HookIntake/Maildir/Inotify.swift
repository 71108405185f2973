// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// inotify(7) for folders: which names came, and when the kernel dropped some of its messages.

import Glibc

/// Not final: tests make the system refuse watches.
class Inotify {
    enum Event {
        /// A complete file came by rename(2).
        case moved(watch: Int32, EntryName)
        /// Somebody who wrote it closed it.
        case closed(watch: Int32, EntryName)
        /// A name was made, by link(2) for a complete file or by open(2) for one that is still empty.
        case created(watch: Int32, EntryName)
        /// The folder itself was moved away. That it was removed, the kernel tells when nobody has it open any more.
        case gone(watch: Int32)
        /// There were more events than the kernel keeps.
        case overflow
    }

    let descriptor: Int32
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 8)

    /// nil where the system has no more of them (`fs.inotify.max_user_instances`).
    init?() {
        descriptor = inotify_init1(Int32(IN_NONBLOCK | IN_CLOEXEC))
        guard descriptor >= 0 else {
            buffer.deallocate()
            return nil
        }
    }

    deinit {
        close(descriptor)
        buffer.deallocate()
    }

    /// No link is followed, as the folder is opened without following one.
    private static let mask = UInt32(
        IN_MOVED_TO | IN_CREATE | IN_CLOSE_WRITE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_DONT_FOLLOW)

    /// Watches a folder; nil with `errno` set where that fails: ENOSPC where the system has no more of them
    /// (`fs.inotify.max_user_watches`). A folder that is watched already has the same number again.
    func watch(_ path: String) -> Int32? {
        let watch = inotify_add_watch(descriptor, path, Self.mask)
        return watch >= 0 ? watch : nil
    }

    func remove(_ watch: Int32) { inotify_rm_watch(descriptor, watch) }

    /// Reads once what the kernel has, at most a buffer of it; false when nothing was there.
    func read(_ body: (Event) -> Void) -> Bool {
        let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
        guard count > 0 else { return false }
        // struct inotify_event: wd, mask, cookie, len of four octets each, then the name with NULs behind it. The
        // kernel never splits an event.
        let header = 16
        var position = 0
        while position + header <= count {
            let watch = buffer.loadUnaligned(fromByteOffset: position, as: Int32.self)
            let mask = buffer.loadUnaligned(fromByteOffset: position + 4, as: Int32.self)
            let length = Int(buffer.loadUnaligned(fromByteOffset: position + 12, as: UInt32.self))
            let end = min(position + header + length, count)
            let name = EntryName(buffer[(position + header)..<end].prefix { $0 != 0 })
            position = end
            if mask & IN_Q_OVERFLOW != 0 {
                body(.overflow)
            } else if mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT) != 0 {
                body(.gone(watch: watch))
            } else if mask & IN_MOVED_TO != 0 {
                body(.moved(watch: watch, name))
            } else if mask & IN_CLOSE_WRITE != 0 {
                body(.closed(watch: watch, name))
            } else if mask & IN_CREATE != 0 {
                body(.created(watch: watch, name))
            }
        }
        return true
    }
}
