// swift-tools-version: 6.2
import PackageDescription

/// Every target: Swift 6 language mode, and imports that leak into the interface are visible as `public import`.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

let package = Package(
    name: "mailhookd",
    products: [
        .executable(name: "mailhookd", targets: ["MailHookd"]),
        .executable(name: "mailhookd-bench", targets: ["MailHookdBench"]),
        .library(name: "MIMEParser", targets: ["MIMEParser"]),
        .library(name: "JSONLD", targets: ["JSONLD"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser.git", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-crypto.git", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-http-types.git", from: "1.8.0", traits: []),
        .package(url: "https://github.com/apple/swift-log.git", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio.git", from: "2.101.2"),
        // Without its default traits, which need full Foundation.
        .package(url: "https://github.com/hummingbird-project/hummingbird.git", from: "2.28.1", traits: []),
        .package(url: "https://github.com/apple/swift-nio-extras.git", from: "1.35.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl.git", from: "2.37.6"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle.git", from: "2.13.0"),
    ],
    targets: [
        // Leaves: bytes in, values out. No Foundation, NIO, clock, randomness, log, files or network.
        .target(name: "MIMEParser", swiftSettings: strict),
        .target(name: "HTMLScripts", swiftSettings: strict),
        .target(name: "JSONLD", swiftSettings: strict),
        .target(name: "JSONSchema", dependencies: ["HookModel", "JSONLD"], swiftSettings: strict),
        .target(name: "SMTPProtocol", dependencies: ["HookModel"], swiftSettings: strict),
        .target(name: "HookModel", swiftSettings: strict),

        // C libraries, as thin as they come.
        .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
        .systemLibrary(name: "CYAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),

        // Middle: one heavy dependency each.
        .target(
            name: "HookExtraction",
            dependencies: [
                "CZlib", "HookModel", "HTMLScripts", "JSONLD", "JSONSchema", "MIMEParser",
                .product(name: "Crypto", package: "swift-crypto"),
            ],
            swiftSettings: strict),
        .target(name: "HookStore", dependencies: ["CSQLite", "CZlib", "HookModel"], swiftSettings: strict),
        .target(
            name: "HookDelivery",
            dependencies: [
                "HookModel", "JSONLD",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: strict),
        .target(
            name: "HookTLS",
            dependencies: [
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ],
            swiftSettings: strict),
        .target(
            name: "HookIntake",
            dependencies: [
                "HookModel", "HookTLS", "SMTPProtocol",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOTLS", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: strict),
        .target(
            name: "HookWeb",
            dependencies: [
                "HookModel", "HookTLS", "JSONLD",
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOExtras", package: "swift-nio-extras"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: strict),

        // Top: wiring and the executable.
        .target(
            name: "MailHookKit",
            dependencies: [
                "CYAML", "HookDelivery", "HookExtraction", "HookIntake", "HookModel", "HookStore", "HookTLS", "HookWeb", "HTMLScripts",
                "JSONLD", "JSONSchema", "MIMEParser",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            resources: [.embedInCode("Configuration/mailhookd.yaml")],
            swiftSettings: strict),
        .executableTarget(
            name: "MailHookd",
            dependencies: [
                "HookExtraction", "HookModel", "HookWeb", "JSONLD", "MailHookKit", "MIMEParser",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strict,
            // Nobody looks up symbols of the program; a tenth of it would be their names, and keep unused code alive.
            linkerSettings: [.unsafeFlags(["-Xlinker", "--no-export-dynamic"], .when(platforms: [.linux], configuration: .release))]),

        .executableTarget(
            name: "MailHookdBench", dependencies: ["HTMLScripts", "HookExtraction", "JSONLD", "MIMEParser"],
            swiftSettings: strict),

        // Tests. TestSupport holds what several of them need.
        .target(name: "TestSupport", path: "Tests/TestSupport", swiftSettings: strict),
        .testTarget(name: "TidyTests", dependencies: ["TestSupport"], swiftSettings: strict),
        .testTarget(name: "HookModelTests", dependencies: ["HookModel", "TestSupport"], swiftSettings: strict),
        .testTarget(name: "MIMEParserTests", dependencies: ["MIMEParser", "TestSupport"], swiftSettings: strict),
        .testTarget(name: "HTMLScriptsTests", dependencies: ["HTMLScripts", "TestSupport"], swiftSettings: strict),
        .testTarget(name: "JSONLDTests", dependencies: ["HTMLScripts", "JSONLD", "TestSupport"], swiftSettings: strict),
        .testTarget(name: "JSONSchemaTests", dependencies: ["JSONLD", "JSONSchema", "TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "SMTPProtocolTests", dependencies: ["HookModel", "SMTPProtocol", "TestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "HookExtractionTests",
            dependencies: [
                "CZlib", "HookExtraction", "HookModel", "JSONLD", "MIMEParser", "TestSupport",
                .product(name: "Crypto", package: "swift-crypto"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "HookStoreTests", dependencies: ["CSQLite", "HookModel", "HookStore", "TestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "HookTLSTests",
            dependencies: [
                "HookTLS", "TestSupport", .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "HookIntakeTests",
            dependencies: [
                "HookIntake", "HookModel", "TestSupport", .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "HookDeliveryTests",
            dependencies: [
                "HookDelivery", "HookModel", "HookStore", "JSONLD", "TestSupport", .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"), .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "HookWebTests",
            dependencies: [
                "HookModel", "HookWeb", "JSONLD", "TestSupport", .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Logging", package: "swift-log"), .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "MailHookKitTests",
            dependencies: [
                "HookDelivery", "HookExtraction", "HookIntake", "HookModel", "HookStore", "HookTLS", "HookWeb", "JSONLD",
                "JSONSchema", "MailHookKit", "MIMEParser", "TestSupport",
            ], swiftSettings: strict),
        // The functions the fuzzers of Tests/Fuzz run, and the inputs that once failed.
        .target(
            name: "FuzzTargets", dependencies: ["HTMLScripts", "HookExtraction", "HookModel", "JSONLD", "MIMEParser", "SMTPProtocol"],
            path: "Tests/Fuzz/Sources/FuzzTargets", swiftSettings: strict),
        .testTarget(name: "FuzzReplayTests", dependencies: ["FuzzTargets", "TestSupport"], swiftSettings: strict),
        // From outside: the real binary, real clients, loopback only. Depends on the executable so that it is built.
        .testTarget(
            name: "EndToEndTests", dependencies: ["HookModel", "MailHookd", "TestSupport"],
            exclude: ["Support/activate.py", "Support/misbehaving.py", "Support/receiver.py", "Support/resolving.py", "Support/tlsclient.py"],
            swiftSettings: strict),
    ]
)
