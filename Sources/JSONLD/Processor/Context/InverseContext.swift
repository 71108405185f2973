// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
final class InverseContext {}
