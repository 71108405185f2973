// swift-tools-version: 6.2
// Benchmarks of the leaves, apart from the main package so that ordinary builds do not build them. Sources holds links into
// the main package.
//
//   cd Tests/Benchmarks && swift package --disable-sandbox benchmark
import PackageDescription

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6), .enableUpcomingFeature("ExistentialAny"), .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

let package = Package(
    name: "benchmarks",
    dependencies: [.package(url: "https://github.com/ordo-one/benchmark.git", from: "1.38.1", traits: [])],
    targets: [
        .target(name: "MIMEParser", swiftSettings: strict),
        .target(name: "HTMLScripts", swiftSettings: strict),
        .target(name: "JSONLD", swiftSettings: strict),
        .target(name: "JSONSchema", dependencies: ["HookModel", "JSONLD"], swiftSettings: strict),
        .target(name: "HookModel", swiftSettings: strict),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .target(
            name: "HookExtraction",
            dependencies: ["CZlib", "HTMLScripts", "HookModel", "JSONLD", "JSONSchema", "MIMEParser"],
            exclude: [
                "CloudEvent.swift", "ContentDigest.swift", "EventIdentity.swift", "MessageProcessor.swift", "PostProcessor.swift",
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "Leaves",
            dependencies: [
                "HTMLScripts", "HookExtraction", "JSONLD", "MIMEParser",
                .product(name: "Benchmark", package: "benchmark"),
            ],
            path: "Benchmarks/Leaves", swiftSettings: [.swiftLanguageMode(.v6)],
            plugins: [.plugin(name: "BenchmarkPlugin", package: "benchmark")]),
    ]
)
