// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The daemon's end of `mailhookd receive`: a socket in the data folder that only the daemon's
// user may open. A socket that a daemon left behind when it was killed is replaced; that no
// other daemon lives is known from the store, which is opened before.

import Glibc
public import HookModel
import HookTLS
public import Logging
import NIOCore
import NIOPosix
public import ServiceLifecycle

public struct PipeIntake: Service {
    private let path: String
    private let receiver: any MessageReceiver
    private let messageSize: @Sendable () -> Int
    private let drainTimeout: Duration
    private let logger: Logger
    private let now: @Sendable () -> Timestamp
    private let onReady: @Sendable () -> Void

    /// - Parameters:
    ///   - path: where the socket is made.
    ///   - messageSize: the limit as it is now, in octets.
    ///   - onReady: called once when it is served.
    public init(
        path: String, receiver: any MessageReceiver, messageSize: @escaping @Sendable () -> Int, drainTimeout: Duration = .seconds(10),
        logger: Logger, now: @escaping @Sendable () -> Timestamp, onReady: @escaping @Sendable () -> Void
    ) {
        self.path = path
        self.receiver = receiver
        self.messageSize = messageSize
        self.drainTimeout = drainTimeout
        self.logger = logger
        self.now = now
        self.onReady = onReady
    }

    public func run() async throws {
        let sessions = SessionRegistry()
        let listener = try await bind(sessions)
        let file = SocketFile(path)
        onReady()
        try? await gracefulShutdown()
        // Without the name, commands find no daemon and wait for the store.
        file?.remove()
        try? await listener.close()
        await sessions.drain(within: drainTimeout)
    }

    private func bind(_ sessions: SessionRegistry) async throws -> any Channel {
        guard let short = SocketPath(path) else { throw ListenError(path, errno) }
        let (receiver, messageSize, now) = (receiver, messageSize, now)
        let bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.backlog, value: AcceptPause.backlog)
            .serverChannelInitializer(AcceptPause.initializer(logger))
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        PipeHandler(receiver: receiver, messageSize: messageSize(), sessions: sessions, now: now))
                }
            }
        do {
            let listener = try await bootstrap.bind(
                unixDomainSocketPath: short.text, cleanupExistingSocketFile: true).get()
            SocketPath.makePrivate(path)
            return listener
        } catch {
            throw ListenError(path, error)
        }
    }

    // MARK: - The same with and without a daemon

    /// Why a request is refused before it is looked into: too large, or none of its recipients is ours.
    public static func refusal(
        _ request: PipeRequest, by receiver: any MessageReceiver, messageSize: Int
    ) -> Outcome? {
        guard request.message.count <= messageSize else { return .messageTooLarge }
        let offer = MailOffer(sender: request.sender, size: request.message.count)
        let answer = Outcome.answer(of: request.recipients.map { receiver.admit(recipient: $0, of: offer) })
        return answer.isPositive ? nil : answer
    }

    public static func message(_ request: PipeRequest, now: Timestamp) -> ReceivedMessage {
        ReceivedMessage(
            envelope: Envelope(source: .pipe, mailFrom: request.sender, recipients: request.recipients),
            bytes: request.message, receivedAt: now)
    }
}
