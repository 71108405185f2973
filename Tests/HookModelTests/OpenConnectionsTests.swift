// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// When connections are many.

import HookModel
import Synchronization
import Testing

@Suite struct OpenConnectionsTests {
    private final class Listener: Sendable {
        private let heard = Mutex<[Bool]>([])
        func hear(_ areMany: Bool) { heard.withLock { $0.append(areMany) } }
        var all: [Bool] { heard.withLock { $0 } }
    }

    private static func places(_ connections: OpenConnections, limit: Int = 100) -> ConnectionPlaces {
        ConnectionPlaces(limit: limit, limitPerPeer: 100, connections: connections, isExempt: { _ in false })
    }

    /// `+` opens one and `-` closes one; what is told begins with what holds when it is asked for.
    @Test(arguments: [
        ("+++", [false]), ("++++", [false, true]), ("++++++---", [false, true]),
        ("++++---", [false, true, false]), ("++++--++--", [false, true]), ("++++---+++---", [false, true, false, true, false]),
        ("+-+-+-+-+-", [false]), ("++++----", [false, true, false]),
    ])
    func manyAreFourUntilOneIsLeft(changes: String, told: [Bool]) {
        let connections = OpenConnections()
        let places = Self.places(connections)
        let listener = Listener()
        connections.whenMany { listener.hear($0) }
        for change in changes {
            if change == "+" { #expect(places.take("a")) } else { places.release("a") }
        }
        #expect(listener.all == told)
    }

    @Test func thoseOfAllFrontEndsCount() {
        let connections = OpenConnections()
        let (mail, web) = (Self.places(connections), Self.places(connections, limit: 2))
        let listener = Listener()
        #expect(mail.take("a") && mail.take("b") && web.take("a") && web.take("b"))
        // Told to who asks later; what has no place is no connection.
        #expect(!web.take("c"))
        connections.whenMany { listener.hear($0) }
        #expect(listener.all == [true])
        for places in [mail, web] { places.release("a") }
        mail.release("b")
        #expect(listener.all == [true, false])
        #expect(connections.countOfClosed == 3)
        connections.whenMany(nil)
        for _ in 1...9 { #expect(mail.take("a")) }
        #expect(listener.all == [true, false])
    }
}
