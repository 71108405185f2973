// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Says of most keys that were never stored that they were not, without looking into the table: a
// Bloom filter. Nearly every message is new, and in a large store each look would read a page.

internal import Glibc
internal import HookModel
internal import Synchronization

/// Safe to share: bits are only ever set, each atomically, and `isComplete` is set after all of them.
final class KeyFilter: @unchecked Sendable {
    /// Octets at most, reached at about a million messages; a larger store is told wrong more often, and looks.
    private static let limit = 4 << 20
    /// A store that is new today gets some hundred thousand messages before the next start. What no key was put in takes
    /// no memory.
    private static let least = 1 << 20

    /// nil where there was no memory: every look goes to the table.
    private let words: UnsafeMutablePointer<Atomic<UInt64>>?
    /// A power of two.
    private let count: Int
    private let isComplete = Atomic<Bool>(false)
    private let isCancelled = Atomic<Bool>(false)

    /// - Parameter keys: about how many there are now; there is room for four times as many.
    init(keys: Int) {
        var octets = Self.least
        while octets < min(keys * 8, Self.limit) { octets *= 2 }
        count = octets / 8
        // Zeros as calloc(3) gives them are atomic zeros, and their pages are made when they are first written.
        words = calloc(count, MemoryLayout<Atomic<UInt64>>.stride)?
            .bindMemory(to: Atomic<UInt64>.self, capacity: count)
    }

    deinit { free(words) }

    /// Four bits of one word: one memory access a key.
    private func place(_ key: Int64) -> (word: Int, bits: UInt64) {
        // The finalizer of SplitMix64: keys of digests are random, hashes of texts are less so.
        var z = UInt64(bitPattern: key)
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        z ^= z >> 31
        let one: UInt64 = 1
        let bits = one << (z & 63) | one << (z >> 6 & 63) | one << (z >> 12 & 63) | one << (z >> 18 & 63)
        return (Int(truncatingIfNeeded: z >> 24) & (count - 1), bits)
    }

    func insert(_ key: Int64) {
        let (word, bits) = place(key)
        words?[word].bitwiseOr(bits, ordering: .relaxed)
    }

    /// False only if `key` was never inserted.
    func mayContain(_ key: Int64) -> Bool {
        guard let words, isComplete.load(ordering: .acquiring) else { return true }
        let (word, bits) = place(key)
        return words[word].load(ordering: .relaxed) & bits == bits
    }

    /// Reads all keys that are in the table, on a thread of its own. Whoever moves keys there meanwhile inserts them.
    func fill(from path: String) {
        // Without a filter every look goes to the table.
        guard let connection = try? SQLiteConnection(path, .readOnly),
            let keys = try? connection.prepare(
                "SELECT key FROM keys WHERE key > ?1 AND key & 3 < 2 ORDER BY key LIMIT 20000")
        else { return }
        var last = Int64.min
        // The one key that is not behind the first `last`.
        insert(last)
        // In parts, because a long look would hold the log from beginning again.
        while !isCancelled.load(ordering: .relaxed) {
            keys.bind(1, last)
            var rows = 0
            do throws(StoreError) {
                while try keys.step() {
                    last = keys.integer(0)
                    insert(last)
                    rows += 1
                }
            } catch { return }
            if rows == 0 { return isComplete.store(true, ordering: .releasing) }
        }
    }

    func cancel() { isCancelled.store(true, ordering: .relaxed) }
}
