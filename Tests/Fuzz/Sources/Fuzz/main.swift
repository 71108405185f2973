// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// libFuzzer's driver around one target: Fuzz TARGET [libFuzzer options] [corpus folder ...]

import CFuzz
import FuzzTargets
import Glibc

nonisolated(unsafe) var target: ([UInt8]) -> Void = { _ in }

guard CommandLine.argc >= 2, let name = CommandLine.arguments.dropFirst().first,
    let found = FuzzTargets.all.first(where: { $0.name == name })
else {
    print("usage: Fuzz TARGET [libFuzzer options]; targets: \(FuzzTargets.all.map(\.name).joined(separator: " "))")
    exit(64)
}
target = found.run
// The driver does not know our first word.
var count = CommandLine.argc - 1
var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv + 1
exit(
    LLVMFuzzerRunDriver(&count, &arguments) { data, size in
        target(Array(UnsafeBufferPointer(start: data, count: size)))
        return 0
    })
