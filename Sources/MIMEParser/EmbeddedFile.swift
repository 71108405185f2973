// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Files inside the text of a message, as uuencode (POSIX) and yEnc write them. They are no parts: the table of parts is
// what MIME says, and the text around them is one body. The parser notes them as problems; they are decoded on demand.

/// A file in the text of a body.
public struct EmbeddedFile: Sendable, Hashable {
    /// How it is written.
    public enum Form: Sendable, Hashable { case uuencode, yEnc }

    public var form: Form
    /// As its first line has it.
    public var name: String
    /// Decoded.
    public var content: [UInt8]
    /// Its end line was found.
    public var isComplete: Bool
}

extension MIMEMessage {
    /// The files in a leaf's decoded body. Content that is broken is kept as far as it goes.
    public func embeddedFiles(in part: MIMEPart) -> [EmbeddedFile] {
        guard part.kind == .leaf else { return [] }
        let body = body(of: part)
        return body.withUnsafeBufferPointer { bytes in
            var files: [EmbeddedFile] = []
            var index = 0
            while index < bytes.count {
                let found = EmbeddedFileScanner.begin(bytes, index)
                index = bytes.nextLine(index, bytes.count)
                guard let found else { continue }
                var file = EmbeddedFile(
                    form: found.form, name: HeaderText.string(Bytes(rebasing: bytes[found.name])), content: [],
                    isComplete: false)
                index = EmbeddedFileScanner.read(bytes, index, &file)
                files.append(file)
            }
            return files
        }
    }
}

enum EmbeddedFileScanner {
    /// A file that begins in the line at `start`: `begin MODE NAME` or `=ybegin ... name=NAME`.
    static func begin(_ bytes: Bytes, _ start: Int) -> (form: EmbeddedFile.Form, name: Range<Int>)? {
        let first = bytes[start]
        guard first == 0x62 || first == .equals else { return nil }
        let end = HeaderScanner.withoutLineEnd(bytes, start, bytes.nextLine(start, bytes.count))
        if bytes.hasWord("begin ", at: start, end), first == 0x62 {
            var index = start + 6
            while index < end, bytes[index] &- 0x30 < 8 { index += 1 }
            guard 3...4 ~= index - start - 6, index + 1 < end, bytes[index] == .space else { return nil }
            return (.uuencode, bytes.trimmed((index + 1)..<end))
        }
        guard bytes.hasWord("=ybegin ", at: start, end) else { return nil }
        var index = start + 8
        while index + 5 <= end {
            if bytes.hasWord("name=", at: index, end) { return (.yEnc, bytes.trimmed((index + 5)..<end)) }
            index += 1
        }
        return nil
    }

    /// The first file that begins in a range.
    static func first(_ bytes: Bytes, _ range: Range<Int>) -> (form: EmbeddedFile.Form, offset: Int)? {
        guard !range.isEmpty else { return nil }
        let body = Bytes(rebasing: bytes[..<range.upperBound])
        if let form = begin(body, range.lowerBound)?.form { return (form, range.lowerBound) }
        for (first, second) in [(0x62, 0x65), (0x3D, 0x79)] as [(UInt8, UInt8)] {
            var index = range.lowerBound
            while true {
                index = LineSearch.nextLine(body, from: index, range.upperBound, first: first, second: second)
                guard index < range.upperBound else { break }
                if let form = begin(body, index)?.form { return (form, index) }
            }
        }
        return nil
    }

    /// Reads lines until the file's end line or the end of the text. Returns where to go on.
    static func read(_ bytes: Bytes, _ start: Int, _ file: inout EmbeddedFile) -> Int {
        var index = start
        while index < bytes.count {
            let next = bytes.nextLine(index, bytes.count)
            let line = index..<HeaderScanner.withoutLineEnd(bytes, index, next)
            switch file.form {
            case .uuencode:
                if bytes.hasWord("end", at: line.lowerBound, line.upperBound), bytes.trimmed(line).count == 3 {
                    file.isComplete = true
                    return next
                }
                UUDecoder.decodeLine(bytes, line, &file.content)
            case .yEnc:
                if bytes.hasWord("=yend", at: line.lowerBound, line.upperBound) {
                    file.isComplete = true
                    return next
                }
                if !bytes.hasWord("=ypart ", at: line.lowerBound, line.upperBound) {
                    decodeYEncLine(bytes, line, &file.content)
                }
            }
            index = next
        }
        return index
    }

    /// yEnc 1.3: each octet plus 42; `=` makes the next one plus 64 more.
    private static func decodeYEncLine(_ bytes: Bytes, _ line: Range<Int>, _ output: inout [UInt8]) {
        var index = line.lowerBound
        // A dot that was doubled for the way (RFC 5321 section 4.5.2) and not taken back.
        if line.count >= 2, bytes[index] == 0x2E, bytes[index + 1] == 0x2E { index += 1 }
        while index < line.upperBound {
            var octet = bytes[index]
            if octet == .equals, index + 1 < line.upperBound {
                index += 1
                octet = bytes[index] &- 64
            }
            output.append(octet &- 42)
            index += 1
        }
    }
}

/// Lines of uuencode: a length, then groups of four characters for three octets (POSIX, uuencode, Historical Algorithm).
enum UUDecoder {
    /// A whole body with Content-Transfer-Encoding x-uuencode: the first file in it, else all lines.
    static func decode(_ bytes: Bytes) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count / 4 * 3)
        var index = 0
        while index < bytes.count {
            let next = bytes.nextLine(index, bytes.count)
            if EmbeddedFileScanner.begin(bytes, index)?.form == .uuencode {
                var file = EmbeddedFile(form: .uuencode, name: "", content: [], isComplete: false)
                _ = EmbeddedFileScanner.read(bytes, next, &file)
                return file.content
            }
            decodeLine(bytes, index..<HeaderScanner.withoutLineEnd(bytes, index, next), &output)
            index = next
        }
        return output
    }

    static func decodeLine(_ bytes: Bytes, _ line: Range<Int>, _ output: inout [UInt8]) {
        guard !line.isEmpty, bytes[line.lowerBound] >= 0x20, bytes[line.lowerBound] <= 0x60 else { return }
        var left = Int((bytes[line.lowerBound] &- 0x20) & 0x3F)
        var index = line.lowerBound + 1
        while left > 0, index < line.upperBound {
            // Blanks at the end are lost on the way; a space stands for zero.
            var group: UInt32 = 0
            for offset in 0..<4 {
                let octet = index + offset < line.upperBound ? bytes[index + offset] : .space
                group = group << 6 | UInt32((octet &- 0x20) & 0x3F)
            }
            for shift in [16, 8, 0] as [UInt32] where left > 0 {
                output.append(UInt8(truncatingIfNeeded: group >> shift))
                left -= 1
            }
            index += 4
        }
    }
}
