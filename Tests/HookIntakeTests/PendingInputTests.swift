// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What a connection has read and its dialogue has not taken: nothing lost, nothing out of order, large pieces not copied.

import NIOCore
import TestSupport
import Testing

@testable import HookIntake

@Suite struct PendingInputTests {
    /// What is taken is what was put in, whatever the sizes of the pieces and of what is taken at once.
    @Test func octetsKeepTheirOrder() {
        var generator = SplitMix64(state: 11)
        var input = PendingInput()
        var sent: [UInt8] = []
        var taken: [UInt8] = []
        for _ in 0..<2_000 {
            if Bool.random(using: &generator) {
                let size = [0, 1, 50, PendingInput.largePiece - 1, PendingInput.largePiece, 9_000].randomElement(using: &generator) ?? 0
                let piece = (0..<size).map { _ in UInt8.random(in: 0...255, using: &generator) }
                sent += piece
                input.append(ByteBuffer(bytes: piece))
            } else if let first = input.first {
                let count = Int.random(in: 0...first.readableBytes, using: &generator)
                taken += first.readableBytesView.prefix(count)
                input.consume(count)
            }
            #expect(input.isEmpty == (taken.count == sent.count))
        }
        while let first = input.first {
            taken += first.readableBytesView
            input.consume(first.readableBytes)
        }
        #expect(taken == sent && taken.count > 100_000)
    }

    @Test func largePiecesStandAloneAndSmallOnesAreJoined() {
        var input = PendingInput()
        let large = ByteBuffer(repeating: 1, count: PendingInput.largePiece)
        input.append(large)
        input.append(large)
        for _ in 0..<1_000 { input.append(ByteBuffer(repeating: 2, count: 3)) }
        #expect(input.first?.readableBytes == large.readableBytes)
        input.consume(large.readableBytes)
        #expect(input.first?.readableBytes == large.readableBytes)
        input.consume(large.readableBytes)
        #expect(input.first?.readableBytes == 3_000)
    }

    @Test func allOfItIsDropped() {
        var input = PendingInput()
        for _ in 0..<3 { input.append(ByteBuffer(repeating: 1, count: PendingInput.largePiece)) }
        input.removeAll()
        input.consume(0)
        #expect(input.isEmpty)
    }
}
