// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// `mailhookd store check`, `backup`, `restore`, `compact` and `erase`.

import Glibc
import HookModel
import HookStore

public enum StoreCare {
    /// What a check found, a line each.
    public struct Findings: Sendable {
        public var lines: [String]
        public var isWhole: Bool
    }

    public static func check(_ setup: Setup, isDeep: Bool) throws(SetupError) -> Findings {
        let folder = setup.configuration.data
        let path = StorePath.inFolder(folder)
        try requireStore(path)
        let check: StoreCheck
        do throws(StoreError) {
            check = try StoreCheck.run(path, isDeep: isDeep)
        } catch {
            throw SetupError(storeError: error, dataFolder: folder)
        }
        guard check.faults.isEmpty else {
            let more = check.furtherFaults > 0 ? ["and \(check.furtherFaults) more"] : []
            return Findings(lines: check.faults + more, isWhole: false)
        }
        let counts = "\(check.messages) messages, \(check.events) events, \(check.deliveries) deliveries"
        return Findings(lines: ["ok: \(counts)"], isWhole: true)
    }

    /// - Parameter target: a file, or a folder that exists or ends with a slash: then what else is needed to go on
    ///   elsewhere, secret and API keys, goes there too.
    /// - Returns: lines that say what was written.
    public static func backup(_ setup: Setup, to target: String, isReplacing: Bool) throws(SetupError) -> [String] {
        let folder = setup.configuration.data
        let path = StorePath.inFolder(folder)
        try requireStore(path)
        let isFolder = target.hasSuffix("/") || Files.isFolder(target)
        let place = target.hasSuffix("/") && target.count > 1 ? String(target.dropLast()) : target
        let file = isFolder ? StorePath.inFolder(place) : target
        do throws(FileError) {
            if isFolder { try Files.makeFolder(place, mode: 0o700) }
        } catch {
            throw SetupError(error.description, exitStatus: error.exitStatus)
        }
        var lines: [String] = []
        do throws(StoreError) {
            let octets = try StoreBackup.make(of: path, at: file, isReplacing: isReplacing)
            lines.append("\(file) \(octets)")
        } catch {
            throw failure(error, dataFolder: folder)
        }
        guard isFolder else { return lines }
        do throws(FileError) {
            let names = companions(of: folder)
            if names.contains(where: { $0.hasPrefix("apps/") }) { try Files.makeFolder("\(place)/apps", mode: 0o700) }
            for name in names {
                guard let bytes = try Files.read("\(folder)/\(name)", limit: companionLimit, orNil: ENOENT) else { continue }
                try Files.replace("\(place)/\(name)", bytes, mode: 0o600)
                lines.append("\(place)/\(name) \(bytes.count)")
            }
            return lines
        } catch {
            throw SetupError(error.description, exitStatus: error.exitStatus)
        }
    }

    /// - Parameter source: what `backup` wrote: a file, or a folder with one.
    /// - Returns: lines that say what was done.
    public static func restore(_ setup: Setup, from source: String) throws(SetupError) -> [String] {
        let folder = setup.configuration.data
        let path = StorePath.inFolder(folder)
        let isFolder = Files.isFolder(source)
        let file = isFolder ? StorePath.inFolder(source) : source
        guard access(file, R_OK) == 0 else {
            throw SetupError("\(file): \(String(cString: strerror(errno)))", exitStatus: SysExit.noInput)
        }
        do throws(FileError) {
            try Files.makeFolder(folder, mode: 0o700)
        } catch {
            throw SetupError(error.description, exitStatus: error.exitStatus)
        }
        var lines: [String] = []
        do throws(StoreError) {
            let old = try StoreUpkeep.restore(path, from: file)
            lines.append("\(path) restored from \(file)")
            if let old { lines.append("what was there is now \(old)") }
        } catch {
            throw failure(error, dataFolder: folder)
        }
        adoptOwner(folder, path)
        guard isFolder else { return lines }
        // Made where they are missing; another secret would change every address.
        do throws(FileError) {
            let names = companions(of: source)
            if names.contains(where: { $0.hasPrefix("apps/") }) { try Files.makeFolder("\(folder)/apps", mode: 0o700) }
            for name in names {
                guard let bytes = try Files.read("\(source)/\(name)", limit: companionLimit, orNil: ENOENT) else { continue }
                let isThere = access("\(folder)/\(name)", F_OK) == 0
                if !isThere { try Files.create("\(folder)/\(name)", bytes, mode: 0o600) }
                lines.append("\(folder)/\(name) \(isThere ? "is there and stays as it is" : "restored")")
            }
            return lines
        } catch {
            throw SetupError(error.description, exitStatus: error.exitStatus)
        }
    }

    /// As large as any of them may be (`HookLedger`).
    private static let companionLimit = 64 << 20

    /// What beside the store is the installation's state: secrets, hooks made over the management interface, installed
    /// versions of apps and which of them are on.
    private static func companions(of folder: String) -> [String] {
        let apps = ((try? Files.list("\(folder)/apps")) ?? []).filter { $0.hasSuffix(".json") }.sorted()
        return ["instance.key", "keys.json", "hooks.json"] + apps.map { "apps/\($0)" }
    }

    /// - Returns: a line that says what it brought.
    public static func compact(_ setup: Setup) throws(SetupError) -> String {
        let folder = setup.configuration.data
        let path = StorePath.inFolder(folder)
        try requireStore(path)
        do throws(StoreError) {
            let (before, after) = try StoreUpkeep.compact(path)
            adoptOwner(folder, path)
            return "\(path): \(StoreReport.words(before)) before, \(StoreReport.words(after)) now"
        } catch {
            throw failure(error, dataFolder: folder)
        }
    }

    /// - Returns: a line that says what was erased; nil if there is nothing of it.
    public static func erase(_ setup: Setup, messageID: String?, event: String?) async throws(SetupError) -> String? {
        let folder = setup.configuration.data
        let path = StorePath.inFolder(folder)
        try requireStore(path)
        // As a mail's header has it, or without its angle brackets.
        let named = messageID.map { $0.hasPrefix("<") && $0.hasSuffix(">") ? String($0.dropFirst().dropLast()) : $0 }
        guard let subject = named.map(ErasureSubject.messageID) ?? event.map(ErasureSubject.event) else { return nil }
        if RunningDaemon.hasControl(folder), let answer = try await eraseInDaemon(setup, subject) {
            return words(messages: answer.count, events: answer.events ?? 0)
        }
        do throws(StoreError) {
            var options = SQLiteStore.Options()
            options.compresses = false
            let store = try SQLiteStore.open(path, as: .owner, options: options)
            let result: Result<ErasureReceipt, StoreError>
            do throws(StoreError) {
                result = .success(try await store.erase(subject))
            } catch {
                result = .failure(error)
            }
            // Empties the log, where the octets still are.
            await store.close()
            adoptOwner(folder, path)
            let receipt = try result.get()
            guard receipt.messages > 0 else { return nil }
            // Its segments hold what came with the mail until they are used again.
            try StoreUpkeep.emptyJournal(path)
            adoptOwner(folder, path)
            return words(messages: receipt.messages, events: receipt.events)
        } catch {
            throw failure(error, dataFolder: folder)
        }
    }

    private static func words(messages: Int, events: Int) -> String? {
        messages > 0 ? "erased: \(messages) messages, \(events) events" : nil
    }

    /// nil where no daemon runs.
    private static func eraseInDaemon(_ setup: Setup, _ subject: ErasureSubject) async throws(SetupError) -> ControlAnswer? {
        let client = try await ControlClient(setup)
        guard client.isDaemon else {
            await client.close()
            return nil
        }
        let result: Result<ControlAnswer, SetupError>
        do throws(SetupError) { result = .success(try await client.send(.erase(subject))) } catch { result = .failure(error) }
        await client.close()
        return try result.get()
    }

    static func requireStore(_ path: String) throws(SetupError) {
        guard access(path, F_OK) != 0 else { return }
        let text = errno == ENOENT ? "there is no store yet" : String(cString: strerror(errno))
        throw SetupError("\(path): \(text)", exitStatus: errno == EACCES ? SysExit.noPermission : SysExit.noInput)
    }

    /// What root leaves in the folder, the daemon's user has to be able to use.
    private static func adoptOwner(_ folder: String, _ path: String) {
        for ending in ["", "-wal", "-shm", ".lock"] where access(path + ending, F_OK) == 0 {
            Files.adoptOwner(of: folder, for: path + ending)
        }
    }

    /// Of a command that is about other files too: the text names the file.
    private static func failure(_ error: StoreError, dataFolder: String) -> SetupError {
        switch error {
        case .busy(let text), .full(let text): SetupError(text, exitStatus: SysExit.temporaryFailure)
        case .failed(let text): SetupError(text, exitStatus: SysExit.cannotCreate)
        case .notWritable(let text): SetupError(text, exitStatus: SysExit.noPermission)
        case .corrupt(let text): SetupError(text, exitStatus: SysExit.dataError)
        case .fromTheFuture, .closed: SetupError(storeError: error, dataFolder: dataFolder)
        }
    }
}
