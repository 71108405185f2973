// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A listener that closes while connections are on their way to those who serve them.

import Foundation
import HookTLS
import Logging
import NIOCore
import NIOPosix
import TestSupport
import Testing

@Suite struct AcceptPauseTests {
    private final class Greeter: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        func channelActive(context: ChannelHandlerContext) {
            context.writeAndFlush(NIOAny(ByteBuffer(string: "220 hello\r\n")), promise: nil)
        }
    }

    /// What a client hears until the other side closes, or 32 octets.
    private static func heard(_ client: Int32) -> String {
        var buffer = [UInt8](repeating: 0, count: 32)
        let count = recv(client, &buffer, buffer.count, 0)
        return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : ""
    }

    private static func connect(_ port: Int) throws -> Int32 {
        let client = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(client, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else { throw Child.Failure(description: "connect: errno \(errno)") }
        return client
    }

    @Test func whoWasAcceptedIsServed() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
        let logger = Logger(label: "tests") { _ in SwiftLogNoOpLogHandler() }
        let listener = try await ServerBootstrap(group: group)
            .serverChannelInitializer(AcceptPause.initializer(logger))
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Greeter()) }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        // The event loops that are to serve have something else to do for a while, so that nobody is there yet when the
        // listener closes.
        for loop in group.makeIterator() where loop !== listener.eventLoop { loop.execute { usleep(600_000) } }
        let port = try #require(listener.localAddress?.port)
        let clients = try (0..<6).map { _ in try Self.connect(port) }
        try await Task.sleep(for: .milliseconds(200))
        try await listener.close()
        for client in clients {
            #expect(Self.heard(client) == "220 hello\r\n")
            close(client)
        }
        #expect(throws: Child.Failure.self) { try Self.connect(port) }
        try await group.shutdownGracefully()
    }
}
