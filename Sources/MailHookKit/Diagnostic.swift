// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// What is wrong with a file an administrator wrote: where, why, and what to do about it.

/// One finding about a configuration file or an app definition.
public struct Diagnostic: Sendable, Hashable, CustomStringConvertible {
    public enum Severity: String, Sendable, Hashable {
        /// Nothing is wrong; something is worth knowing.
        case note
        case warning
        case error
    }

    public var severity: Severity
    public var file: String
    /// Line and column, both from 1; nil where the finding is about the file as a whole.
    public var position: Position?
    /// The place inside the document, for example `hooks[2].eventName`; empty for the whole of it.
    public var place: String
    public var reason: String
    public var hint: String?
    /// About a file that only the daemon has to be able to read: a key or a secret.
    var isAboutSecret = false

    public struct Position: Sendable, Hashable {
        public var line: Int
        public var column: Int

        public init(line: Int, column: Int) {
            self.line = line
            self.column = column
        }
    }

    public init(
        _ severity: Severity, file: String, position: Position? = nil, place: String = "", reason: String,
        hint: String? = nil
    ) {
        self.severity = severity
        self.file = file
        self.position = position
        self.place = place
        self.reason = reason
        self.hint = hint
    }

    /// One line in the form compilers use, so that editors can jump to it.
    public var description: String {
        let where_ = position.map { "\(file):\($0.line):\($0.column)" } ?? file
        let what = place.isEmpty ? reason : "\(place): \(reason)"
        return "\(where_): \(severity.rawValue): \(what)" + (hint.map { " (\($0))" } ?? "")
    }
}

/// Findings as they are collected; a file is read to its end so that all of them are told at once.
public struct Diagnostics: Sendable {
    public private(set) var all: [Diagnostic] = []

    public init() {}

    public var hasErrors: Bool { all.contains { $0.severity == .error } }

    public mutating func add(_ diagnostic: Diagnostic) { all.append(diagnostic) }
    public mutating func add(contentsOf other: Diagnostics) { all += other.all }

    /// Keys and secrets that cannot be read become something worth knowing.
    mutating func excuseSecrets() {
        for index in all.indices where all[index].isAboutSecret { all[index].severity = .warning }
    }
}

/// The hint after a mistyped word: the known one nearest to it, at most two edits away or a third of the word. Of those
/// that are equally near it is the first in the alphabet, so that every run says the same.
func suggestion(for word: String, among known: some Collection<String>) -> String? {
    let bound = max(2, word.count / 3)
    return known.sorted().map { (word: $0, distance: editDistance(word.lowercased(), $0.lowercased())) }
        .filter { $0.distance <= bound }
        .min { $0.distance < $1.distance }
        .map { "did you mean '\($0.word)'?" }
}

/// Levenshtein distance with one row of memory.
private func editDistance(_ a: String, _ b: String) -> Int {
    let b = Array(b)
    var row = Array(0...b.count)
    for (i, x) in a.enumerated() {
        var diagonal = row[0]
        row[0] = i + 1
        for (j, y) in b.enumerated() {
            let substitution = diagonal + (x == y ? 0 : 1)
            diagonal = row[j + 1]
            row[j + 1] = min(substitution, row[j] + 1, diagonal + 1)
        }
    }
    return row[b.count]
}
