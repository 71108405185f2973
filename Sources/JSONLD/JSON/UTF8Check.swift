// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The check that a text is UTF-8 (Unicode 15, table 3-7).

enum UTF8Check {
    /// Offset of the first octet that is not part of well-formed UTF-8; nil if all is well.
    static func firstInvalid(_ bytes: UnsafeBufferPointer<UInt8>) -> Int? {
        do throws(UTF8.ValidationError) {
            _ = try UTF8Span(validating: bytes.span)
            return nil
        } catch {
            return error.byteOffsets.lowerBound
        }
    }
}
