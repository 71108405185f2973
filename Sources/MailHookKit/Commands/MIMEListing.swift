// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// `mailhookd mime`: what the MIME parser sees in mails, as JSON lines.

import Crypto
import HookModel
import JSONLD
import MIMEParser

public enum MIMEListing {
    /// Prints one line a mail; false when a file could not be read.
    public static func run(_ paths: [String]) throws(FileError) -> Bool {
        try MailFile.forEach(paths) { path, bytes in Terminal.print(line(path, MIMEMessage(bytes))) }
    }

    private static func line(_ path: String, _ message: MIMEMessage) -> [UInt8] {
        var writer = JSONWriter(capacity: 4096)
        writer.beginObject()
        writer.member("file", path)
        writer.name("headers")
        writer.beginObject()
        writeHeaders(of: message, to: &writer)
        writer.endObject()
        writer.name("parts")
        writer.beginArray()
        for part in message.parts where part.kind == .leaf { write(part, of: message, to: &writer) }
        writer.endArray()
        writer.name("problems")
        writer.beginArray()
        for problem in message.problems {
            writer.beginObject()
            writer.member("code", problem.code.rawValue)
            writer.name("offset")
            writer.integer(problem.offset)
            writer.name("contentLost")
            writer.boolean(problem.isContentLost)
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        return writer.bytes + [UInt8(ascii: "\n")]
    }

    /// The fields everybody asks for, decoded: texts, addresses as `[name, address]`, the date in UTC.
    private static func writeHeaders(of message: MIMEMessage, to writer: inout JSONWriter) {
        let header = message.header
        writer.member("subject", header.text("subject"))
        for name in ["from", "sender", "reply-to", "to", "cc"] {
            let addresses = header.addresses(name)
            guard !addresses.isEmpty else { continue }
            writer.name(name.replacing("-", with: "_"))
            writer.beginArray()
            for address in addresses {
                writer.beginArray()
                writer.string(address.name ?? "")
                writer.string(address.address)
                writer.endArray()
            }
            writer.endArray()
        }
        writer.member("date", header.date.map { Timestamp(seconds: Int64($0.secondsSince1970)).rfc3339WholeSeconds })
        writer.member("message_id", message.messageID)
    }

    private static func write(_ part: MIMEPart, of message: MIMEMessage, to writer: inout JSONWriter) {
        let body = message.body(of: part)
        writer.beginObject()
        writer.member("path", part.path)
        writer.member("type", part.typeName)
        writer.member("charset", part.charsetLabel)
        writer.member("encoding", part.encoding == .sevenBit ? nil : part.encoding.rawValue)
        writer.member("disposition", part.disposition?.value)
        writer.member("filename", part.fileName)
        if part.isAttached {
            writer.name("attached")
            writer.boolean(true)
        }
        writer.name("size")
        writer.integer(body.count)
        writer.member("sha256", hexadecimal(SHA256.hash(data: body)))
        writer.endObject()
    }

    private static func hexadecimal(_ digest: SHA256.Digest) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}
