// swift-tools-version: 6.2
// Fuzzers of the leaves, apart from the main package so that ordinary builds know nothing of them. Built by
// scripts/fuzz with libFuzzer and address sanitizer; Sources holds links into the main package.
import PackageDescription

let fuzzed: [SwiftSetting] = [
    .swiftLanguageMode(.v6), .enableUpcomingFeature("ExistentialAny"), .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"), .unsafeFlags(["-sanitize=fuzzer,address", "-parse-as-library"]),
]

let package = Package(
    name: "fuzz",
    targets: [
        .target(name: "MIMEParser", swiftSettings: fuzzed),
        .target(name: "HTMLScripts", swiftSettings: fuzzed),
        .target(name: "JSONLD", swiftSettings: fuzzed),
        .target(name: "JSONSchema", dependencies: ["HookModel", "JSONLD"], swiftSettings: fuzzed),
        .target(name: "HookModel", swiftSettings: fuzzed),
        .target(name: "SMTPProtocol", dependencies: ["HookModel"], swiftSettings: fuzzed),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        // Without what needs a library for digests.
        .target(
            name: "HookExtraction", dependencies: ["CZlib", "HTMLScripts", "HookModel", "JSONLD", "JSONSchema", "MIMEParser"],
            exclude: [
                "CloudEvent.swift", "ContentDigest.swift", "EventIdentity.swift", "MessageProcessor.swift", "PostProcessor.swift",
            ],
            swiftSettings: fuzzed),
        .target(
            name: "FuzzTargets", dependencies: ["HTMLScripts", "HookExtraction", "HookModel", "JSONLD", "MIMEParser", "SMTPProtocol"],
            swiftSettings: fuzzed),
        .target(name: "CFuzz"),
        .executableTarget(
            name: "Fuzz", dependencies: ["CFuzz", "FuzzTargets"],
            swiftSettings: [.swiftLanguageMode(.v6), .unsafeFlags(["-sanitize=address"])],
            linkerSettings: [.unsafeFlags(["-sanitize=fuzzer,address"])]),
    ]
)
