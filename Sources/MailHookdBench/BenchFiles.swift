// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Reads what is measured, before the clock starts.

import Glibc

enum BenchFiles {
    static func read(_ path: String) -> [UInt8] {
        guard let file = fopen(path, "rb") else {
            perror(path)
            exit(66)
        }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = fread(&chunk, 1, chunk.count, file)
            if count == 0 { return bytes }
            bytes += chunk[..<count]
        }
    }

    /// All files of a folder in the order of their names.
    static func inFolder(_ path: String) -> [[UInt8]] {
        guard let folder = opendir(path) else {
            perror(path)
            exit(66)
        }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted().map { read("\(path)/\($0)") }
    }
}

/// Runs `pass` again and again for about `seconds`, at least three times; returns the median time of one.
func benchTime(seconds: Double, _ pass: () -> Void) -> Double {
    let clock = ContinuousClock()
    let start = clock.now
    var times: [Double] = []
    repeat {
        let begin = clock.now
        pass()
        times.append((clock.now - begin) / .seconds(1))
    } while times.count < 3 || (clock.now - start) / .seconds(1) < seconds
    return times.sorted()[times.count / 2]
}
