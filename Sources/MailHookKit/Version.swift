// Part of mailhookd. SPDX-License-Identifier: Apache-2.0

/// The version of mailhookd; CHANGELOG.md says what each brought.
public enum Version {
    public static let text = "0.1.0"
}
