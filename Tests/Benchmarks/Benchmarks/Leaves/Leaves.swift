// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What an order confirmation costs in each leaf. Comparisons with other programs are the work of
// mailhookd-bench, which runs beside them.

import Benchmark
import HTMLScripts
import HookExtraction
import JSONLD
import MIMEParser

let benchmarks: @Sendable () -> Void = {
    Benchmark.defaultConfiguration = .init(metrics: [.wallClock, .throughput, .instructions], scalingFactor: .kilo)

    let mail = Sample.mail
    Benchmark("mime: structure and bodies of an order confirmation") { benchmark in
        for _ in benchmark.scaledIterations {
            let message = MIMEMessage(mail)
            for part in message.parts where part.kind == .leaf { blackHole(message.text(of: part)) }
        }
    }
    Benchmark("extraction: documents of an order confirmation") { benchmark in
        let finder = DocumentFinder()
        for _ in benchmark.scaledIterations { blackHole(finder.candidates(in: MIMEMessage(mail))) }
    }
    Benchmark("html: scripts of a mail") { benchmark in
        for _ in benchmark.scaledIterations { blackHole(ScriptScanner.scan(Sample.html)) }
    }
    Benchmark("json: an order to its index") { benchmark in
        for _ in benchmark.scaledIterations { blackHole(try? JSONDocument(Sample.order)) }
    }
    Benchmark("json-ld: an order expanded with schema.org") { benchmark in
        let processor = JSONLDProcessor()
        for _ in benchmark.scaledIterations { blackHole(try? processor.expand(.json(Sample.order)).json()) }
    }
    Benchmark("json-ld: an order to quads") { benchmark in
        let processor = JSONLDProcessor()
        for _ in benchmark.scaledIterations { blackHole(try? processor.toRDF(.json(Sample.order))) }
    }
}

enum Sample {
    static let order = Array("""
        {"@context":"https://schema.org","@type":"Order","@id":"https://shop.example/orders/88-104","orderNumber":"88-104",
        "orderStatus":"https://schema.org/OrderProcessing","priceCurrency":"EUR","price":34.90,
        "customer":{"@type":"Person","name":"Ines Calder","email":"ines@example.net"},
        "orderedItem":{"@type":"OrderItem","orderQuantity":1,"orderedItem":{"@type":"Product","name":"Shears","sku":"PS-7"}}}
        """.utf8)

    static let html: [UInt8] =
        Array("<!DOCTYPE html><html><head><title>Your order</title><script type=\"application/ld+json\">".utf8) + order
        + Array("</script></head><body>".utf8)
        + Array(String(repeating: "<tr><td style=\"color:#333\">one &amp; more</td></tr>\n", count: 200).utf8)

    static let mail: [UInt8] =
        Array("""
            From: Shop <orders@shop.example>\r
            To: hook@hooks.example\r
            Subject: =?utf-8?q?Your_order_88-104_=E2=80=93_thank_you?=\r
            MIME-Version: 1.0\r
            Content-Type: multipart/alternative; boundary="b"\r
            \r
            --b\r
            Content-Type: text/plain; charset=utf-8\r
            \r
            Thank you.\r
            --b\r
            Content-Type: text/html; charset=utf-8\r
            \r

            """.utf8) + html + Array("\r\n--b--\r\n".utf8)
}
