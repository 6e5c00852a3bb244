// SPDX-License-Identifier: Apache-2.0

import APIServerDouble
import ArgumentParser
import FoundationEssentials
import Glibc
import Logging
import MeshModel
import NIOSSL

/// The double as a process of its own, for labs.
@main
struct APIServerDoubleCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apiserver-double",
        abstract: "Serve a folder of manifests as an API server would, to whom a token admits.",
        discussion: """
            What clients write is kept in the state's file before they hear of it. A server that starts \
            with such a file has its objects and no history, as after an etcd was restored.
            """)

    @Option(help: "The address to listen on.") var host: String
    @Option(help: "The TCP port.") var port: Int
    @Option(help: "PEM file of the certificate.") var certificate: String
    @Option(help: "PEM file of its key.") var key: String
    @Option(help: "JSON: whom it admits, a list of DoubleTokens.Entry; followed.") var tokens:
        String
    @Option(help: "Folder of manifests; what changes there is changed.") var objects: String
    @Option(help: "File for what clients write.") var state: String
    @Option(
        name: .customLong("config-maps"),
        help: "Folder that gets NAMESPACE/NAME/KEY of ConfigMaps, as pods that mount them.")
    var configMaps: String
    @Option(name: .customLong("service-cidrs"), help: "Prefixes of services, with commas.")
    var serviceCIDRs: String

    func run() async throws {
        let log = Logger(label: "apiserver-double") { StreamLogHandler.standardError(label: $0) }
        let resources =
            DoubleResource.builtIn + DoubleResource.multicluster
            + [DoubleResource.clusterNetworkPolicies]
        var initial = DoubleState(resources: resources)
        if let saved = FileManager.default.contents(atPath: state) {
            initial = try DoubleState(lines: Array(saved), resources: resources)
        }
        initial.timestamp = timestamp()
        initial.serviceNetworks = serviceCIDRs.split(separator: ",").compactMap {
            Prefix(String($0))
        }
        var configuration = APIServerDouble.Configuration()
        configuration.host = host
        configuration.port = port
        configuration.tls = .makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMFile(certificate).map {
                .certificate($0)
            },
            privateKey: .privateKey(try NIOSSLPrivateKey(file: key, format: .pem)))
        let writes = try WriteLog(path: state)
        configuration.keep = { try writes.append($0) }
        let server = APIServerDouble(initial, configuration: configuration, logger: log)
        var (folder, users) = (DoubleFolder(path: objects), DoubleTokens(path: tokens))
        let mounts = DoubleMounts(path: configMaps)
        try users.follow(server)
        folder.follow(server, log)
        log.notice("Serving", metadata: ["objects": "\(objects)"])
        try await withThrowingTaskGroup { group in
            group.addTask { try await server.run() }
            group.addTask { [folder, users, mounts] in
                var (folder, users, mounts) = (folder, users, mounts)
                while true {
                    try await Task.sleep(for: DoubleFolder.interval)
                    try users.follow(server)
                    folder.follow(server, log)
                    try mounts.follow(server)
                }
            }
            try await group.next()
            group.cancelAll()
        }
    }
}

/// RFC 3339 in UTC, now.
private func timestamp() -> String { Date().formatted(.iso8601) }

/// A file that grows by what is written.
private final class WriteLog: Sendable {
    private let file: Int32

    init(path: String) throws {
        file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw CocoaError(.fileWriteUnknown) }
    }

    func append(_ bytes: [UInt8]) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
            guard count > 0 else { throw CocoaError(.fileWriteUnknown) }
            rest = rest.dropFirst(count)
        }
    }
}
