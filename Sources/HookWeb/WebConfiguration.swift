// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What the HTTP front ends are told: where to listen, and what they bear of whoever is on the
// other side. Defaults and their reasons stand in mailhookd.yaml.

/// A socket that listens already, and what is served there.
public struct WebListener: Sendable, Hashable {
    public enum Side: Sendable, Hashable {
        /// Form and web hooks.
        case hooks
        /// The management interface.
        case admin
    }

    public var side: Side
    /// Connections begin with a TLS handshake (RFC 9110 section 4.2.2).
    public var isSecured: Bool
    /// A file descriptor. Whoever hands it over does not close it any more.
    public var descriptor: Int32

    public init(side: Side, isSecured: Bool = false, descriptor: Int32) {
        self.side = side
        self.isSecured = isSecured
        self.descriptor = descriptor
    }
}

/// Limits of one HTTP listener.
public struct WebLimits: Sendable, Hashable {
    /// Connections in all; more are closed at once.
    public var connections: Int
    /// Of one peer; trusted proxies do not count.
    public var connectionsPerPeer: Int
    /// Octets of a request's body.
    public var bodySize: Int
    /// Octets of one header field, or of the request's target.
    public var headerFieldSize: Int
    /// Octets of all header fields.
    public var headerSize: Int
    public var headerFields: Int
    /// For a request's header, and between two requests.
    public var idleTimeout: Duration
    /// For the whole of a request's body, however slowly it comes; on the management side also for a client that reads
    /// nothing of its answer.
    public var requestTimeout: Duration

    public init(
        connections: Int, connectionsPerPeer: Int, bodySize: Int, headerFieldSize: Int = 16 << 10,
        headerSize: Int = 32 << 10, headerFields: Int = 100, idleTimeout: Duration, requestTimeout: Duration
    ) {
        self.connections = connections
        self.connectionsPerPeer = connectionsPerPeer
        self.bodySize = bodySize
        self.headerFieldSize = headerFieldSize
        self.headerSize = headerSize
        self.headerFields = headerFields
        self.idleTimeout = idleTimeout
        self.requestTimeout = requestTimeout
    }
}

/// How many posts a minute are taken; nil for any number.
public struct WebRates: Sendable, Hashable {
    public var perHook: Int?
    public var perPeer: Int?

    public init(perHook: Int?, perPeer: Int?) {
        self.perHook = perHook
        self.perPeer = perPeer
    }
}
