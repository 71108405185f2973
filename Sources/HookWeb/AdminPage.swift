// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Pages of lists as the model has them, and shorter ways to write nested JSON.

import JSONLD

/// Which page of a list is wanted: ten pages of 99 at most.
struct AdminPage {
    private let number: Int
    private let size: Int

    /// nil where the query asks for what there can't be.
    init?(_ request: WebRequest) {
        guard let number = AdminEndpoint.number(request, "page", in: 1...10, else: 1),
            let size = AdminEndpoint.number(request, "pageSize", in: 1...99, else: 50)
        else { return nil }
        self.number = number
        self.size = size
    }

    /// The page of `all`, each entry written by `write`.
    func answer<Entry>(_ all: [Entry], path: String, _ write: (Entry, inout JSONWriter) -> Void) -> WebAnswer {
        let start = min(all.count, (number - 1) * size)
        let shown = all[start..<min(all.count, start + size)]
        func link(_ page: Int) -> String { "\(path)?page=\(page)&pageSize=\(size)" }
        return .json {
            $0.object {
                $0.object("meta") {
                    $0.member("page", integer: number)
                    $0.member("pageSize", integer: size)
                }
                $0.array("data") { for entry in shown { write(entry, &$0) } }
                $0.object("links") {
                    $0.member("self", link(number))
                    $0.member("first", link(1))
                    $0.member("prev", number > 1 ? link(number - 1) : nil)
                    $0.member("next", start + size < all.count && number < 10 ? link(number + 1) : nil)
                }
            }
        }
    }
}

extension JSONWriter {
    /// An object with the members that `write` writes; as the value of `name` where there is one.
    mutating func object(_ name: String? = nil, _ write: (inout JSONWriter) -> Void) {
        if let name { self.name(name) }
        beginObject()
        write(&self)
        endObject()
    }

    /// The same for an array.
    mutating func array(_ name: String, _ write: (inout JSONWriter) -> Void) {
        self.name(name)
        beginArray()
        write(&self)
        endArray()
    }

    mutating func member(_ name: String, integer: Int) {
        self.name(name)
        self.integer(integer)
    }

    /// A relationship to one resource, as JSON:API writes it.
    mutating func reference(_ name: String, type: String, id: String) {
        object(name) {
            $0.object("data") {
                $0.member("type", type)
                $0.member("id", id)
            }
        }
    }
}
