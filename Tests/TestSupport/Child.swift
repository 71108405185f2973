// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// A child process with its output line by line. Every wait is bounded, and only processes
// started here are ever signalled.

public import Foundation
import Synchronization

public final class Child: Sendable {
    public struct Result: Sendable {
        /// The exit status, or the number of the signal that ended it.
        public var status: Int32
        public var output: String
        public var errors: String
    }

    public struct Failure: Error, CustomStringConvertible {
        public var description: String

        public init(description: String) { self.description = description }
    }

    private struct Buffers {
        var output = Data()
        var errors = Data()
        /// Pipes whose end was read.
        var ended = 0
    }

    private let process: SpawnedProcess
    /// Our end of standard input; nil once it is closed.
    private let input: Mutex<FileHandle?>
    private let buffers = Mutex(Buffers())
    private let name: String

    public init(
        _ program: String, _ arguments: [String], environment: [String: String] = [:], folder: URL? = nil
    ) throws {
        name = ([program] + arguments).joined(separator: " ")
        let (input, output, errors) = (Pipe(), Pipe(), Pipe())
        // Looks the program up in the PATH it is given, not in ours.
        let place = ["/usr/bin/env"] + (folder.map { ["-C", $0.path] } ?? [])
        // What is started here writes its log to us, whoever started the tests.
        let inherited = ProcessInfo.processInfo.environment.filter { $0.key != "JOURNAL_STREAM" }
        process = try SpawnedProcess(
            place + [program] + arguments,
            environment: inherited.merging(environment) { $1 }.map { "\($0)=\($1)" },
            descriptors: [
                input.fileHandleForReading, output.fileHandleForWriting, errors.fileHandleForWriting,
            ].map(\.fileDescriptor))
        self.input = Mutex(input.fileHandleForWriting)
        for handle in [input.fileHandleForReading, output.fileHandleForWriting, errors.fileHandleForWriting] {
            try handle.close()
        }
        drain(output) { $0.output += $1 }
        drain(errors) { $0.errors += $1 }
    }

    deinit { process.signal(SIGKILL) }

    public var output: String { buffers.withLock { String(decoding: $0.output, as: UTF8.self) } }
    public var errors: String { buffers.withLock { String(decoding: $0.errors, as: UTF8.self) } }
    public var lines: [String] { output.split(separator: "\n").map(String.init) }

    public func write(_ text: String) { input.withLock { try? $0?.write(contentsOf: Data(text.utf8)) } }

    public func closeInput() {
        input.withLock { handle in
            try? handle?.close()
            handle = nil
        }
    }

    public var identifier: Int32 { process.identifier }

    /// Does nothing if it has ended.
    public func signal(_ number: Int32) { process.signal(number) }

    public var isRunning: Bool { process.status == nil }

    /// Seconds of processor time used so far (proc(5): fields 14 and 15 of `stat`, behind the name in brackets).
    public var processorSeconds: Double {
        get throws {
            let text = try String(contentsOfFile: "/proc/\(process.identifier)/stat", encoding: .utf8)
            let fields = (text.split(separator: ")").last ?? "").split(separator: " ")
            guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else {
                throw Failure(description: "no times in \(text)")
            }
            return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
        }
    }

    /// Waits for the end; a child that takes longer is killed and the test fails.
    public func wait(seconds: Double = 60) throws -> Result {
        let deadline = Date(timeIntervalSinceNow: seconds)
        var status = process.status
        while status == nil {
            guard Date() < deadline else {
                process.signal(SIGKILL)
                throw Failure(description: "\(name) did not end within \(seconds) s\n\(output)\n\(errors)")
            }
            usleep(5000)
            status = process.status
        }
        // What it wrote last may still be on its way. A child of its own may hold the pipes open for longer.
        let end = Date(timeIntervalSinceNow: 1)
        while buffers.withLock({ $0.ended }) < 2, Date() < end { usleep(2000) }
        return Result(status: status ?? -1, output: output, errors: errors)
    }

    /// Waits until `condition` holds of the output so far.
    public func waitForOutput(seconds: Double = 30, _ what: String, _ condition: ([String]) -> Bool) throws {
        try eventually("\(name): \(what)\n\(errors)", seconds: seconds) { condition(lines) }
    }

    /// FileHandle's own reading waits for a full buffer; read(2) gives what is there.
    private func drain(_ pipe: Pipe, _ append: @escaping @Sendable (inout Buffers, Data) -> Void) {
        let handle = pipe.fileHandleForReading
        Thread.detachNewThread { [weak self] in
            var buffer = [UInt8](repeating: 0, count: 65536)
            while true {
                let count = read(handle.fileDescriptor, &buffer, buffer.count)
                if count < 0, errno == EINTR { continue }
                guard count > 0, let self else {
                    self?.buffers.withLock { $0.ended += 1 }
                    return
                }
                self.buffers.withLock { append(&$0, Data(buffer[..<count])) }
            }
        }
    }

    /// Runs a program to its end.
    public static func run(
        _ program: String, _ arguments: [String], input: String? = nil, folder: URL? = nil, seconds: Double = 60
    ) throws -> Result {
        let child = try Child(program, arguments, folder: folder)
        if let input { child.write(input) }
        child.closeInput()
        return try child.wait(seconds: seconds)
    }
}

/// Polls until `condition` holds; throws with `what` when it does not in time.
public func eventually(_ what: @autoclosure () -> String, seconds: Double = 30, _ condition: () throws -> Bool) throws {
    let deadline = Date(timeIntervalSinceNow: seconds)
    while try !condition() {
        guard Date() < deadline else { throw Child.Failure(description: "waited in vain: \(what())") }
        usleep(10_000)
    }
}
