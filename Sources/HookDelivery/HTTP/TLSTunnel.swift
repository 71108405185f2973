// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// TLS for a client that reads and writes a blocking socket: it gets the plain end of a pair of sockets, and what goes
// through it is encrypted on the way to the connection it had. For commands that speak to one server, not for delivery.

internal import Glibc
internal import NIOCore
internal import NIOPosix
internal import NIOSSL
internal import Synchronization

/// The client's side of one connection that is encrypted from now on.
public final class TLSTunnel: Sendable {
    /// What the server's certificate has to be.
    public enum Trust: Sendable, Hashable {
        /// One for this name or address, by an authority of the system or one of these (PEM).
        case verified(name: String, authorities: [UInt8]?)
        /// Any. The connection is encrypted, and may lead to anybody.
        case anybody
    }

    /// Where plain octets go in and come out. Whoever has the tunnel closes it.
    public let descriptor: Int32
    private let reason: Failure

    /// Why the connection ended, if anything was wrong with it.
    public var failure: String? { reason.text.withLock { $0 } }

    /// - Parameter connection: a connected socket, which is the tunnel's from now on, also where this fails.
    public init(over connection: Int32, trust: Trust) throws(TLSTunnelError) {
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            close(connection)
            throw TLSTunnelError(description: String(cString: strerror(errno)))
        }
        descriptor = ends[0]
        let reason = Failure()
        self.reason = reason
        do {
            let context = try Self.context(trust)
            let loop = MultiThreadedEventLoopGroup.singleton.next()
            let plain = try ClientBootstrap(group: loop)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Relay(reason)) }
                }.withConnectedSocket(ends[1]).wait()
            _ = try ClientBootstrap(group: loop)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let relay = Relay(reason)
                        relay.partner = plain
                        try plain.pipeline.syncOperations.handler(type: Relay.self).partner = channel
                        try channel.pipeline.syncOperations.addHandlers([
                            try Self.handler(context, trust), relay,
                        ])
                    }
                }.withConnectedSocket(connection).wait()
        } catch {
            close(ends[0])
            throw (error as? TLSTunnelError) ?? TLSTunnelError(description: "\(error)")
        }
    }

    private static func context(_ trust: Trust) throws -> NIOSSLContext {
        guard case .verified(_, let authorities) = trust else {
            var configuration = TLSConfiguration.makeClientConfiguration()
            configuration.certificateVerification = .none
            return try NIOSSLContext(configuration: configuration)
        }
        do {
            return try TLSSettings(certificate: nil, key: nil, authorities: authorities).context
        } catch {
            throw TLSTunnelError(description: error.rawValue)
        }
    }

    private static func handler(_ context: NIOSSLContext, _ trust: Trust) throws -> NIOSSLClientHandler {
        switch trust {
        case .verified(let name, _): try EndpointClient.tlsHandler(context, name)
        case .anybody: try NIOSSLClientHandler(context: context, serverHostname: nil)
        }
    }
}

public struct TLSTunnelError: Error, CustomStringConvertible {
    public var description: String
}

private final class Failure: Sendable {
    let text = Mutex<String?>(nil)
}

/// Hands what comes to the other channel. Both are on one event loop.
private final class Relay: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    var partner: (any Channel)?
    private let failure: Failure

    init(_ failure: Failure) { self.failure = failure }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        partner?.writeAndFlush(unwrapInboundIn(data), promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        partner?.close(promise: nil)
        partner = nil
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A peer that ends without saying so is no news to a protocol that says when it is over.
        if case NIOSSLError.uncleanShutdown = error {} else {
            failure.text.withLock { $0 = $0 ?? Self.words(error) }
        }
        context.close(promise: nil)
    }

    private static func words(_ error: any Error) -> String {
        if let error = error as? NIOSSLExtraError, error == .failedToValidateHostname {
            return "the server's certificate is made out to another name"
        }
        let text = "\(error)"
        // NIOSSL has it as BoringSSL's text only.
        return text.contains("CERTIFICATE_VERIFY_FAILED")
            ? "the server's certificate has expired, or is signed by nobody who is trusted" : text
    }
}
