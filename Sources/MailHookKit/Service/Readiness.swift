// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Waits for what several services report, each once, and tells when the last of them did.

import Synchronization

final class Readiness: Sendable {
    private let left: Mutex<Int>
    private let onReady: @Sendable () -> Void

    init(services: Int, onReady: @escaping @Sendable () -> Void) {
        left = Mutex(services)
        self.onReady = onReady
    }

    /// A service is ready.
    func report() {
        let isLast = left.withLock { left in
            left -= 1
            return left == 0
        }
        if isLast { onReady() }
    }
}
