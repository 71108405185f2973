// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Runs a program to its end: feeds standard input, keeps the end of standard error, ends the whole process
// group when time is up. Blocking; made for the threads of BlockingThreads, where SIGPIPE is blocked.
//
// Not built on a library: what is needed here is that a program which leaves children behind holding its pipes
// does not keep us waiting, and that every step has a deadline.

internal import Glibc

struct ChildProcess: Sendable {
    struct Result: Sendable {
        var end: ProgramEnd
        /// The last octets the program wrote to standard error, at most `errorLimit`.
        var standardError: [UInt8]
    }

    /// Time between SIGTERM and SIGKILL.
    static let killGrace = Duration.seconds(3)
    /// Octets of standard error that are kept. A program may write any amount.
    static let errorLimit = 2048

    var arguments: [String]
    /// `NAME=value`
    var environment: [String]
    var workingDirectory: String?
    var input: [UInt8]
    var timeout: Duration

    func run(interruption: Interruption) -> Result {
        if interruption.isRequested { return Result(end: .interrupted, standardError: []) }
        var pipes = Pipes()
        if let code = pipes.open() { return Result(end: .notStarted(code), standardError: []) }
        defer { pipes.close() }
        switch spawn(pipes) {
        case .failure(let code):
            return Result(end: .notStarted(code), standardError: [])
        case .success(let process):
            pipes.closeChildEnds()
            var loop = Loop(process: process, input: input, deadline: ContinuousClock.now + timeout)
            let end = loop.run(&pipes, interruption)
            return Result(end: end, standardError: loop.standardError)
        }
    }
}

extension ChildProcess {
    private enum Spawned {
        case success(pid_t)
        case failure(Int32)
    }

    private func spawn(_ pipes: Pipes) -> Spawned {
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        guard posix_spawn_file_actions_init(&actions) == 0 else { return .failure(ENOMEM) }
        defer { posix_spawn_file_actions_destroy(&actions) }
        guard posix_spawnattr_init(&attributes) == 0 else { return .failure(ENOMEM) }
        defer { posix_spawnattr_destroy(&attributes) }

        posix_spawn_file_actions_adddup2(&actions, pipes.inputRead, 0)
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, pipes.errorWrite, 2)
        // Whatever somebody opened without O_CLOEXEC stays with us.
        _ = GNUFunctions.addCloseFrom?(&actions, 3)
        if let workingDirectory {
            guard let addChangeDirectory = GNUFunctions.addChangeDirectory else { return .failure(ENOSYS) }
            _ = addChangeDirectory(&actions, workingDirectory)
        }

        // A group of its own, so that its children can be ended with it; no signal blocked or ignored as they are
        // in a daemon, or SIGTERM might do nothing.
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        var defaults = sigset_t()
        sigemptyset(&defaults)
        for signal in [SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGALRM, SIGTERM, SIGUSR1, SIGUSR2, SIGCHLD] {
            sigaddset(&defaults, signal)
        }
        posix_spawnattr_setsigdefault(&attributes, &defaults)
        posix_spawnattr_setpgroup(&attributes, 0)
        let flags = Int32(POSIX_SPAWN_SETPGROUP) | Int32(POSIX_SPAWN_SETSIGMASK) | Int32(POSIX_SPAWN_SETSIGDEF)
        posix_spawnattr_setflags(&attributes, Int16(flags))

        var process: pid_t = 0
        let code = Self.withCStrings(arguments) { argumentPointers in
            Self.withCStrings(environment) { environmentPointers in
                posix_spawnp(
                    &process, argumentPointers[0] ?? strdup(""), &actions, &attributes,
                    argumentPointers, environmentPointers)
            }
        }
        return code == 0 ? .success(process) : .failure(code)
    }

    /// The strings as a null-terminated list of C strings.
    private static func withCStrings<Value>(
        _ strings: [String], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Value
    ) -> Value {
        let pointers = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>.allocate(capacity: strings.count + 1)
        for (index, string) in strings.enumerated() { (pointers + index).initialize(to: strdup(string)) }
        (pointers + strings.count).initialize(to: nil)
        defer {
            for index in strings.indices { free(pointers[index]) }
            pointers.deallocate()
        }
        return body(pointers)
    }
}

/// Both pipes to a program. -1 stands for closed.
private struct Pipes {
    var inputRead: Int32 = -1
    var inputWrite: Int32 = -1
    var errorRead: Int32 = -1
    var errorWrite: Int32 = -1

    /// errno, or nil when all is well.
    mutating func open() -> Int32? {
        guard let pipe2 = GNUFunctions.pipe2 else { return ENOSYS }
        var ends: [Int32] = [-1, -1]
        guard pipe2(&ends, O_CLOEXEC) == 0 else { return errno }
        (inputRead, inputWrite) = (ends[0], ends[1])
        guard pipe2(&ends, O_CLOEXEC) == 0 else {
            let code = errno
            close()
            return code
        }
        (errorRead, errorWrite) = (ends[0], ends[1])
        // Only our ends: the program's should behave like any pipe.
        for end in [inputWrite, errorRead] { fcntlSetNonblocking(end) }
        return nil
    }

    private func fcntlSetNonblocking(_ descriptor: Int32) {
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
    }

    mutating func closeChildEnds() {
        Self.close(&inputRead)
        Self.close(&errorWrite)
    }

    mutating func closeInput() { Self.close(&inputWrite) }
    mutating func closeError() { Self.close(&errorRead) }

    mutating func close() {
        closeChildEnds()
        closeInput()
        closeError()
    }

    private static func close(_ descriptor: inout Int32) {
        if descriptor >= 0 { Glibc.close(descriptor) }
        descriptor = -1
    }
}

/// Moves octets until the program has ended.
private struct Loop {
    private enum Phase {
        case running
        /// SIGTERM is sent; SIGKILL follows at the deadline.
        case ending(ProgramEnd)
        case killed(ProgramEnd)
    }

    private let process: pid_t
    private let input: [UInt8]
    private var written = 0
    private var deadline: ContinuousClock.Instant
    private var phase = Phase.running
    /// Readable when the program has ended; -1 where the C library is too old for it.
    private let processDescriptor: Int32
    private(set) var standardError: [UInt8] = []

    init(process: pid_t, input: [UInt8], deadline: ContinuousClock.Instant) {
        self.process = process
        self.input = input
        self.deadline = deadline
        processDescriptor = GNUFunctions.openProcess?(process, 0) ?? -1
    }

    /// Milliseconds of the first, second, … wait in which nothing happened. Without a process descriptor nothing
    /// wakes us when a program ends whose children keep its pipes open, so it begins with short ones.
    private static let shortNaps: [Int32] = [1, 1, 2, 4, 8, 16, 32]
    /// How long an interruption or the deadline may go unnoticed.
    private static let longNap: Int32 = 50

    mutating func run(_ pipes: inout Pipes, _ interruption: Interruption) -> ProgramEnd {
        defer { if processDescriptor >= 0 { close(processDescriptor) } }
        var quietRounds = 0
        while true {
            let nap = processDescriptor >= 0 ? Self.longNap : Self.shortNaps[min(quietRounds, Self.shortNaps.count - 1)]
            let isBusy = move(&pipes, waitingFor: nap)
            quietRounds = isBusy ? 0 : quietRounds + 1
            if hasEnded() {
                readError(&pipes)
                return reap()
            }
            enforceTime(interruption)
        }
    }

    /// One round of poll; true if any octet moved.
    private mutating func move(_ pipes: inout Pipes, waitingFor milliseconds: Int32) -> Bool {
        // Negative descriptors are ignored by poll, which then just sleeps.
        var events = [
            pollfd(fd: pipes.errorRead, events: Int16(POLLIN), revents: 0),
            pollfd(fd: pipes.inputWrite, events: Int16(POLLOUT), revents: 0),
            pollfd(fd: processDescriptor, events: Int16(POLLIN), revents: 0),
        ]
        guard poll(&events, nfds_t(events.count), milliseconds) > 0 else { return false }
        var isBusy = false
        if events[0].revents != 0 { isBusy = readError(&pipes) }
        if events[1].revents != 0 { isBusy = writeInput(&pipes) || isBusy }
        return isBusy
    }

    @discardableResult
    private mutating func readError(_ pipes: inout Pipes) -> Bool {
        guard pipes.errorRead >= 0 else { return false }
        var buffer = [UInt8](repeating: 0, count: 8192)
        // At most so many rounds: a leftover child may write for ever.
        for round in 0..<16 {
            let count = read(pipes.errorRead, &buffer, buffer.count)
            if count < 0 { return round > 0 }
            if count == 0 {
                pipes.closeError()
                return true
            }
            standardError.append(contentsOf: buffer[..<count])
            if standardError.count > ChildProcess.errorLimit {
                standardError.removeFirst(standardError.count - ChildProcess.errorLimit)
            }
        }
        return true
    }

    private mutating func writeInput(_ pipes: inout Pipes) -> Bool {
        let count = input.withUnsafeBytes { write(pipes.inputWrite, $0.baseAddress?.advanced(by: written), $0.count - written) }
        if count > 0 { written += count }
        // EPIPE: a program need not read all, or anything. Its exit status is what counts.
        let isOver = written == input.count || (count < 0 && errno != EAGAIN && errno != EINTR)
        if isOver { pipes.closeInput() }
        return count > 0 || isOver
    }

    /// Looks without taking the status, so that the process id (and so the group) still is the program's.
    private func hasEnded() -> Bool {
        var information = siginfo_t()
        let result = waitid(P_PID, id_t(process), &information, WEXITED | WNOHANG | WNOWAIT)
        return result != 0 ? errno != EINTR : information.si_signo != 0
    }

    private mutating func enforceTime(_ interruption: Interruption) {
        switch phase {
        case .running:
            let isLate = ContinuousClock.now >= deadline
            guard isLate || interruption.isRequested else { return }
            kill(-process, SIGTERM)
            phase = .ending(isLate ? .timedOut : .interrupted)
            deadline = ContinuousClock.now + ChildProcess.killGrace
        case .ending(let end):
            guard ContinuousClock.now >= deadline else { return }
            kill(-process, SIGKILL)
            phase = .killed(end)
        case .killed:
            return
        }
    }

    private func reap() -> ProgramEnd {
        // Children that outlive a program we had to end go with it; those of a program that ended by itself may stay.
        if case .running = phase {} else { kill(-process, SIGKILL) }
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0 {
            // Somebody else took the status: how it ended is unknown, and unknown is no success.
            if errno != EINTR { return .notStarted(errno) }
        }
        return switch phase {
        case .running: ProgramEnd(waitStatus: status)
        case .ending(let end), .killed(let end): end
        }
    }
}
