// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The daemon is ready when all of its listeners are.

import Synchronization

/// Gathers what several services report, each once, and tells when the last of them did.
final class Readiness: Sendable {
    private let lines: Mutex<[[String]?]>
    private let onReady: @Sendable ([String]) throws -> Void

    /// - Parameter onReady: gets all lines, in the order of the services.
    init(services: Int, onReady: @escaping @Sendable ([String]) throws -> Void) {
        lines = Mutex(Array(repeating: nil, count: services))
        self.onReady = onReady
    }

    /// - Parameter service: its place among the services, from 0.
    func report(_ service: Int, _ listeners: [String]) throws {
        let all = lines.withLock { lines -> [String]? in
            lines[service] = listeners
            return lines.contains { $0 == nil } ? nil : lines.flatMap { $0 ?? [] }
        }
        if let all { try onReady(all) }
    }
}
