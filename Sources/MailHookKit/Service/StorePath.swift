// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Where the store lies, and what its errors mean to who starts a command: what is wrong, and what
// to do about it.

import Glibc
import HookModel
import HookStore

enum StorePath {
    static func inFolder(_ dataFolder: String) -> String { dataFolder + "/mailhookd.sqlite" }

    /// The folder of the store's journal.
    static func journal(inFolder dataFolder: String) -> String { inFolder(dataFolder) + ".journal" }
}

extension StorePath {
    /// A store that is only read, open as long as `body` runs.
    static func read<Value>(
        _ dataFolder: String, _ body: (SQLiteStore) async throws(StoreError) -> Value
    ) async throws(SetupError) -> Value {
        do throws(StoreError) {
            let store = try SQLiteStore.open(inFolder(dataFolder), as: .reader)
            let result: Result<Value, StoreError>
            do throws(StoreError) { result = .success(try await body(store)) } catch { result = .failure(error) }
            await store.close()
            return try result.get()
        } catch {
            throw SetupError(storeError: error, dataFolder: dataFolder)
        }
    }
}

extension SetupError {
    init(storeError: StoreError, dataFolder: String) {
        let path = StorePath.inFolder(dataFolder)
        switch storeError {
        case .busy(let text): self.init(text, exitStatus: SysExit.temporaryFailure)
        case .full(let text):
            self.init(
                """
                no room for the store \(path): \(text)
                  Make room on its file system, or name another folder as 'data'.
                """, exitStatus: SysExit.temporaryFailure)
        case .fromTheFuture(let found, let known):
            self.init(
                "\(path) has schema \(found), this version knows \(known): use the newer mailhookd that wrote it",
                exitStatus: SysExit.configuration)
        case .failed(let text): self.init("the store \(path): \(text)", exitStatus: SysExit.temporaryFailure)
        case .closed: self.init("the store \(path) is closed", exitStatus: SysExit.temporaryFailure)
        case .notWritable(let text):
            self.init(
                """
                the store \(path) cannot be written: \(text)
                  The folder \(dataFolder) and the files in it must belong to the daemon's user, on a file system that
                  is not read-only.
                """, exitStatus: SysExit.noPermission)
        case .corrupt(let text):
            self.init(
                """
                the store \(path) is damaged: \(text)
                  What is wrong:     mailhookd store check
                  From a backup:     mailhookd store restore FILE
                  Without a backup:  move mailhookd.sqlite and the files beginning with that name away; the daemon then
                                     begins an empty store. Nothing is changed until you do.
                """, exitStatus: SysExit.dataError)
        }
    }
}

extension FileError {
    /// What a command ends with that could not do without the file.
    var exitStatus: Int32 {
        switch errorNumber {
        case ENOSPC, EDQUOT, EIO: SysExit.temporaryFailure
        case ENOENT, ENOTDIR, EEXIST: SysExit.cannotCreate
        default: SysExit.noPermission
        }
    }
}
