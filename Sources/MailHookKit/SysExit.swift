// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Exit statuses of the commands, as sysexits.h names them. Statuses that follow from what
// became of a message come from `Outcome` instead.

public enum SysExit {
    /// EX_USAGE: the command line asks for what there is not, or what cannot be understood.
    public static let usage: Int32 = 64
    /// EX_DATAERR: what was given is not as it has to be.
    public static let dataError: Int32 = 65
    /// EX_NOINPUT: a file could not be read.
    public static let noInput: Int32 = 66
    /// EX_UNAVAILABLE: the other side refused.
    public static let unavailable: Int32 = 69
    /// EX_CANTCREAT: a file or folder could not be made.
    public static let cannotCreate: Int32 = 73
    /// EX_TEMPFAIL: may work later.
    public static let temporaryFailure: Int32 = 75
    /// EX_NOPERM.
    public static let noPermission: Int32 = 77
    /// EX_CONFIG: the configuration is bad.
    public static let configuration: Int32 = 78
}

/// Why a command could not do its work, with the status it ends with.
public struct SetupError: Error, Sendable, Hashable, CustomStringConvertible {
    public var description: String
    public var exitStatus: Int32

    public init(_ description: String, exitStatus: Int32) {
        self.description = description
        self.exitStatus = exitStatus
    }
}
