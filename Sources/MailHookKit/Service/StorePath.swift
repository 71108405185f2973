// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Where the store lies, and what its errors mean to who starts a command.

import HookModel

enum StorePath {
    static func inFolder(_ dataFolder: String) -> String { dataFolder + "/mailhookd.sqlite" }
}

extension SetupError {
    init(storeError: StoreError, dataFolder: String) {
        let path = StorePath.inFolder(dataFolder)
        switch storeError {
        case .busy(let text): self.init(text, exitStatus: SysExit.temporaryFailure)
        case .full(let text): self.init("no room for the store \(path): \(text)", exitStatus: SysExit.temporaryFailure)
        case .fromTheFuture(let found, let known):
            self.init(
                "\(path) has schema \(found), this version knows \(known): use the newer mailhookd that wrote it",
                exitStatus: SysExit.configuration)
        case .notWritable(let text): self.init("the store \(path): \(text)", exitStatus: SysExit.noPermission)
        case .corrupt(let text): self.init("the store \(path): \(text)", exitStatus: SysExit.temporaryFailure)
        case .failed(let text): self.init("the store \(path): \(text)", exitStatus: SysExit.temporaryFailure)
        case .closed: self.init("the store \(path) is closed", exitStatus: SysExit.temporaryFailure)
        }
    }
}
