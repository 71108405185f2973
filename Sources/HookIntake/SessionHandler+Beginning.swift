// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// How a connection begins: who may have one, the pause before the greeting, TLS at the beginning
// and later, and clients that another mail server speaks for.

import HookModel
import HookTLS
import Logging
import NIOCore
import SMTPProtocol

extension SessionHandler {
    func begin(_ context: ChannelHandlerContext) {
        if peer.isEmpty { peer = Self.peer(of: context) }
        guard takePlace() else { return refuse(.tooManyConnections, context) }
        guard isAllowed(peer) else { return refuse(.clientDenied, context) }
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        shared.sessions.add(.init(channel: context.channel) { bound.value.0.finish(bound.value.1) })
        lastActivity = .now()
        if shared.configuration.xclientPeers.contains(where: { $0.contains(peer) }) {
            var dialogue = listener.dialogue(shared.configuration)
            dialogue.allowsXCLIENT = true
            session = SMTPServerSession(configuration: dialogue)
        }
        if listener.kind == .smtps {
            phase = .handshake
            scheduleTimer(context)
            context.read()
        } else {
            pauseAndGreet(context)
        }
    }

    /// A refusal before the greeting takes its place (RFC 5321 section 3.1, RFC 7504 section 4). Who has not yet begun
    /// TLS could not read it.
    ///
    /// QUIRK: with an enhanced status code, which RFC 2034 section 4 leaves out of greetings: it says who is at fault.
    func refuse(_ outcome: Outcome, _ context: ChannelHandlerContext) {
        shared.logger.debug("connection refused", metadata: ["peer": "\(peer)", "outcome": "\(outcome.rawValue)"])
        guard listener.kind != .smtps || tls != nil else {
            phase = .closed
            giveUpPlace()
            shared.sessions.remove(context.channel)
            return context.close(promise: nil)
        }
        _ = session.takeOutput()
        session.end(with: outcome)
        close(context)
    }

    /// The address at the other end of the connection in its usual form: over a socket for both families, one of IPv4 has
    /// another.
    static func peer(of context: ChannelHandlerContext) -> String {
        guard let address = context.remoteAddress?.ipAddress else { return unixPeer }
        return PeerAddress.canonical(address) ?? address
    }

    private func isAllowed(_ peer: String) -> Bool {
        let allowed = shared.configuration.allowClients
        return allowed.isEmpty || peer == Self.unixPeer || allowed.contains { $0.contains(peer) }
    }

    private func takePlace() -> Bool {
        isCounted = shared.places.take(peer)
        if !isCounted { isCountedAsRefused = shared.places.takeRefused() }
        return isCounted
    }

    func giveUpPlace() {
        if isCounted { shared.places.release(peer) }
        if isCountedAsRefused { shared.places.refusedClosed() }
        isCounted = false
        isCountedAsRefused = false
    }

    // MARK: - The greeting

    /// RFC 5321 section 4.3.1: the client waits for it. Programs that send mail to whoever listens often don't.
    private func pauseAndGreet(_ context: ChannelHandlerContext) {
        let delay = shared.configuration.greetDelay
        guard delay > .zero, listener.isTCP else { return greet(context) }
        phase = .pause
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        timer?.cancel()
        timer = context.eventLoop.scheduleTask(in: TimeAmount(delay)) { bound.value.0.greet(bound.value.1) }
        context.read()
    }

    private func greet(_ context: ChannelHandlerContext) {
        if case .closed = phase { return }
        let hasWaited = if case .pause = phase { true } else { false }
        phase = .dialogue
        lastActivity = .now()
        scheduleTimer(context)
        if isInputClosed { return proceed(context) }
        writeOutput(context)
        context.flush()
        // A read that the pause asked for is still under way.
        if !hasWaited { context.read() }
    }

    // MARK: - TLS

    /// RFC 3207 section 4: the handshake begins right behind the reply. The session has dropped what came before.
    func startTLS(_ context: ChannelHandlerContext) {
        pending.removeAll()
        writeOutput(context)
        context.flush()
        guard let tls = shared.configuration.tls, !isInputClosed else { return close(context) }
        phase = .handshake
        lastActivity = .now()
        lineStart = nil
        do {
            try tls.secure(context.channel)
        } catch {
            shared.logger.error("TLS cannot be started", metadata: ["error": "\(error)"])
            return context.close(promise: nil)
        }
        scheduleTimer(context)
        context.read()
    }

    func handshakeCompleted(_ context: ChannelHandlerContext) {
        guard case .handshake = phase else { return }
        tls = ServerTLS.version(of: context.channel)
        shared.logger.debug("TLS", metadata: ["peer": "\(peer)", "version": "\(tls ?? "unknown")"])
        if listener.kind == .smtps { return pauseAndGreet(context) }
        session.tlsStarted()
        phase = .dialogue
        lastActivity = .now()
        if isFinishing { return endForShutdown(context) }
        context.read()
    }

    // MARK: - Other people's clients

    /// XCLIENT: from now on the connection is somebody else's, who is subject to the same limits.
    func adopt(_ client: ClientIdentity) {
        let newPeer: String =
            switch client.address {
            case .known(let address): address
            case .unknown: Self.unknownPeer
            case nil: peer
            }
        if newPeer != peer {
            giveUpPlace()
            peer = newPeer
            guard takePlace() else { return session.answerClient(.tooManyConnections) }
        }
        session.answerClient(isAllowed(peer) ? .accepted : .clientDenied)
    }
}
