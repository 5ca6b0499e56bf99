// swift-tools-version: 6.2

import PackageDescription

/// Every target of ours is built with the same strict settings; none of them needs an unsafe flag,
/// so a package that depends on this one can be depended on in turn.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

let package = Package(
    name: "headstream",
    platforms: [.macOS(.v15), .iOS(.v18)],
    products: [
        .library(name: "Headstream", targets: ["Headstream"]),
        .library(name: "HeadstreamTesting", targets: ["HeadstreamTesting"]),
        .library(name: "EthereumTypes", targets: ["EthereumTypes"]),
        .executable(name: "headstream", targets: ["HeadstreamCLI"]),
        .executable(name: "HeadstreamBench", targets: ["HeadstreamBench"]),
    ],
    targets: [
        // C: header-only byte work, what of Linux the Glibc module lacks, and the system libraries.
        .target(name: "CHeadstreamBytes"),
        .target(name: "CHeadstreamLinux"),
        .systemLibrary(
            name: "CHeadstreamOpenSSL",
            pkgConfig: "openssl",
            providers: [.apt(["libssl-dev", "pkg-config"]), .brew(["openssl@3"])]
        ),
        .systemLibrary(
            name: "CHeadstreamZlib",
            pkgConfig: "zlib",
            providers: [.apt(["zlib1g-dev", "pkg-config"]), .brew(["zlib"])]
        ),

        // The core, bottom up. What each may import is the table in Docs/Architecture.md.
        .target(name: "HeadstreamLocks", swiftSettings: strict),
        .target(name: "HeadstreamJSON", dependencies: ["CHeadstreamBytes"], swiftSettings: strict),
        .target(name: "EthereumTypes", dependencies: ["HeadstreamJSON", "CHeadstreamBytes"], swiftSettings: strict),
        .target(
            name: "HeadstreamRPC",
            dependencies: ["CHeadstreamBytes", "HeadstreamJSON", "HeadstreamLocks"],
            swiftSettings: strict
        ),
        .target(
            name: "HeadstreamWebSocket",
            dependencies: ["CHeadstreamBytes", "CHeadstreamOpenSSL", "CHeadstreamZlib"],
            swiftSettings: strict
        ),
        .target(
            name: "HeadstreamSockets",
            dependencies: [
                "HeadstreamLocks", "CHeadstreamOpenSSL",
                .target(name: "CHeadstreamLinux", condition: .when(platforms: [.linux])),
            ],
            swiftSettings: strict
        ),

        // What users import.
        .target(
            name: "Headstream",
            dependencies: [
                "EthereumTypes", "HeadstreamJSON", "HeadstreamLocks", "HeadstreamRPC", "HeadstreamSockets",
                "HeadstreamWebSocket",
            ],
            swiftSettings: strict
        ),
        .target(
            name: "HeadstreamTesting",
            dependencies: [
                "CHeadstreamOpenSSL", "Headstream", "EthereumTypes", "HeadstreamJSON", "HeadstreamLocks",
                "HeadstreamRPC",
                "HeadstreamSockets", "HeadstreamWebSocket",
            ],
            swiftSettings: strict
        ),

        // Programs.
        .executableTarget(
            name: "HeadstreamCLI",
            dependencies: [
                "Headstream", "HeadstreamJSON", "HeadstreamLocks", "HeadstreamSockets", "HeadstreamTesting",
            ],
            swiftSettings: strict
        ),
        .executableTarget(
            name: "HeadstreamBench",
            dependencies: ["Headstream"],
            swiftSettings: strict
        ),

        // What conformance and idle tests need as a process of its own; no product.
        .executableTarget(
            name: "HeadstreamConformance",
            dependencies: [
                "EthereumTypes", "Headstream", "HeadstreamJSON", "HeadstreamSockets", "HeadstreamTesting",
                "HeadstreamWebSocket",
            ],
            path: "Tests/Conformance",
            swiftSettings: strict
        ),

        // Tests.
        .testTarget(name: "HeadstreamJSONTests", dependencies: ["HeadstreamJSON"], swiftSettings: strict),
        .testTarget(
            name: "EthereumTypesTests",
            dependencies: ["EthereumTypes", "HeadstreamJSON", "CHeadstreamOpenSSL"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "HeadstreamRPCTests",
            dependencies: ["HeadstreamRPC", "HeadstreamJSON"],
            swiftSettings: strict
        ),
        .testTarget(name: "HeadstreamWebSocketTests", dependencies: ["HeadstreamWebSocket"], swiftSettings: strict),
        .testTarget(
            name: "HeadstreamSocketsTests",
            dependencies: ["HeadstreamSockets", "HeadstreamLocks", "HeadstreamTesting", "CHeadstreamOpenSSL"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "HeadstreamTests",
            dependencies: [
                "Headstream", "HeadstreamTesting", "EthereumTypes", "HeadstreamJSON", "HeadstreamLocks",
                "HeadstreamRPC", "HeadstreamSockets", "HeadstreamWebSocket",
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "HeadstreamTestingTests",
            dependencies: [
                "HeadstreamTesting", "Headstream", "HeadstreamSockets", "HeadstreamJSON", "HeadstreamLocks",
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "HeadstreamCLITests",
            dependencies: ["HeadstreamCLI", "HeadstreamTesting", "Headstream"],
            swiftSettings: strict
        ),
    ]
)

// Fuzz targets have libFuzzer's main, which only `--sanitize fuzzer` links: declared on request (`make fuzz`).
if Context.environment["HEADSTREAM_FUZZ"] != nil {
    package.targets.append(
        .executableTarget(
            name: "HeadstreamFuzz",
            dependencies: [
                "EthereumTypes", "HeadstreamJSON", "HeadstreamRPC", "HeadstreamTesting", "HeadstreamWebSocket",
            ],
            path: "Tests/Fuzz/Sources",
            swiftSettings: strict
        )
    )
}
