// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Takes the wrapping out of `text/plain; format=flowed` (RFC 3676), which senders put in so
// that no line is long.

public enum FormatFlowed {
    /// Joins flowed lines and removes space-stuffing (RFC 3676 sections 4.1 to 4.5). Lines of the result end with LF.
    ///
    /// - Parameters:
    ///   - text: decoded text, lines ending with LF or CRLF.
    ///   - deletesSpace: the parameter `DelSp=yes`: the space before a soft line end is not part of the text.
    public static func unwrap(_ text: [UInt8], deletesSpace: Bool) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(text.count)
        /// Quote depth of the paragraph that goes on with the next line; nil after a fixed line.
        var openDepth: Int?
        var position = 0
        while position < text.count {
            let lineFeed = text[position...].firstIndex(of: UInt8(ascii: "\n"))
            var line = text[position..<(lineFeed ?? text.count)]
            if lineFeed != nil, line.last == UInt8(ascii: "\r") { line.removeLast() }
            position = (lineFeed ?? text.count) + 1

            let depth = line.prefix { $0 == UInt8(ascii: ">") }.count
            var content = line.dropFirst(depth)
            if content.first == UInt8(ascii: " ") { content.removeFirst() }
            // Section 4.5: a paragraph ends where the quote depth changes.
            let continues = openDepth == depth
            if openDepth != nil, !continues { output.append(UInt8(ascii: "\n")) }
            if !continues { output += repeatElement(UInt8(ascii: ">"), count: depth) }
            if depth > 0, !continues, !content.isEmpty { output.append(UInt8(ascii: " ")) }
            // Section 4.3: the signature separator is never flowed.
            let isFlowed = content.last == UInt8(ascii: " ") && !content.elementsEqual("-- ".utf8)
            if isFlowed, deletesSpace { content.removeLast() }
            output += content
            if !isFlowed, lineFeed != nil { output.append(UInt8(ascii: "\n")) }
            openDepth = isFlowed ? depth : nil
        }
        return output
    }
}
