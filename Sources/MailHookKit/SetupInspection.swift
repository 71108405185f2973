// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What only shows on the machine: whether the files, programs, folders and ports that a right
// configuration names can be used. Nothing is made or changed; warnings only, because much of it
// may come to be before the daemon needs it.

import Glibc
import HookDelivery
import HookIntake

extension Setup {
    /// Warnings in the order of the configuration. Run by root, for the owner of the data folder: root could do
    /// everything, and the daemon does not run as root.
    public func inspect() -> [Diagnostic] {
        let inspection = SetupInspection(
            configuration: configuration, file: configuration.file ?? "configuration",
            user: DaemonUser(dataFolder: configuration.data))
        return located(inspection.findings())
    }
}

private struct SetupInspection {
    let configuration: Configuration
    let file: String
    let user: DaemonUser

    func findings() -> [Diagnostic] {
        var findings: [Diagnostic] = []
        func warn(_ place: String, _ problem: Problem?) {
            guard let problem else { return }
            findings.append(
                Diagnostic(.warning, file: file, place: place, reason: problem.reason, hint: problem.hint))
        }
        warn("data", dataFolder())
        for kind in ListenerKind.allCases {
            let addresses = configuration.listen.all.filter { $0.0 == kind }.map(\.1)
            for (index, address) in addresses.enumerated() {
                warn("listen.\(kind.rawValue)[\(index)]", listener(address))
            }
        }
        for (index, maildir) in configuration.maildirs.enumerated() {
            warn("maildirs[\(index)].path", self.maildir(maildir.path))
        }
        for (index, subscription) in configuration.subscriptions.enumerated() {
            let place = "subscriptions[\(index)]"
            switch subscription.sink {
            case .webhook, .standardOutput: break
            case .file(let sink): warn("\(place).file.path", appendable(sink.path))
            case .exec(let sink):
                warn("\(place).exec.command", program(sink.arguments.first ?? "", in: sink.workingDirectory))
                if let folder = sink.workingDirectory { warn("\(place).exec.folder", searchable(folder)) }
            }
        }
        return findings
    }

    private struct Problem {
        var reason: String
        var hint: String?
    }

    // MARK: - Files

    private func dataFolder() -> Problem? {
        let path = configuration.data
        do throws(FileError) {
            if let finding = try DataFolder.check(path).first { return Problem(reason: finding.description) }
        } catch {
            return Problem(reason: error.description)
        }
        guard Self.exists(path) else { return nil }
        return Files.isFolder(path) ? may(path, R_OK | W_OK | X_OK, "be written") : Problem(reason: "\(path) is no folder")
    }

    private func appendable(_ path: String) -> Problem? {
        if Self.exists(path) { return Files.isFolder(path) ? Problem(reason: "\(path) is a folder") : may(path, W_OK, "be written") }
        let folder = Files.parent(path)
        guard Self.exists(folder) else {
            return Problem(reason: "the folder \(folder) does not exist", hint: "deliveries wait until it does")
        }
        return may(folder, W_OK | X_OK, "be written").map { Problem(reason: $0.reason + ", and \(path) does not exist") }
    }

    private func maildir(_ path: String) -> Problem? {
        for part in ["new", "cur"] {
            guard Self.exists("\(path)/\(part)") else {
                return Problem(reason: "\(path)/\(part) does not exist", hint: "it is watched as soon as it does")
            }
            if let problem = may("\(path)/\(part)", R_OK | W_OK | X_OK, "be read and written") { return problem }
        }
        return nil
    }

    private func searchable(_ folder: String) -> Problem? {
        guard Self.exists(folder) else { return Problem(reason: "the folder \(folder) does not exist") }
        return Files.isFolder(folder) ? may(folder, X_OK, "be entered") : Problem(reason: "\(folder) is no folder")
    }

    /// A name without a slash is looked up in PATH, as it will be when it is started.
    private func program(_ name: String, in folder: String?) -> Problem? {
        if name.contains("/") {
            let path = Files.resolve(name, in: folder ?? Files.workingFolder)
            guard Self.exists(path) else { return Problem(reason: "the program \(path) does not exist") }
            return Files.isFolder(path) ? Problem(reason: "\(path) is a folder") : may(path, X_OK, "be run")
        }
        let path = getenv("PATH").map { String(cString: $0) } ?? "/usr/local/bin:/usr/bin:/bin"
        let isThere = path.split(separator: ":").contains { user.access("\($0)/\(name)", X_OK) == 0 }
        return isThere ? nil : Problem(reason: "no program \(name) in PATH", hint: "name it with its whole path")
    }

    private func may(_ path: String, _ mode: Int32, _ what: String) -> Problem? {
        let number = user.access(path, mode)
        if number == 0 { return nil }
        let cause = number == EACCES ? "by \(user.name)" : "(\(String(cString: strerror(number))))"
        return Problem(reason: "\(path) cannot \(what) \(cause)")
    }

    // MARK: - Listeners

    private func listener(_ address: ListenAddress) -> Problem? {
        switch address {
        case .unix(let path):
            let folder = Files.parent(path)
            // The service manager makes it when it starts the daemon.
            if folder == "/run/mailhookd" { return nil }
            guard Self.exists(folder) else { return Problem(reason: "the folder \(folder) does not exist") }
            return may(folder, W_OK | X_OK, "be written")
        case .tcp(_, let port):
            guard port > 0, port < Self.firstFreePort, !Self.mayBindLowPorts else { return nil }
            return Problem(
                reason: "port \(port) needs the capability CAP_NET_BIND_SERVICE, which this process does not have",
                hint: "systemd/mailhookd.service gives it to the daemon")
        }
    }

    private static func exists(_ path: String) -> Bool { faccessat(AT_FDCWD, path, F_OK, AT_EACCESS) == 0 }

    /// ip-sysctl: ports from here on are for everybody.
    private static var firstFreePort: Int {
        text("/proc/sys/net/ipv4/ip_unprivileged_port_start").flatMap { Int($0.prefix { $0.isNumber }) } ?? 1024
    }

    /// capabilities(7): CAP_NET_BIND_SERVICE is bit 10 of the effective set.
    private static var mayBindLowPorts: Bool {
        let line = text("/proc/self/status")?.split(separator: "\n").first { $0.hasPrefix("CapEff:") }
        guard let digits = line?.split(separator: "\t").last, let set = UInt64(digits, radix: 16) else { return true }
        return set & (1 << 10) != 0
    }

    private static func text(_ path: String) -> String? {
        (try? Files.read(path, limit: 65_536)).map { String(decoding: $0, as: UTF8.self) }
    }
}

/// Who the daemon will be, and what the system would let it do.
private struct DaemonUser {
    /// Where this process is root and the daemon will be somebody else.
    private let other: (user: uid_t, groups: Set<gid_t>)?

    init(dataFolder: String) {
        var status = stat()
        let isOther = geteuid() == 0 && stat(dataFolder, &status) == 0 && status.st_uid != 0
        other = isOther ? (status.st_uid, Self.groups(of: status.st_uid, status.st_gid)) : nil
    }

    var name: String { DataFolder.name(other?.user ?? geteuid()) }

    /// access(2) with the daemon's rights: 0 or an error number. For somebody else by the modes of the file and of the
    /// folders above it, as path_resolution(7) has it; access control lists are not looked at.
    func access(_ path: String, _ mode: Int32) -> Int32 {
        // Tells what no mode does: what is missing, or on a disk that is read-only.
        guard faccessat(AT_FDCWD, path, mode, AT_EACCESS) == 0 else { return errno }
        guard let other, let resolved = realpath(path, nil) else { return 0 }
        defer { free(resolved) }
        let real = String(cString: resolved)
        var folder = Files.parent(real)
        while folder != "/" {
            if !may(other, folder, X_OK) { return EACCES }
            folder = Files.parent(folder)
        }
        return mode == F_OK || may(other, real, mode) ? 0 : EACCES
    }

    private func may(_ other: (user: uid_t, groups: Set<gid_t>), _ path: String, _ mode: Int32) -> Bool {
        var status = stat()
        guard stat(path, &status) == 0 else { return false }
        let shift: mode_t = status.st_uid == other.user ? 6 : other.groups.contains(status.st_gid) ? 3 : 0
        return (status.st_mode >> shift) & mode_t(mode) == mode_t(mode)
    }

    /// A mail group, say, that lets the user into Maildirs.
    private static func groups(of user: uid_t, _ group: gid_t) -> Set<gid_t> {
        guard let entry = getpwuid(user), let name = entry.pointee.pw_name else { return [group] }
        var count: Int32 = 256
        var groups = [gid_t](repeating: 0, count: Int(count))
        guard getgrouplist(name, entry.pointee.pw_gid, &groups, &count) >= 0 else { return [group, entry.pointee.pw_gid] }
        return Set(groups.prefix(Int(count)))
    }
}
