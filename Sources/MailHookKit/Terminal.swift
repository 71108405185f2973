// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Output of the commands: whole lines, written at once, so that a reader behind a pipe gets
// them when they happen. Text that came by mail is stripped of what could steer a terminal.

import Glibc

public enum Terminal {
    public static func print(_ text: String) { write(text + "\n", to: STDOUT_FILENO) }
    public static func printError(_ text: String) { write(text + "\n", to: STDERR_FILENO) }

    /// Many lines, each without its line end, with few writes.
    static func printErrors(_ lines: [[UInt8]]) {
        for piece in pieces(of: lines, limit: Int(PIPE_BUF)) { write(piece, to: STDERR_FILENO) }
    }

    /// Lines put together to pieces of at most `limit` octets, unless one alone is longer. A pipe takes a piece whole or
    /// not at all (PIPE_BUF in pipe(7)), so that what other threads write never stands within a line.
    static func pieces(of lines: [[UInt8]], limit: Int) -> [[UInt8]] {
        var pieces: [[UInt8]] = []
        var piece: [UInt8] = []
        for line in lines {
            if !piece.isEmpty, piece.count + line.count >= limit {
                pieces.append(piece)
                piece.removeAll(keepingCapacity: true)
            }
            piece.append(contentsOf: line)
            piece.append(UInt8(ascii: "\n"))
        }
        if !piece.isEmpty { pieces.append(piece) }
        return pieces
    }

    /// Bytes as they are, for output that is not text of ours.
    public static func print(_ bytes: [UInt8]) { write(bytes, to: STDOUT_FILENO) }

    /// `text` with control characters shown as escapes: what a stranger wrote must not move the cursor, set the
    /// title or hide a line. Bidirectional overrides count as control characters here.
    public static func harmless(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            let isControl = scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value)
            let isDirection = (0x202A...0x202E).contains(scalar.value) || (0x2066...0x2069).contains(scalar.value)
            if isControl || isDirection {
                result += "\\u{\(String(scalar.value, radix: 16))}"
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    private static func write(_ text: String, to descriptor: Int32) { write(Array(text.utf8), to: descriptor) }

    private static func write(_ bytes: [UInt8], to descriptor: Int32) {
        bytes.withUnsafeBytes { buffer in
            var rest = buffer[...]
            while !rest.isEmpty {
                let chunk = UnsafeRawBufferPointer(rebasing: rest)
                let count = Glibc.write(descriptor, chunk.baseAddress, chunk.count)
                if count < 0, errno == EINTR { continue }
                // A reader that went away (`mailhookd listen | head -1`) is not our failure.
                guard count > 0 else { return }
                rest = rest.dropFirst(count)
            }
        }
    }
}
