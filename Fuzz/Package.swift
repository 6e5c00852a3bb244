// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0

import PackageDescription

// Coverage-guided fuzzers of what reads other people's bytes; `../scripts/fuzz` builds and runs them. A
// package of its own, for its modules are instrumented. `Sources`, `Tests` and the files in `Decoders`
// are links to the product's.

let instrumented: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .unsafeFlags(["-sanitize=fuzzer", "-parse-as-library", "-enable-testing"]),
]

/// A target of the product, or of one with heavy dependencies what decodes in it.
func decoders(
    _ name: String, _ dependencies: [Target.Dependency] = [], isWhole: Bool = false
) -> Target {
    .target(
        name: name, dependencies: dependencies,
        path: isWhole ? "Sources/\(name)" : "Decoders/\(name)", swiftSettings: instrumented)
}

let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let collections: Target.Dependency = .product(name: "Collections", package: "swift-collections")
let yams: Target.Dependency = .product(name: "Yams", package: "Yams")

let package = Package(
    name: "weft-fuzz",
    dependencies: [
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ],
    targets: [
        decoders("MeshModel", isWhole: true),
        decoders("MeshPolicy", ["MeshModel", collections], isWhole: true),
        decoders("MeshReplication", ["MeshModel", collections, crypto], isWhole: true),
        decoders("MeshReachability", ["MeshModel", collections], isWhole: true),
        decoders("MeshMembership", ["MeshModel", collections], isWhole: true),
        decoders("MeshCNI", ["MeshModel"], isWhole: true),
        decoders("MeshLease"),
        decoders("MeshKubernetes", ["MeshModel", "MeshPolicy", yams]),
        decoders("MeshTransport", ["MeshModel", crypto]),
        decoders("MeshAgent", ["MeshModel", "MeshReachability"]),

        // What must hold of whatever those are given, shared with the test that runs the corpora.
        .target(
            name: "FuzzTargets",
            dependencies: [
                "MeshModel", "MeshPolicy", "MeshReplication", "MeshReachability", "MeshMembership",
                "MeshLease", "MeshKubernetes", "MeshTransport", "MeshAgent", "MeshCNI", crypto,
            ], path: "Tests/CorpusTests/Targets", swiftSettings: instrumented),

        .systemLibrary(name: "CLibFuzzer", path: "CLibFuzzer"),
        .executableTarget(
            name: "weft-fuzz", dependencies: ["CLibFuzzer", "FuzzTargets"], path: "Driver",
            swiftSettings: instrumented,
            linkerSettings: [.unsafeFlags(["-sanitize=fuzzer", "-use-ld=lld"])]),
    ]
)
