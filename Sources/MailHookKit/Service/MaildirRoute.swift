// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Whom a mail in a Maildir is for, and what Dovecot's compressed files hold.

import HookExtraction
import HookIntake
import HookModel

struct MaildirRoute: MaildirGuide {
    /// The hooks as they are now.
    private let directory: @Sendable () -> HookDirectory
    private let now: @Sendable () -> Timestamp

    init(directory: @escaping @Sendable () -> HookDirectory, now: @escaping @Sendable () -> Timestamp) {
        self.directory = directory
        self.now = now
    }

    func envelope(of message: [UInt8], in maildir: Maildir) -> Envelope {
        let header = HeaderGlance(message)
        let recipients = RecipientFinder(directory: directory())
        let recipient = maildir.to.map { recipients.address(named: $0) } ?? recipients.recipient(header, now: now())
        return Envelope(
            source: .maildir, mailFrom: header.returnPath, recipients: recipient.map { [$0] } ?? [])
    }

    func unpack(_ packed: [UInt8], limit: Int) throws(MaildirUnpackFailure) -> [UInt8] {
        // A whole mail, not one document of it; and its size alone decides, for what Dovecot packs was mail of that size
        // before: attached zeros, or blanks by the megabyte, are no attack.
        let limits = ExtractionLimits(documentSize: limit, decompressedSize: limit, decompressionRatio: .max)
        do throws(Gunzip.Failure) {
            return try Gunzip.unpack(packed, limits: limits)
        } catch .tooLarge {
            throw MaildirUnpackFailure(.messageTooLarge)
        } catch .ratio {
            throw MaildirUnpackFailure(.limitExceeded)
        } catch .noMemory {
            throw MaildirUnpackFailure(.storeFailed)
        } catch {
            throw MaildirUnpackFailure(.unreadable)
        }
    }
}
