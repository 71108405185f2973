// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Versions of app definitions (Semantic Versioning 2.0.0), and the ranges in which one app names
// the versions of another that it needs.

/// A version such as `1.4.0-beta.2+build7`.
public struct SemanticVersion: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// Digits without leading zeros; longer ones are greater. No version number is refused for its size.
    let numbers: [String]
    let prerelease: [String]
    /// As written.
    public let description: String

    /// nil for anything else.
    public init?(_ text: String) {
        let build = text.split(separator: "+", maxSplits: 1, omittingEmptySubsequences: false)
        let core = build[0].split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        let numbers = core[0].split(separator: ".", omittingEmptySubsequences: false)
        let prerelease = core.count == 1 ? [] : Self.identifiers(core[1])
        guard text.utf8.count <= 128, numbers.count == 3, numbers.allSatisfy(Self.isNumber),
            prerelease.allSatisfy({ Self.isIdentifier($0) && (!Self.isDigits($0) || Self.isNumber($0)) }),
            build.count == 1 || Self.identifiers(build[1]).allSatisfy(Self.isIdentifier)
        else { return nil }
        self.numbers = numbers.map(String.init)
        self.prerelease = prerelease.map(String.init)
        description = text
    }

    var major: String { numbers[0] }

    /// Section 11: build metadata does not count.
    public static func < (a: SemanticVersion, b: SemanticVersion) -> Bool {
        for (x, y) in zip(a.numbers, b.numbers) where x != y { return isLess(number: x, y) }
        if a.prerelease.isEmpty || b.prerelease.isEmpty { return !a.prerelease.isEmpty && b.prerelease.isEmpty }
        for (x, y) in zip(a.prerelease, b.prerelease) where x != y {
            switch (isDigits(x[...]), isDigits(y[...])) {
            case (true, true): return isLess(number: x, y)
            case (true, false): return true
            case (false, true): return false
            case (false, false): return x.utf8.lexicographicallyPrecedes(y.utf8)
            }
        }
        return a.prerelease.count < b.prerelease.count
    }

    /// Of the same precedence; `==` tells build metadata apart as well.
    func isSamePrecedence(as other: SemanticVersion) -> Bool { !(self < other) && !(other < self) }

    private static func isLess(number x: String, _ y: String) -> Bool {
        x.utf8.count != y.utf8.count ? x.utf8.count < y.utf8.count : x < y
    }

    private static func identifiers(_ text: Substring) -> [Substring] {
        text.split(separator: ".", omittingEmptySubsequences: false)
    }

    private static func isDigits(_ text: Substring) -> Bool { text.utf8.allSatisfy { (48...57).contains($0) } }

    /// Without leading zeros.
    private static func isNumber(_ text: Substring) -> Bool {
        !text.isEmpty && isDigits(text) && (text.count == 1 || text.first != "0")
    }

    private static func isIdentifier(_ text: Substring) -> Bool {
        !text.isEmpty && text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") }
    }
}

/// An entry of `dependencies`: `orders_core-^2.1.0`.
public struct AppDependency: Sendable, Hashable {
    public var app: String
    /// As written.
    public var range: String
    private let lowest: SemanticVersion
    private let kind: Kind

    private enum Kind {
        /// Up to the next version whose leftmost number that is not 0 is greater.
        case caret
        /// Up to the next minor version.
        case tilde
        case orLater
        case exactly
    }

    /// nil where the text is no dependency, or its range is of a kind that is not known here.
    init?(_ text: String) {
        // An app's name holds no dash.
        guard let dash = text.firstIndex(of: "-"), dash != text.startIndex else { return nil }
        let range = String(text[text.index(after: dash)...])
        let kinds: [(String, Kind)] = [("^", .caret), ("~", .tilde), (">=", .orLater), ("=", .exactly), ("", .exactly)]
        guard let (mark, kind) = kinds.first(where: { range.hasPrefix($0.0) }),
            let lowest = SemanticVersion(String(range.dropFirst(mark.count)))
        else { return nil }
        app = String(text[..<dash])
        self.range = range
        self.kind = kind
        self.lowest = lowest
    }

    func admits(_ version: SemanticVersion) -> Bool {
        guard !(version < lowest) else { return false }
        switch kind {
        case .orLater: return true
        case .exactly: return version.isSamePrecedence(as: lowest)
        case .tilde: return version.numbers.prefix(2) == lowest.numbers.prefix(2)
        case .caret:
            let fixed = (lowest.numbers.firstIndex { $0 != "0" } ?? 2) + 1
            return version.numbers.prefix(fixed) == lowest.numbers.prefix(fixed)
        }
    }
}
