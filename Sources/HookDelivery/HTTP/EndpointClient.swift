// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Sends POSTs to one endpoint over connections that are kept. Every new connection goes to an address that was
// resolved for it and checked just before; redirects are answers like others, and nothing follows them.

internal import NIOCore
internal import NIOPosix
internal import NIOSSL
internal import Synchronization

/// A connection that is open.
struct EndpointConnection: Sendable {
    var channel: any Channel
    var exchange: NIOLoopBound<EndpointExchange>
}

/// The connections to one endpoint. As many are opened as requests are under way at a time.
final class EndpointClient: Sendable {
    /// A request without what is the same each time.
    struct Request: Sendable {
        var headers: [(name: String, value: String)]
        var body: [UInt8]
    }

    /// Longer waits for a connection tell nothing new.
    private static let connectTime = Duration.seconds(10)
    /// Addresses of a name that are tried for one connection.
    private static let addressLimit = 4
    private static let idleTime = TimeAmount.seconds(30)

    private let url: WebhookURL
    /// The first lines of each request.
    let head: [UInt8]
    private let tls: TLSSettings?
    private let resolver: any HostResolver
    private let isAllowed: @Sendable (IPAddress) -> Bool
    private let ready = Mutex<[EndpointConnection]>([])

    /// - Parameters:
    ///   - tls: used where the URL asks for it.
    ///   - isAllowed: whether a connection may go to an address.
    init(
        url: WebhookURL, tls: TLSSettings?, resolver: any HostResolver = SystemResolver(),
        isAllowed: @escaping @Sendable (IPAddress) -> Bool
    ) {
        self.url = url
        self.tls = tls
        self.resolver = resolver
        self.isAllowed = isAllowed
        // RFC 9112 sections 3 and 3.2
        head = Array("POST \(url.target) HTTP/1.1\r\nhost: \(url.authority)\r\n".utf8)
    }

    /// Sends the request and returns the answer. Ends soon when the task is cancelled.
    func post(_ request: Request, within timeout: Duration) async throws(EndpointFailure) -> EndpointAnswer {
        let deadline = NIODeadline.now() + .nanoseconds(timeout.wholeNanoseconds)
        let octets = encoded(request.headers, request.body)
        if let kept = takeReady() {
            do throws(EndpointFailure) {
                return try await exchange(octets, on: kept, until: deadline)
            } catch {
                guard error.isStale else { throw error }
            }
        }
        let connection = try await connect(on: MultiThreadedEventLoopGroup.singleton.next(), until: deadline) { [weak self] in
            self?.keep($0)
        }
        return try await exchange(octets, on: connection, until: deadline)
    }

    /// Ends connections that carry nothing. No `post` is under way, and none follows.
    func shutdown() {
        resolver.shutdown()
        let connections = ready.withLock { ready in
            defer { ready = [] }
            return ready
        }
        for connection in connections { connection.channel.close(promise: nil) }
    }

    private func takeReady() -> EndpointConnection? {
        ready.withLock { ready in
            while let last = ready.popLast() {
                if last.channel.isActive { return last }
            }
            return nil
        }
    }

    /// A whole request as it goes over the wire.
    func encoded(_ headers: [(name: String, value: String)], _ body: [UInt8]) -> ByteBuffer {
        var size = head.count + body.count + 64
        for header in headers { size += header.name.utf8.count + header.value.utf8.count + 4 }
        var buffer = ByteBufferAllocator().buffer(capacity: size)
        buffer.writeBytes(head)
        for header in headers {
            buffer.writeString(header.name)
            buffer.writeStaticString(": ")
            buffer.writeString(header.value)
            buffer.writeStaticString("\r\n")
        }
        buffer.writeString("content-length: \(body.count)\r\n\r\n")
        buffer.writeBytes(body)
        return buffer
    }

    // MARK: - Exchange

    private func exchange(
        _ request: ByteBuffer, on connection: EndpointConnection, until deadline: NIODeadline
    ) async throws(EndpointFailure) -> EndpointAnswer {
        let channel = connection.channel
        let promise = channel.eventLoop.makePromise(of: EndpointAnswer.self)
        channel.eventLoop.execute {
            connection.exchange.value.begin(request, until: deadline) { promise.completeWith($0.mapError { $0 as any Error }) }
        }
        do {
            return try await withTaskCancellationHandler {
                try await promise.futureResult.get()
            } onCancel: {
                channel.close(promise: nil)
            }
        } catch {
            if Task.isCancelled { throw EndpointFailure(reason: "interrupted") }
            throw error as? EndpointFailure ?? EndpointFailure(reason: WebhookFailure.reason(error))
        }
    }

    // MARK: - Connecting

    /// Opens a connection to an address that was resolved and checked for it.
    ///
    /// - Parameter keep: called on `eventLoop` each time the connection may carry another request.
    func connect(
        on eventLoop: any EventLoop, until deadline: NIODeadline, keep: @escaping @Sendable (EndpointConnection) -> Void
    ) async throws(EndpointFailure) -> EndpointConnection {
        let found = try await addresses(until: deadline)
        let allowed = found.filter { address in IPAddress(address).map(isAllowed) ?? false }
        guard !allowed.isEmpty else { throw EndpointFailure(reason: "address_refused") }
        var failure = EndpointFailure(reason: "connect_timeout")
        let tried = allowed.prefix(Self.addressLimit)
        for (index, address) in tried.enumerated() {
            if Task.isCancelled { throw EndpointFailure(reason: "interrupted") }
            let left = deadline - .now()
            guard left > .zero else { break }
            // The last one may take all the time there is.
            let share = TimeAmount.nanoseconds(left.nanoseconds / Int64(tried.count - index))
            do {
                let time = min(share, .nanoseconds(Self.connectTime.wholeNanoseconds))
                return try await open(address, on: eventLoop, within: time, keep)
            } catch {
                failure = EndpointFailure(reason: WebhookFailure.reason(error))
            }
        }
        throw failure
    }

    private func addresses(until deadline: NIODeadline) async throws(EndpointFailure) -> [SocketAddress] {
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        let promise = eventLoop.makePromise(of: [SocketAddress].self)
        // The first to complete the promise counts.
        let timeout = eventLoop.scheduleTask(deadline: deadline) { promise.fail(NameNotResolved()) }
        resolver.resolve(url.host, port: url.port, into: promise)
        do {
            let addresses = try await withTaskCancellationHandler {
                try await promise.futureResult.get()
            } onCancel: {
                promise.fail(NameNotResolved())
            }
            timeout.cancel()
            return addresses
        } catch {
            timeout.cancel()
            throw EndpointFailure(reason: Task.isCancelled ? "interrupted" : "dns_failed")
        }
    }

    private func open(
        _ address: SocketAddress, on eventLoop: any EventLoop, within time: TimeAmount,
        _ keep: @escaping @Sendable (EndpointConnection) -> Void
    ) async throws -> EndpointConnection {
        let (context, host) = (url.isSecure ? tls?.context : nil, url.host)
        return try await ClientBootstrap(group: eventLoop)
            .connectTimeout(time)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .connect(to: address) { channel in
                channel.eventLoop.makeCompletedFuture {
                    let exchange = EndpointExchange(idleTime: Self.idleTime) { exchange in
                        keep(EndpointConnection(channel: channel, exchange: NIOLoopBound(exchange, eventLoop: channel.eventLoop)))
                    }
                    if let context { try channel.pipeline.syncOperations.addHandler(Self.tlsHandler(context, host)) }
                    try channel.pipeline.syncOperations.addHandler(exchange)
                    return EndpointConnection(channel: channel, exchange: NIOLoopBound(exchange, eventLoop: channel.eventLoop))
                }
            }
    }

    /// RFC 6066 section 3: an address is no server name; the certificate is checked against the address then.
    static func tlsHandler(_ context: NIOSSLContext, _ host: String) throws -> NIOSSLClientHandler {
        let isAddress = (try? SocketAddress(ipAddress: host, port: 0)) != nil
        if isAddress { return try NIOSSLClientHandler(context: context, serverHostname: nil) }
        return try NIOSSLClientHandler._makeSSLClientHandler(context: context, serverHostname: host) { certificate, channel in
            let names = certificate._subjectAlternativeNames().filter { $0.nameType == .dnsName }.map { Array($0.contents) }
            return CertificateNames.fit(names, host)
                ? channel.eventLoop.makeSucceededVoidFuture()
                : channel.eventLoop.makeFailedFuture(NIOSSLExtraError.failedToValidateHostname)
        }
    }

    /// On the connection's event loop.
    private func keep(_ connection: EndpointConnection) { ready.withLock { $0.append(connection) } }
}
