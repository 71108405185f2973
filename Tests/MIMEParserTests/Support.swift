// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What the tests of the parser share: a short form of part trees, a random generator with a seed, line ends.

@testable import MIMEParser

extension MIMEMessage {
    init(_ text: String, limits: MIMELimits = MIMELimits()) { self.init(Array(text.utf8), limits: limits) }

    /// The tree as `multipart/mixed(text/plain:5 message/rfc822(text/html:7))`, sizes of decoded leaves.
    var outline: String {
        var text = ""
        var depth = 0
        for part in parts {
            while depth > part.depth {
                text += ")"
                depth -= 1
            }
            if part.depth > depth {
                text += "("
                depth = part.depth
            } else if !text.isEmpty {
                text += " "
            }
            text += part.mediaType.name
            if part.kind == .leaf { text += ":\(body(of: part).count)" }
        }
        return text + String(repeating: ")", count: depth)
    }

    var paths: [String] { parts.map(\.path) }

    var codes: [String] { problems.map(\.code.rawValue) }

    /// What holds for every message, however broken. Empty where all is as it should be.
    var violations: [String] {
        var found: [String] = []
        if parts.isEmpty { found.append("no parts") }
        for (index, part) in parts.enumerated() {
            let size = sources[part.source].count
            if part.header.upperBound > part.body.lowerBound { found.append("\(index): header reaches into the body") }
            if part.body.upperBound > size { found.append("\(index): body beyond the source") }
            guard let parent = part.parent else {
                if index > 0 { found.append("\(index): no parent") }
                continue
            }
            if parent >= index || parts[parent].kind == .leaf { found.append("\(index): parent is no container before it") }
            if part.depth != parts[parent].depth + 1 { found.append("\(index): depth") }
            if part.source == parts[parent].source {
                let outer = parts[parent].body
                if part.header.lowerBound < outer.lowerBound || part.body.upperBound > outer.upperBound {
                    found.append("\(index): \(part.header)..\(part.body) is outside of its parent's \(outer)")
                }
            }
        }
        return found
    }
}

func crlf(_ bytes: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count + bytes.count / 32)
    for (index, octet) in bytes.enumerated() {
        if octet == 0x0A, index == 0 || bytes[index - 1] != 0x0D { result.append(0x0D) }
        result.append(octet)
    }
    return result
}

/// Every CR before a LF taken out.
func lf(_ bytes: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count)
    for (index, octet) in bytes.enumerated() where octet != 0x0D || index + 1 == bytes.count || bytes[index + 1] != 0x0A {
        result.append(octet)
    }
    return result
}

func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
