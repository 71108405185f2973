// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Disks that are small, and disks that fail when a test says so. The first are a tmpfs of their own
// (root only); the second a shared object in front of the C library that refuses writes below one
// folder while a file says with what. Nothing outside of the test's folders is touched.

import Foundation
import Glibc
import TestSupport
import Testing

/// A tmpfs of its own, unmounted with the value.
final class SmallDisk {
    static let absence: String? =
        geteuid() == 0 && access("/bin/mount", X_OK) == 0 && canMount ? nil : "skipped: mounting a small tmpfs needs root"

    private static var canMount: Bool {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("mailhookd-mount-\(UUID().uuidString)")
        guard (try? FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)) != nil,
            mount("tmpfs", folder.path, "tmpfs", 0, "size=1m") == 0
        else { return false }
        umount2(folder.path, Int32(MNT_DETACH))
        rmdir(folder.path)
        return true
    }

    let path: String

    /// - Parameter path: a folder that exists.
    init(at path: String, megabytes: Int) throws {
        self.path = path
        try #require(mount("tmpfs", path, "tmpfs", 0, "size=\(megabytes)m,mode=0755") == 0)
    }

    deinit { umount2(path, Int32(MNT_DETACH)) }

    func makeReadOnly() {
        #expect(mount("tmpfs", path, "tmpfs", UInt(MS_REMOUNT | MS_RDONLY), nil) == 0)
    }

    /// Takes all room that is left, or gives it back.
    func fill() throws {
        let file = open(path + "/ballast", O_WRONLY | O_CREAT | O_APPEND, 0o600)
        try #require(file >= 0)
        defer { close(file) }
        let block = [UInt8](repeating: 1, count: 4096)
        while write(file, block, block.count) > 0 {}
        try #require(errno == ENOSPC)
    }

    func makeRoom() { unlink(path + "/ballast") }
}

/// A file system on a loop device that the kernel makes read-only as after an error on the disk, with files open in it.
/// A remount by hand is not that: it is refused while anybody has a file open for writing.
final class BreakingDisk {
    /// Why there is none, or nil.
    static let absence: String? = {
        guard geteuid() == 0 else { return "needs root" }
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("mailhookd-loop-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        guard (try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)) != nil,
            (try? BreakingDisk(at: folder, megabytes: 8)) != nil
        else { return "needs a loop device and mkfs.ext4" }
        return nil
    }()

    private let path: String
    private let image: String

    /// - Parameter path: a folder that exists.
    init(at path: String, megabytes: Int) throws {
        self.path = path
        image = path + ".image"
        try #require(FileManager.default.createFile(atPath: image, contents: nil) && truncate(image, megabytes << 20) == 0)
        try Self.run("mkfs.ext4", ["-q", image])
        try Self.run("mount", ["-o", "loop", image, path])
    }

    deinit {
        umount2(path, Int32(MNT_DETACH))
        unlink(image)
    }

    /// ext4(5): `abort` does what an error of the kind would do.
    func goReadOnly() throws { try Self.run("mount", ["-o", "remount,abort", path]) }

    /// What an administrator does when nobody uses it any more.
    func repair() throws {
        try Self.run("umount", [path])
        // 1 stands for errors that were corrected.
        let check = try Child.run("/sbin/e2fsck", ["-fy", image])
        try #require(check.status <= 1, "\(check)")
        try Self.run("mount", ["-o", "loop", image, path])
    }

    private static func run(_ program: String, _ arguments: [String]) throws {
        let folders = "/usr/sbin:/sbin:" + (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin")
        let child = try Child(program, arguments, environment: ["PATH": folders])
        child.closeInput()
        let result = try child.wait()
        try #require(result.status == 0, "\(program): \(result.errors)")
    }
}

/// Makes writes to files of a program fail.
struct FailingDisk {
    /// Why there is none, or nil.
    static let absence: String? = library == nil ? "skipped: no C compiler, or the program is linked statically" : nil

    private static let library: String? = {
        let folder = FileManager.default.temporaryDirectory
        let source = folder.appendingPathComponent("mailhookd-failing-\(getpid()).c")
        let object = folder.appendingPathComponent("mailhookd-failing-\(getpid()).so").path
        guard (try? text.write(to: source, atomically: true, encoding: .utf8)) != nil,
            let result = try? Child.run("cc", ["-shared", "-fPIC", "-O1", "-o", object, source.path]), result.status == 0
        else { return nil }
        unlink(source.path)
        return object
    }()

    /// Holds the error number while writes fail; absent while they work.
    private let order: String
    private let folder: String

    /// - Parameter folder: files whose path contains this fail.
    init(_ installation: Installation, folder: String) {
        order = installation.folder.appendingPathComponent("failing").path
        self.folder = folder
    }

    var environment: [String: String] {
        ["LD_PRELOAD": Self.library ?? "", "FAILING_ORDER": order, "FAILING_FOLDER": folder]
    }

    /// - Parameter calls: `w` for writes, `s` for syncs.
    func fail(with error: Int32, calls: String = "ws") throws {
        // Renamed, so that nobody reads half of it.
        try "\(error) \(calls)".write(toFile: order, atomically: true, encoding: .utf8)
    }

    func work() { unlink(order) }

    private static let text = """
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <errno.h>
        #include <fcntl.h>
        #include <stdio.h>
        #include <stdlib.h>
        #include <string.h>
        #include <unistd.h>
        #include <sys/uio.h>

        static int failure(int fd, char call) {
            const char *order = getenv("FAILING_ORDER"), *folder = getenv("FAILING_FOLDER");
            if (!order || access(order, F_OK) != 0) return 0;
            char link[64], path[4096], text[64] = {0};
            snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
            ssize_t length = readlink(link, path, sizeof path - 1);
            if (length <= 0) return 0;
            path[length] = 0;
            if (!strstr(path, folder)) return 0;
            int file = open(order, O_RDONLY);
            if (file < 0) return 0;
            ssize_t count = read(file, text, sizeof text - 1);
            close(file);
            if (count <= 0 || !strchr(text, call)) return 0;
            return atoi(text);
        }
        #define CHECK(fd, call) do { int e = failure(fd, call); if (e) { errno = e; return -1; } } while (0)
        #define NEXT(name) static __typeof__(&name) next; if (!next) next = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

        ssize_t pwrite(int fd, const void *b, size_t n, off_t o) { NEXT(pwrite); CHECK(fd, 'w'); return next(fd, b, n, o); }
        ssize_t pwrite64(int fd, const void *b, size_t n, off64_t o) { NEXT(pwrite64); CHECK(fd, 'w'); return next(fd, b, n, o); }
        ssize_t pwritev(int fd, const struct iovec *v, int n, off_t o) { NEXT(pwritev); CHECK(fd, 'w'); return next(fd, v, n, o); }
        ssize_t pwritev64(int fd, const struct iovec *v, int n, off64_t o) { NEXT(pwritev64); CHECK(fd, 'w'); return next(fd, v, n, o); }
        ssize_t write(int fd, const void *b, size_t n) { NEXT(write); CHECK(fd, 'w'); return next(fd, b, n); }
        int fdatasync(int fd) { NEXT(fdatasync); CHECK(fd, 's'); return next(fd); }
        int fsync(int fd) { NEXT(fsync); CHECK(fd, 's'); return next(fd); }
        """
}
