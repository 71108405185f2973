// Part of mailhookd. SPDX-License-Identifier: Apache-2.0
//
// Finds the public conformance suites. They are read where they are and never copied.
// Where they are absent, tests are skipped with the message this file makes.

public import Foundation
public import Testing

public enum Conformance {
    /// `MAILHOOKD_CONFORMANCE`, else `../shared/conformance` seen from the package.
    public static let root: URL? = {
        let environment = ProcessInfo.processInfo.environment["MAILHOOKD_CONFORMANCE"]
        let folder =
            environment.map { URL(fileURLWithPath: $0, isDirectory: true) }
            ?? packageRoot.deletingLastPathComponent().appendingPathComponent("shared/conformance", isDirectory: true)
        return isDirectory(folder) ? folder : nil
    }()

    /// The folder with `Package.swift`.
    public static let packageRoot = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// The folder of a suite, or nil where it is absent.
    public static func suite(_ name: String) -> URL? {
        guard let folder = root?.appendingPathComponent(name, isDirectory: true), isDirectory(folder) else { return nil }
        return folder
    }

    /// The bytes of a file of a suite. Call it only in tests marked with `conformance(_:)`.
    public static func bytes(_ suiteName: String, _ path: String) throws -> [UInt8] {
        let folder = try #require(suite(suiteName))
        return try [UInt8](Data(contentsOf: folder.appendingPathComponent(path)))
    }

    /// Regular files below `path` of a suite whose name has one of `extensions` (all where empty), sorted, as paths
    /// relative to `path`; empty where the suite is absent, so that it can feed `@Test(arguments:)`.
    public static func files(_ suiteName: String, _ path: String = "", extensions: Set<String> = []) -> [String] {
        guard let folder = suite(suiteName)?.appendingPathComponent(path, isDirectory: true),
            let walk = FileManager.default.enumerator(atPath: folder.path)
        else { return [] }
        return walk.compactMap { $0 as? String }
            .filter { extensions.isEmpty || extensions.contains(($0 as NSString).pathExtension.lowercased()) }
            .filter { !isDirectory(folder.appendingPathComponent($0)) }
            .sorted()
    }

    private static func isDirectory(_ url: URL) -> Bool {
        var isDirectory: ObjCBool = false
        return FileManager.default.fileExists(atPath: url.path, isDirectory: &isDirectory) && isDirectory.boolValue
    }
}

extension Trait where Self == ConditionTrait {
    /// Skips a test, visibly, where the suite is absent.
    public static func conformance(_ name: String) -> Self {
        .enabled(
            if: Conformance.suite(name) != nil,
            "skipped: conformance suite \(name) not found; set MAILHOOKD_CONFORMANCE")
    }
}
