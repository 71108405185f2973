// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Runs the two stages of the fast reader in turns over a few kilobytes, so that what passes
// between them stays in the processor's nearest cache.

struct JSONFastReader {
    /// Blocks indexed at a time.
    private static let chunk = 64
    /// A chunk's entries, those left over from the one before, and what is written beyond them.
    private static let room = chunk * JSONBlock.size + 2 * JSONTapeBuilder.lookahead + JSONBlock.size

    private let start: Int
    private var indexer: JSONIndexer
    private var builder: JSONTapeBuilder
    private let entries: UnsafeMutablePointer<UInt32>
    /// Entries that wait to be read.
    private var pending = 0

    /// The tape of a text that is an array or object; nil where it is not, or is not JSON.
    static func tape(_ bytes: UnsafeBufferPointer<UInt8>, in range: Range<Int>, depth: Int) -> [JSONToken]? {
        run(bytes, in: range, depth: depth, keepsTokens: true)
    }

    /// Whether a text is JSON, and an array or object.
    static func isContainer(_ bytes: UnsafeBufferPointer<UInt8>, in range: Range<Int>, depth: Int) -> Bool {
        run(bytes, in: range, depth: depth, keepsTokens: false) != nil
    }

    private static func run(
        _ bytes: UnsafeBufferPointer<UInt8>, in range: Range<Int>, depth: Int, keepsTokens: Bool
    ) -> [JSONToken]? {
        guard let base = bytes.baseAddress, range.count >= 2 else { return nil }
        let blocks = min(chunk, range.count / JSONBlock.size + 1)
        let room = room - (chunk - blocks) * JSONBlock.size
        return withUnsafeTemporaryAllocation(of: UInt32.self, capacity: room) { entries in
            // The allocation is not empty, so there is an address.
            var reader = JSONFastReader(
                base, range, entries: entries.baseAddress.unsafelyUnwrapped, depth: depth, keepsTokens: keepsTokens)
            return reader.run(of: range.count, keepsTokens: keepsTokens)
        }
    }

    private init(
        _ bytes: UnsafePointer<UInt8>, _ range: Range<Int>, entries: UnsafeMutablePointer<UInt32>, depth: Int,
        keepsTokens: Bool
    ) {
        start = range.lowerBound
        self.entries = entries
        indexer = JSONIndexer(bytes, from: range.lowerBound, to: range.upperBound)
        builder = JSONTapeBuilder(bytes, end: range.upperBound, depthLimit: depth, keepsTokens: keepsTokens)
    }

    private mutating func run(of size: Int, keepsTokens: Bool) -> [JSONToken]? {
        fill()
        // A text of one chunk has at most a token an entry. Longer ones are guessed to go on as they begin; tokens are
        // rarely more than two thirds of the entries.
        let chunkSize = Self.chunk * JSONBlock.size
        var capacity = most + (indexer.isAtEnd || !keepsTokens ? 0 : size / chunkSize * most * 2 / 3)
        var tape: [JSONToken] = []
        while true {
            var progress = JSONTapeBuilder.Progress.failed
            let previous = tape
            tape = [JSONToken](unsafeUninitializedCapacity: capacity) { buffer, count in
                _ = buffer.initialize(fromContentsOf: previous)
                progress = read(into: buffer)
                count = builder.count
            }
            switch progress {
            case .finished: return tape
            case .failed: return nil
            case .unfinished: capacity = max(2 * capacity, builder.count + most)
            }
        }
    }

    /// The most tokens that can come of the entries at hand, and of those behind the last.
    private var most: Int { pending + JSONTapeBuilder.lookahead }

    /// Reads until the text ends, something is wrong, or the tape is full.
    private mutating func read(into tape: UnsafeMutableBufferPointer<JSONToken>) -> JSONTapeBuilder.Progress {
        guard let base = tape.baseAddress else { return .failed }
        while tape.count - builder.count >= most {
            let isLast = indexer.isAtEnd
            if isLast {
                // The walk may look, but not get, beyond the last entry.
                for index in 0..<JSONTapeBuilder.lookahead { entries[pending + index] = UInt32(truncatingIfNeeded: start) }
            }
            var next = UnsafePointer(entries)
            let bound = next + pending + (isLast ? JSONTapeBuilder.lookahead : 0)
            let progress = builder.read(&next, upTo: bound, into: base)
            let used = next - UnsafePointer(entries)
            switch progress {
            case .failed: return .failed
            case .finished: return isRestEmpty(after: used) ? .finished : .failed
            case .unfinished where isLast: return .failed
            case .unfinished:
                pending -= used
                entries.update(from: entries + used, count: pending)
                fill()
            }
        }
        return .unfinished
    }

    /// Whether nothing follows the value, and the first stage has no complaint.
    private mutating func isRestEmpty(after used: Int) -> Bool {
        guard used == pending else { return false }
        pending = 0
        while !indexer.isAtEnd {
            fill()
            if pending > 0 { return false }
        }
        return indexer.isComplete
    }

    private mutating func fill() {
        pending += indexer.index(blocks: Self.chunk, into: entries + pending)
    }
}
