// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Orders to a running daemon: what is written is what is read, and what cannot be read is refused as a whole.

import Foundation
import HookDelivery
import HookModel
import HookStore
import Testing

@testable import MailHookKit

@Suite struct ControlTests {
    static var requests: [ControlRequest] {
        var filter = DeliveryFilter()
        filter.states = [.dead, .cancelled]
        filter.ids = [1, 9_007_199_254_740_993]
        filter.eventType = "a.\"b\""
        filter.subscription = "s"
        filter.reason = "http_410"
        filter.since = Timestamp(microseconds: 1_800_000_000_123_456)
        filter.before = Timestamp(seconds: 1_800_000_001)
        let event = Event(id: "evt_1", type: "a.b", json: Array(#"{"id":"evt_1","data":{"n":34.90,"t":"ü\n"}}"#.utf8))
        return [
            .change(filter, .redrive), .change(DeliveryFilter(), .cancel), .activity, .reload(withoutApps: false),
            .reload(withoutApps: true), .erase(.messageID("a \"b\"@x")), .erase(.event("evt_1")),
            .set(name: "s", .paused, reason: "by hand"),
            .add([
                AddedEvent(event: event, subscriptions: ["s", "t"], message: 7, replaces: true),
                AddedEvent(event: event, subscriptions: []),
            ]),
        ]
    }

    @Test(arguments: requests) func survivesTheWire(_ request: ControlRequest) {
        #expect(!request.line.contains(0x0A))
        #expect(ControlRequest(line: request.line) == request)
    }

    /// Of a command that is older than the daemon.
    @Test func aPlainReloadIsNotWithoutApps() {
        #expect(ControlRequest(line: Array(#"{"op":"reload"}"#.utf8)) == .reload(withoutApps: false))
    }

    @Test(arguments: [
        "", "{}", "[]", "no json", #"{"op":"erase"}"#, #"{"op":"erase","event":"e","messageID":"m"}"#, #"{"op":"erase","event":1}"#, #"{"op":"cancel","states":["deda"]}"#, #"{"op":"cancel","ids":[1]}"#,
        #"{"op":"cancel","ids":["x"]}"#, #"{"op":"redrive","since":"yesterday"}"#, #"{"op":"redrive","since":5}"#,
        #"{"op":"subscription","name":"s"}"#, #"{"op":"subscription","name":"s","status":"off"}"#, #"{"op":"add"}"#,
        #"{"op":"add","events":[{"id":"x","type":"t"}]}"#, #"{"op":"add","events":[{"id":"x","type":"t","json":"{}"}]}"#,
    ])
    func isRefused(_ line: String) { #expect(ControlRequest(line: Array(line.utf8)) == nil) }

    @Test func answersSurviveTheWire() throws {
        var activity = SubscriptionActivity()
        activity.breaker = .halfOpen
        activity.openUntil = Timestamp(seconds: 5)
        activity.delivered = 3
        activity.lastReason = "timeout"
        let answer = try #require(ControlAnswer(line: ControlAnswer(count: 2, activities: ["s": activity]).line))
        #expect(answer.count == 2 && answer.activities == ["s": activity] && answer.error == nil)
        #expect(ControlAnswer(line: ControlAnswer(error: "x\ny").line)?.error == "x\ny")
        var erased = ControlAnswer(count: 2)
        erased.events = 3
        let read = ControlAnswer(line: erased.line)
        #expect(read?.count == 2 && read?.events == 3)
        #expect(ControlAnswer(line: []) == nil)
    }

    /// A daemon that answers late is waited for as long as it shows life; one that is silent is not.
    @Test func lifeIsWaitedFor() async throws {
        // All pieces together take longer than the wait for one of them.
        let line = try await Self.answer { daemon in
            for piece in [" ", " ", " ", " ", " ", " ", #" {"count":"#, "3}\n"] {
                usleep(150_000)
                _ = send(daemon, piece, piece.utf8.count, Int32(MSG_NOSIGNAL))
            }
        }.get()
        #expect(String(decoding: line, as: UTF8.self) == "{\"count\":3}\n" && ControlAnswer(line: line)?.count == 3)
        #expect(await Self.answer { _ in } == .failure(.silent))
        #expect(await Self.answer { shutdown($0, Int32(SHUT_WR)) } == .failure(.ended))
    }

    /// Of a daemon that does not take the request.
    @Test func anAnswerBeforeTheRequestIsHeard() throws {
        var descriptors: [Int32] = [-1, -1]
        #expect(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &descriptors) == 0)
        let (client, daemon) = (descriptors[0], descriptors[1])
        defer { close(client) }
        let answer = ControlAnswer(error: ControlAnswer.tooManyConnections).line + [0x0A]
        #expect(send(daemon, answer, answer.count, Int32(MSG_NOSIGNAL)) == answer.count)
        close(daemon)
        #expect(try ControlClient.exchange(ControlRequest.activity.line, client) == answer)
    }

    /// What a client hears that waits a second for each piece. Both sides wait, so each has a thread of its own.
    private static func answer(
        of daemon: @escaping @Sendable (Int32) -> Void
    ) async -> Result<[UInt8], ControlClient.Failure> {
        await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                var descriptors: [Int32] = [-1, -1]
                #expect(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &descriptors) == 0)
                let (client, other) = (descriptors[0], descriptors[1])
                var limit = timeval(tv_sec: 1, tv_usec: 0)
                setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
                let end = DispatchSemaphore(value: 0)
                Thread.detachNewThread {
                    daemon(other)
                    end.signal()
                }
                let result: Result<[UInt8], ControlClient.Failure>
                do throws(ControlClient.Failure) {
                    result = .success(try ControlClient.exchange(ControlRequest.activity.line, client))
                } catch { result = .failure(error) }
                end.wait()
                close(client)
                close(other)
                continuation.resume(returning: result)
            }
        }
    }

    @Test func replayMarksSayWhatTheyAre() throws {
        let event = Event(id: "evt_1", type: "t", json: Array(#"{"specversion":"1.0","id":"evt_1","data":{"n":1.0}}"#.utf8))
        let now = Timestamp(seconds: 1_800_000_000)
        let same = ReplayMark.marked(event, .same, at: now)
        #expect(String(decoding: same.json, as: UTF8.self) == #"{"specversion":"1.0","id":"evt_1","replayed":"2027-01-15T08:00:00.000000Z","data":{"n":1.0}}"#)
        #expect(ReplayMark.areAlike(event, same) && !ReplayMark.hasNewIdentity(same))
        let new = ReplayMark.marked(same, .new, at: now)
        #expect(new.id != "evt_1" && ReplayMark.hasNewIdentity(new))
        #expect(new == ReplayMark.marked(event, .new, at: now))
        #expect(new != ReplayMark.marked(event, .new, at: now.advanced(by: .seconds(1))))
    }

    @Test func messageNamesLeadBackToDigests() {
        // RFC 4648 section 10, in lower case and without padding, as far as 16 octets go.
        #expect(Trace.digest("aaaaaaaaaaaaaaaaaaaaaaaaaa") == Array(repeating: 0, count: 16))
        #expect(Trace.digest("mzxw6ytbojtg633cmfzgm33pmi")?.prefix(6) == ArraySlice("foobar".utf8))
        #expect(Trace.digest("short") == nil)
        #expect(Trace.digest("1aaaaaaaaaaaaaaaaaaaaaaaaa") == nil)
    }

    @Test func silenceIsToldOnce() {
        func at(_ seconds: Int64) -> Timestamp { Timestamp(seconds: seconds) }
        var ledger = SilenceWatch.Ledger()
        ledger.expect(["a": .seconds(10), "b": .seconds(100)], start: at(0))
        #expect(ledger.silent(at: at(9)).isEmpty)
        #expect(ledger.silent(at: at(10)).map(\.name) == ["a"])
        #expect(ledger.silent(at: at(99)).isEmpty)
        #expect(ledger.silent(at: at(100)).map(\.name) == ["b"])
        ledger.heard("a", at: at(101))
        ledger.heard("unknown", at: at(101))
        #expect(ledger.silent(at: at(110)).isEmpty)
        #expect(ledger.silent(at: at(111)).map(\.heard) == [at(101)])
        // After a change of the configuration.
        ledger.expect(["b": .seconds(100), "c": .seconds(1)], start: at(120))
        #expect(ledger.silent(at: at(121)).map(\.name) == ["c"])
        // Nobody is silent because the clock was set.
        ledger.expect(["d": .seconds(10)], start: at(130))
        ledger.clockWasSet(by: .seconds(1_000_000))
        #expect(ledger.silent(at: at(1_000_139)).isEmpty)
        #expect(ledger.silent(at: at(1_000_140)).map(\.heard) == [at(130)], "the silence is the one that began then")
        ledger.clockWasSet(by: .seconds(-1_000_000))
        ledger.heard("d", at: at(150))
        #expect(ledger.silent(at: at(159)).isEmpty)
        #expect(ledger.silent(at: at(160)).map(\.name) == ["d"])
    }
}
