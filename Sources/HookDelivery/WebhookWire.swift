// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// The request of a webhook as it goes over the wire, written at once. The same octets as those of
// WebhookRequestBuilder's request, whose usual form is written here without values in between.

internal import Crypto
internal import HookModel
internal import NIOCore

/// Writes requests of one webhook.
struct WebhookWire: Sendable {
    private let builder: WebhookRequestBuilder
    private let client: EndpointClient
    /// Everything before the signature, for events that are sent as they are.
    private let start: [UInt8]
    /// nil where requests have to be built first.
    private let secrets: SecretList?

    init(_ builder: WebhookRequestBuilder, _ client: EndpointClient) {
        self.builder = builder
        self.client = client
        secrets = builder.plainSecrets
        start = client.head + builder.plainHeaders.flatMap { Array("\($0.name): \($0.value)\r\n".utf8) }
    }

    func request(_ event: Event, now: Timestamp) -> ByteBuffer {
        guard let secrets else {
            let built = builder.request(for: event, now: now)
            return client.encoded(built.headers, built.body)
        }
        let list = secrets.current()
        let id = event.id
        var time = String(now.seconds)
        var buffer = ByteBufferAllocator().buffer(
            capacity: start.count + id.utf8.count + event.json.count + 128 + 96 * list.count)
        buffer.writeBytes(start)
        buffer.writeStaticString("webhook-id: ")
        let idStart = buffer.writerIndex
        buffer.writeString(id)
        let idEnd = buffer.writerIndex
        buffer.writeStaticString("\r\nwebhook-timestamp: ")
        time.withUTF8 { _ = buffer.writeBytes($0) }
        buffer.writeStaticString("\r\nwebhook-signature: ")
        // Signed is `id.timestamp.body`.
        let prefix = [UInt8](unsafeUninitializedCapacity: idEnd - idStart + time.utf8.count + 2) { octets, count in
            buffer.withUnsafeReadableBytes { written in
                UnsafeMutableRawBufferPointer(octets).copyMemory(
                    from: UnsafeRawBufferPointer(rebasing: written[(idStart - buffer.readerIndex)..<(idEnd - buffer.readerIndex)]))
            }
            count = idEnd - idStart
            octets[count] = UInt8(ascii: ".")
            count += 1
            for digit in time.utf8 {
                octets[count] = digit
                count += 1
            }
            octets[count] = UInt8(ascii: ".")
            count += 1
        }
        for (index, secret) in list.enumerated() {
            if index > 0 { buffer.writeInteger(UInt8(ascii: " ")) }
            StandardWebhooksSigner.write(prefix, event.json, signedWith: secret, to: &buffer)
        }
        buffer.writeStaticString("\r\ncontent-length: ")
        buffer.writeString(String(event.json.count))
        buffer.writeStaticString("\r\n\r\n")
        buffer.writeBytes(event.json)
        return buffer
    }
}

extension StandardWebhooksSigner {
    fileprivate static func write(
        _ prefix: [UInt8], _ body: [UInt8], signedWith secret: WebhookSecret, to buffer: inout ByteBuffer
    ) {
        guard case .symmetric(let keyed) = secret.key else {
            buffer.writeString(sign(prefix, body, with: secret))
            return
        }
        var hash = keyed
        hash.update(data: prefix)
        hash.update(data: body)
        buffer.writeStaticString("v1,")
        hash.finalize().withUnsafeBytes { code in Base64.write(code, to: &buffer) }
    }
}

extension Base64 {
    /// With padding.
    static func write(_ octets: UnsafeRawBufferPointer, to buffer: inout ByteBuffer) {
        let length = (octets.count + 2) / 3 * 4
        _ = buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: length) { room in
            var place = 0
            var offset = 0
            while offset < octets.count {
                let left = octets.count - offset
                let word =
                    UInt32(octets[offset]) << 16 | (left > 1 ? UInt32(octets[offset + 1]) << 8 : 0)
                    | (left > 2 ? UInt32(octets[offset + 2]) : 0)
                for digit in 0..<4 {
                    room[place] = digit > left ? UInt8(ascii: "=") : Self.digit(word >> UInt32(18 - 6 * digit) & 0x3F)
                    place += 1
                }
                offset += 3
            }
            return length
        }
    }
}
