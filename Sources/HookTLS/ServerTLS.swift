// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The server's side of TLS for any listener: puts the handshake in front of a connection, with
// the certificate as it is now. Files that change are read again with the next connection; ones
// that can't be used leave the old certificate in place. Needs no thread and no timer.

public import Logging
public import NIOCore
import NIOSSL
import Synchronization

public final class ServerTLS: Sendable {
    /// What became of a look at the files.
    public enum Reload: Sendable, Hashable {
        case unchanged
        case loaded
        /// The new files can't be used; the certificate from before stays.
        case kept(TLSFilesError)
    }

    private struct State {
        var context: NIOSSLContext
        var stamp: TLSFiles.Stamp
        /// When the files were looked at last.
        var checked: NIODeadline
    }

    public let files: TLSFiles
    private let state: Mutex<State>
    private let logger: Logger

    /// Between two looks at the files.
    private static let interval = TimeAmount.seconds(1)

    public init(files: TLSFiles, logger: Logger) throws(TLSFilesError) {
        self.files = files
        self.logger = logger
        // Before they are read: a change in between is seen later.
        let stamp = TLSFiles.Stamp(files)
        let context = try files.load()
        state = Mutex(State(context: context, stamp: stamp, checked: .now()))
    }

    /// Puts TLS into a connection. What is read from now on is the handshake; handlers behind it get
    /// `TLSUserEvent.handshakeCompleted` and then plain text. Called on the channel's event loop.
    public func secure(
        _ channel: any Channel, at position: ChannelPipeline.SynchronousOperations.Position = .first
    ) throws {
        reload(onlyEvery: Self.interval)
        let context = state.withLock { $0.context }
        try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: context), position: position)
    }

    /// Reads the files if they have changed. Called with a new connection, and by whoever knows that they have.
    @discardableResult
    public func reload() -> Reload { reload(onlyEvery: .zero) }

    @discardableResult
    private func reload(onlyEvery interval: TimeAmount) -> Reload {
        let now = NIODeadline.now()
        let isDue = state.withLock { state in
            guard state.checked + interval <= now else { return false }
            state.checked = now
            return true
        }
        guard isDue else { return .unchanged }
        let stamp = TLSFiles.Stamp(files)
        let isNew = state.withLock { state in
            guard state.stamp != stamp else { return false }
            // Files that are wrong are told once, and read again when they change again.
            state.stamp = stamp
            return true
        }
        guard isNew else { return .unchanged }
        do throws(TLSFilesError) {
            let context = try files.load()
            state.withLock { $0.context = context }
            logger.info("TLS certificate read again", metadata: ["certificate": "\(files.certificate)"])
            return .loaded
        } catch {
            logger.error("TLS files have changed and cannot be used; the certificate from before stays", metadata: ["error": "\(error)"])
            return .kept(error)
        }
    }

    /// The version a connection speaks once the handshake is complete, such as `TLSv1.3`; nil without TLS. Called on
    /// the channel's event loop.
    public static func version(of channel: any Channel) -> String? {
        guard let handler = try? channel.pipeline.syncOperations.handler(type: NIOSSLServerHandler.self) else { return nil }
        return switch handler.tlsVersion {
        case .tlsv13: "TLSv1.3"
        case .tlsv12: "TLSv1.2"
        case .tlsv11: "TLSv1.1"
        case .tlsv1: "TLSv1"
        case nil: nil
        }
    }
}
