// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Retention at work in the daemon: what the configuration says goes to the store, and what the
// store did with it, and could not do, goes to the log.

import HookDelivery
import HookModel
import HookStore
import Logging

enum StoreKeeping {
    /// From now on `policy` holds, in place of one that was set before.
    static func set(_ policy: RetentionPolicy, of store: SQLiteStore, _ logger: Logger) throws(DaemonError) {
        do throws(StoreError) {
            try store.keep(policy, now: Timestamp.now, steady: { SystemDeliveryClock().steady }) { report in log(report, logger) }
        } catch {
            throw DaemonError(description: "retention: \(error)", exitStatus: SysExit.temporaryFailure)
        }
    }

    /// What nobody would notice otherwise, each once: raw mail that cannot be read, while what else was in its file goes
    /// its way; and a failed sync of the database, behind which the journal only grows.
    static func tellFailures(of store: SQLiteStore, _ logger: Logger) {
        store.onFailedSync {
            logger.error("a sync of the database failed: the journal grows until the daemon is restarted; look at the disk")
        }
        store.onUnreadable { number, cause in
            logger.error("raw mail cannot be read", metadata: ["number": "\(number)", "error": "\(cause)"])
        }
    }

    private static func log(_ report: RetentionReport, _ logger: Logger) {
        if report.messages + report.events + report.deliveries + report.forgotten > 0 {
            logger.info(
                "retention",
                metadata: [
                    "messages": "\(report.messages)", "events": "\(report.events)",
                    "deliveries": "\(report.deliveries)", "forgotten": "\(report.forgotten)",
                ])
        }
        if report.isClockDoubted {
            logger.error(
                """
                the clock is far ahead of where it was, unless the daemon was off for more than a week: nothing is erased for \
                its age for a day
                """)
        }
        if report.isOverSize {
            logger.warning("the store is larger than retention.size, and what is left must be kept")
        }
        if let failure = report.failure { logger.error("retention failed", metadata: ["error": "\(failure)"]) }
    }
}
