// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The control socket of a running daemon.

import Glibc
import HookDelivery
import HookIntake
import HookModel
import Logging

enum ControlWiring {
    static func service(
        dataFolder: String, store: any DeliveryStore, dispatcher: Dispatcher, reload: ReloadLink, logger: Logger,
        onReady: @escaping @Sendable () -> Void
    ) -> ControlIntake {
        let operations = ControlOperations(
            store: store, dispatcher: dispatcher, logger: logger, now: Timestamp.now, reload: reload)
        return ControlIntake(
            path: ControlRequest.path(dataFolder), refusal: ControlAnswer(error: ControlAnswer.tooManyConnections).line,
            logger: logger, onReady: onReady
        ) {
            await operations.answer($0)
        }
    }
}

extension RunningDaemon {
    /// Whether a daemon's control socket is there; it may be one that a daemon left behind.
    static func hasControl(_ dataFolder: String) -> Bool { access(ControlRequest.path(dataFolder), F_OK) == 0 }
}
