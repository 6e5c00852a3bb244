// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0

import PackageDescription

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .treatAllWarnings(as: .error),
]

/// A target of the product. The list below reads bottom-up: a target imports only what stands above it.
func layer(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

/// Optimising a test that only asks and compares takes longer than the test: such targets are compiled as they
/// stand. `computes` marks those whose own loops (simulations, brute-force oracles) would take minutes that way.
func tests(_ name: String, _ dependencies: [Target.Dependency], computes: Bool = false) -> Target {
    .testTarget(
        name: name, dependencies: dependencies,
        swiftSettings: computes ? strict : strict + [.unsafeFlags(["-Onone"])])
}

let nio: [Target.Dependency] = [
    .product(name: "NIOCore", package: "swift-nio"),
    .product(name: "NIOPosix", package: "swift-nio"),
]
let log: Target.Dependency = .product(name: "Logging", package: "swift-log")
let lifecycle: Target.Dependency = .product(
    name: "ServiceLifecycle", package: "swift-service-lifecycle")
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let x509: [Target.Dependency] = [
    .product(name: "X509", package: "swift-certificates"),
    .product(name: "SwiftASN1", package: "swift-asn1"),
]
let collections: Target.Dependency = .product(name: "Collections", package: "swift-collections")
let system: Target.Dependency = .product(name: "SystemPackage", package: "swift-system")
let grpc: [Target.Dependency] = [
    .product(name: "GRPCCore", package: "grpc-swift-2"),
    .product(name: "GRPCNIOTransportHTTP2Posix", package: "grpc-swift-nio-transport"),
    .product(name: "GRPCProtobuf", package: "grpc-swift-protobuf"),
    .product(name: "SwiftProtobuf", package: "swift-protobuf"),
]
let arguments: Target.Dependency = .product(
    name: "ArgumentParser", package: "swift-argument-parser")

let package = Package(
    name: "weft",
    products: [.executable(name: "weft", targets: ["weft"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.4"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/grpc/grpc-swift-2", from: "2.4.3"),
        .package(url: "https://github.com/grpc/grpc-swift-nio-transport", from: "2.9.2"),
        .package(url: "https://github.com/grpc/grpc-swift-protobuf", from: "2.4.1"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0", traits: []),
    ],
    targets: [
        // Structures shared by the kernel programs and the agent, and the embedded BPF object.
        .target(name: "CMeshABI", path: "bpf/abi"),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CLibBPF", pkgConfig: "libbpf", providers: [.apt(["libbpf-dev"])]),

        // Kernel plumbing without project nouns.
        layer("BPF", ["CLibBPF", system]),
        layer("Netlink", [system]),

        // Value types, what policies say to whom, and tables.
        layer("MeshModel"),
        layer("MeshPolicy", ["MeshModel", collections]),
        layer("MeshStore", ["MeshModel", "MeshPolicy", collections]),
        layer("MeshReconciler", ["MeshModel", "MeshStore"]),

        // Protocol cores: time, randomness and bytes in, effects out.
        layer("MeshReachability", ["MeshModel", collections]),
        layer("MeshMembership", ["MeshModel", collections]),
        layer("MeshReplication", ["MeshModel", collections, crypto]),
        layer("MeshTrust", ["MeshModel", crypto] + x509),
        layer("MeshLease", ["MeshModel"]),

        // Inputs and outputs.
        .target(
            name: "MeshEtcd", dependencies: ["MeshModel", "MeshLease", log] + grpc,
            exclude: ["Protos/etcd.proto", "Protos/README.md"], swiftSettings: strict),
        layer("MeshJournal", ["MeshModel", .product(name: "GRDB", package: "GRDB.swift")]),
        layer(
            "MeshKubernetes",
            [
                "MeshModel", "MeshStore", "MeshPolicy", "MeshLease", log,
                .product(name: "Yams", package: "Yams"),
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "NIOHTTPCompression", package: "swift-nio-extras"),
            ] + nio),
        layer("MeshDatapath", ["MeshModel", "MeshStore", "MeshReconciler", "BPF", "CMeshABI"]),
        layer("MeshEndpoints", ["MeshModel", "Netlink"]),
        // What container runtimes say and want to hear; no sockets.
        layer("MeshCNI", ["MeshModel"]),
        layer(
            "MeshTransport",
            ["MeshModel", "MeshTrust", log, crypto, lifecycle]
                + nio + x509 + [.product(name: "NIOSSL", package: "swift-nio-ssl")]),
        // The page's files, embedded.
        .target(name: "CMeshPage", exclude: ["web"]),
        layer(
            "MeshAdmin",
            [
                "MeshModel", "CMeshPage", log, lifecycle,
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
            ] + nio),

        // Composition.
        layer(
            "MeshAgent",
            [
                "MeshModel", "MeshStore", "MeshReconciler", "MeshReachability",
                "MeshMembership", "MeshReplication", "MeshTrust", "MeshPolicy", "MeshKubernetes",
                "MeshDatapath",
                "MeshEndpoints", "MeshTransport", "MeshAdmin", "MeshLease", "MeshJournal",
                "MeshEtcd", "Netlink", log, lifecycle, crypto, collections,
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
                .product(name: "Yams", package: "Yams"),
            ] + nio),
        layer(
            "MeshLab",
            [
                "MeshModel", "MeshAdmin", "MeshTrust", "Netlink", "BPF", crypto,
                .product(name: "Yams", package: "Yams"),
            ] + x509),
        .executableTarget(
            name: "weft",
            dependencies: [
                "MeshModel", "MeshTrust", "MeshAdmin", "MeshAgent", "MeshCNI", "MeshLab", "BPF",
                "CZlib", arguments,
            ],
            swiftSettings: strict),

        // Measures the product; prints a JSON object a figure.
        .executableTarget(
            name: "weft-bench",
            dependencies: [
                "MeshModel", "MeshAdmin", "MeshLab", "MeshDatapath", "BPF", "CMeshABI", "Netlink",
                "MeshReplication", "MeshTrust", "MeshTransport", "MeshJournal", "MeshLease",
                "MeshEtcd", "MeshStore", "MeshMembership", "MeshReachability", "MeshAgent",
                "MeshSimulation", "TrustForgery", "PolicyChurn", "MeshKubernetes",
                "APIServerDouble", log, crypto, lifecycle, arguments,
            ],
            swiftSettings: strict),

        // What the simulations share: seeded randomness, virtual time, a network that loses.
        .target(
            name: "MeshSimulation",
            dependencies: ["MeshModel", "MeshMembership", "MeshReachability"],
            path: "Tests/MeshSimulation",
            swiftSettings: strict),

        // Certificates and chains that break every rule, or cost as much as they can.
        .target(
            name: "TrustForgery", dependencies: ["MeshModel", "MeshTrust", crypto] + x509,
            path: "Tests/TrustForgery",
            swiftSettings: strict),

        // Connections in a lab while its policies change, held against the pure engine.
        .target(
            name: "PolicyChurn",
            dependencies: [
                "MeshModel", "MeshPolicy", "MeshKubernetes", "MeshAdmin", "MeshLab", "Netlink",
            ],
            path: "Tests/PolicyChurn",
            swiftSettings: strict),

        // An API server as recordings show one, in memory, with the faults of a real one.
        .target(
            name: "APIServerDouble",
            dependencies: [
                "MeshModel", "MeshKubernetes", log, lifecycle, crypto,
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "HummingbirdHTTP2", package: "hummingbird"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "Yams", package: "Yams"),
            ] + nio + x509,
            path: "Tests/APIServerDouble",
            exclude: ["Recordings"],
            swiftSettings: strict),
        // The same as a process, which labs find beside the product.
        .executableTarget(
            name: "apiserver-double",
            dependencies: [
                "APIServerDouble", "MeshModel", log, arguments,
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ],
            path: "Tests/apiserver-double",
            swiftSettings: strict),

        // A network namespace for one test.
        .target(
            name: "KernelTestSupport", path: "Tests/KernelTestSupport", swiftSettings: strict),

        // A disk in memory under SQLite that fails as it is told.
        .target(
            name: "CFaultDisk", path: "Tests/CFaultDisk",
            linkerSettings: [.linkedLibrary("sqlite3")]),

        tests("BPFTests", ["BPF", "CLibBPF", "KernelTestSupport", system]),
        tests("NetlinkTests", ["Netlink"]),
        tests("KernelTests", ["BPF", "CMeshABI", "MeshModel", "Netlink", "KernelTestSupport"]),
        tests("MeshModelTests", ["MeshModel"]),
        tests("MeshStoreTests", ["MeshModel", "MeshStore"], computes: true),
        tests("MeshReconcilerTests", ["MeshModel", "MeshStore", "MeshReconciler"], computes: true),
        tests(
            "MeshReachabilityTests",
            ["MeshModel", "MeshReachability", "MeshSimulation"], computes: true),
        tests(
            "MeshMembershipTests", ["MeshModel", "MeshMembership", "MeshSimulation"], computes: true
        ),
        tests("MeshPolicyTests", ["MeshModel", "MeshPolicy", "MeshKubernetes"], computes: true),
        tests(
            "MeshKubernetesTests",
            [
                "MeshModel", "MeshStore", "MeshPolicy", "MeshKubernetes", "MeshLease",
                "MeshSimulation", "APIServerDouble", log,
            ], computes: true),
        tests(
            "MeshTrustTests", ["MeshModel", "MeshTrust", "TrustForgery", crypto] + x509,
            computes: true),
        tests(
            "MeshTransportTests",
            ["MeshModel", "MeshTrust", "MeshTransport", log, crypto] + nio + x509
                + [.product(name: "NIOSSL", package: "swift-nio-ssl")]),
        tests(
            "MeshReplicationTests",
            [
                "MeshModel", "MeshReplication", "MeshSimulation", crypto,
                collections,
            ], computes: true),
        tests(
            "CorpusTests",
            [
                "MeshModel", "MeshReplication", "MeshReachability", "MeshMembership", "MeshLease",
                "MeshPolicy", "MeshKubernetes", "MeshTransport", "MeshAgent", "MeshCNI", crypto,
            ], computes: true),
        tests("MeshLeaseTests", ["MeshModel", "MeshLease", "MeshSimulation"], computes: true),
        tests(
            "MeshEtcdTests",
            [
                "MeshModel", "MeshLease", "MeshEtcd", log,
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ]),
        tests(
            "MeshJournalTests",
            [
                "MeshModel", "MeshJournal", "MeshSimulation", "CFaultDisk",
                .product(name: "GRDB", package: "GRDB.swift"),
            ], computes: true),
        tests(
            "MeshDatapathTests",
            [
                "MeshModel", "MeshStore", "MeshReconciler", "MeshDatapath", "BPF", "CMeshABI",
                "KernelTestSupport",
            ]),
        tests("MeshEndpointsTests", ["MeshModel", "MeshEndpoints", "Netlink"]),
        tests("MeshCNITests", ["MeshModel", "MeshCNI"]),
        tests(
            "MeshAdminTests",
            [
                "MeshModel", "MeshAdmin", log, lifecycle,
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ] + nio),
        tests(
            "MeshAgentTests",
            [
                "MeshModel", "MeshPolicy", "MeshKubernetes", "MeshStore", "MeshReconciler",
                "MeshReachability", "MeshReplication",
                "MeshDatapath", "MeshTransport", "MeshLease", "MeshEtcd", "MeshAgent",
                "MeshSimulation", "MeshTrust", "MeshAdmin", "MeshEndpoints", "APIServerDouble", log,
                crypto, .product(name: "Yams", package: "Yams"),
            ]),
        tests(
            "ScenarioTests",
            [
                "MeshModel", "MeshStore", "MeshReconciler", "MeshReachability", "MeshReplication",
                "MeshKubernetes", "MeshDatapath", "MeshTransport", "MeshLease", "MeshEtcd",
                "MeshAgent", "APIServerDouble", log, crypto,
            ]),
        tests(
            "LabTests",
            [
                "weft", "BPF", "Netlink", "MeshModel", "MeshAdmin", "MeshAgent", "MeshLab",
                "PolicyChurn",
                .product(name: "Yams", package: "Yams"),
            ]),
        tests(
            "weftTests",
            ["weft", "MeshModel", "MeshAdmin", "MeshAgent", "MeshCNI", "MeshLab", arguments]),
    ]
)
