// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Stored events for people and programs, read beside the daemon or without one.

import HookModel
import HookStore
import JSONLD

/// A stored event, ready to be shown.
public struct EventLine: Sendable {
    private let event: Event

    init(_ event: Event) { self.event = event }

    /// CloudEvents JSON on one line.
    public var jsonLine: String { String(decoding: event.json, as: UTF8.self) }

    /// What the app's trigger made of the data: JSON on one line; nil where there is none.
    public var output: String? { (try? JSONDocument(event.json, limits: JSONLimits(depth: 1024)).root)?["output"]?.string }

    /// Time, name, id and what it is about, on one line.
    public var text: String {
        let root = try? JSONDocument(event.json).root
        func attribute(_ name: String) -> String? { root?[name]?.string }
        let about = attribute("subject") ?? attribute("mailsubject") ?? ""
        return "\(attribute("time") ?? "-") \(event.type) \(event.id) \(Terminal.harmless(about))"
    }
}

public enum EventListing {
    private static let pageSize = 500

    /// Every stored event, oldest first.
    public static func run(dataFolder: String, _ show: (EventLine) -> Void) async throws(SetupError) {
        do throws(StoreError) {
            let store = try SQLiteStore.open(StorePath.inFolder(dataFolder), as: .reader)
            var last: Int64 = 0
            while true {
                let page = try await store.events(after: last, limit: pageSize)
                page.forEach { show(EventLine($0.event)) }
                guard let end = page.last else { break }
                last = end.sequence
            }
            await store.close()
        } catch {
            throw SetupError(storeError: error, dataFolder: dataFolder)
        }
    }

    /// The event of this id; nil where there is none.
    public static func find(_ id: String, dataFolder: String) async throws(SetupError) -> EventLine? {
        do throws(StoreError) {
            let store = try SQLiteStore.open(StorePath.inFolder(dataFolder), as: .reader)
            let event = try await store.event(id: id)
            await store.close()
            return event.map { EventLine($0.event) }
        } catch {
            throw SetupError(storeError: error, dataFolder: dataFolder)
        }
    }
}
