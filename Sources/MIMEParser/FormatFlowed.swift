// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Text whose paragraphs were wrapped for the way (RFC 3676).

/// `text/plain; format=flowed`.
public enum FormatFlowed {
    /// Joins the lines of each paragraph. Lines end in LF afterwards; quoted ones begin with their `>` and a space.
    ///
    /// `deletesSpaces` is the parameter `DelSp=yes` (section 4.1): the space that marks a line as flowed is not part
    /// of the text.
    public static func unwrapped(_ text: [UInt8], deletesSpaces: Bool) -> [UInt8] {
        text.withUnsafeBufferPointer { bytes in
            var output: [UInt8] = []
            output.reserveCapacity(bytes.count)
            var index = 0
            var openDepth: Int?
            while index < bytes.count {
                let next = bytes.nextLine(index, bytes.count)
                let line = Line(bytes, index..<HeaderScanner.withoutLineEnd(bytes, index, next))
                if openDepth != line.depth || line.isSignature {
                    if openDepth != nil { output.append(.lineFeed) }
                    appendQuotes(line.depth, &output)
                }
                let isFlowed = line.isFlowed
                // A flowed line is not empty: it ends in the space.
                let end = isFlowed && deletesSpaces ? line.content.upperBound - 1 : line.content.upperBound
                output += bytes[line.content.lowerBound..<end]
                openDepth = isFlowed ? line.depth : nil
                if !isFlowed, next > index, bytes[next - 1] == .lineFeed { output.append(.lineFeed) }
                index = next
            }
            return output
        }
    }

    private static func appendQuotes(_ depth: Int, _ output: inout [UInt8]) {
        guard depth > 0 else { return }
        output += repeatElement(0x3E, count: depth)
        output.append(.space)
    }

    private struct Line {
        var depth = 0
        /// Without quote marks, stuffed space and line end.
        var content: Range<Int>
        var isSignature: Bool
        var isFlowed: Bool

        // Section 4.5: quote marks first, then the stuffed space. Section 4.3: `-- ` is never flowed.
        init(_ bytes: Bytes, _ range: Range<Int>) {
            var start = range.lowerBound
            while start < range.upperBound, bytes[start] == 0x3E { start += 1 }
            depth = start - range.lowerBound
            if start < range.upperBound, bytes[start] == .space { start += 1 }
            content = start..<range.upperBound
            isSignature =
                content.count == 3 && bytes[start] == .hyphen && bytes[start + 1] == .hyphen && bytes[start + 2] == .space
            isFlowed = !isSignature && !content.isEmpty && bytes[range.upperBound - 1] == .space
        }
    }
}

extension MIMEMessage {
    /// The text of a part in UTF-8, its paragraphs put together again where it is `format=flowed`.
    public func unwrappedText(of part: MIMEPart) -> [UInt8] {
        let text = text(of: part)
        let type = part.mediaType
        guard type.name == "text/plain", type.value["format"]?.lowercased() == "flowed" else { return text }
        return FormatFlowed.unwrapped(text, deletesSpaces: type.value["delsp"]?.lowercased() == "yes")
    }
}
