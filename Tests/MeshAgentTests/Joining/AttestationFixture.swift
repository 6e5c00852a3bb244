// SPDX-License-Identifier: Apache-2.0

import APIServerDouble
import Foundation
import Logging
import MeshKubernetes
import MeshModel
import MeshTrust
import Synchronization
import Testing

@testable import MeshAgent
@testable import MeshTransport

struct Late: Error {}

/// Waits for a condition, with a deadline that only a fault reaches.
func eventually(
    within limit: Duration = .seconds(30), _ condition: () async throws -> Bool
) async throws {
    let clock = ContinuousClock()
    let end = clock.now + limit
    while clock.now < end {
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(5))
    }
    throw Late()
}

/// Serves a double to the authority while `body` runs.
func withServer(
    _ state: DoubleState, _ body: (APIServerDouble, KubernetesClient) async throws -> Void
) async throws {
    try await APIServerDouble.serve(state) { server, configuration in
        var configuration = configuration
        configuration.credentials = .token(AttestationFixture.authorityToken)
        let client = try KubernetesClient(configuration)
        defer { client.close() }
        try await body(server, client)
    }
}

/// A home with an API server, and nodes with tokens, on loopback.
struct AttestationFixture {
    static let authorityToken = "authority"
    static let account = ServiceAccountName("weft-system:weft")!

    let folder: TemporaryFolder
    let configuration: AgentConfiguration
    let authority: CertificateAuthority
    let denials: Denials
    let service: AuthorityService
    let log = LogBook()

    init() throws {
        folder = try TemporaryFolder()
        configuration = try Self.configuration(of: "n1", in: folder)
        authority = try CertificateAuthority.create(
            cluster: configuration.clusterName, mesh: configuration.mesh,
            in: AuthorityService.folder(of: configuration))
        denials = try Denials(mesh: configuration.mesh, state: configuration.paths.state)
        service = AuthorityService(
            configuration: configuration, authority: authority, denials: denials,
            log: log.logger)
        _ = try folder.write("roots.pem", authority.bundle.pem())
    }

    /// Of a node with folders of its own.
    ///
    /// - Parameter name: of the folder that holds them; nil: as the node is called.
    static func configuration(
        of node: String, in folder: TemporaryFolder, named name: String? = nil
    ) throws -> AgentConfiguration {
        let path = "\(folder.path)/\(name ?? node)"
        let names = ["state", "bpf", "cgroup", "run", "manifests", "peers", "trust"]
        for name in ["state", "trust"] {
            try FileManager.default.createDirectory(
                atPath: "\(path)/\(name)", withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700])
        }
        return try AgentConfiguration(
            file: folder.write(
                "\(name ?? node).yaml",
                """
                mesh: weft.test
                cluster: {name: east, id: 1}
                node: {name: \(node)}
                publisher: n1
                nodes:
                - {name: n1, address: 127.0.0.1}
                - {name: n2, address: 127.0.0.2}
                - {name: n3, address: 127.0.0.3}
                underlay: {address: 127.0.0.1, interface: lo}
                podPrefixes: []
                kubernetes: {kubeconfig: /nowhere}
                join:
                  token: \(folder.path)/\(node).token
                  bundle: \(folder.path)/roots.pem
                  addresses: ["127.0.0.1:1"]
                  serviceAccount: weft-system:weft
                paths:
                \(names.map { "  \($0): \(path)/\($0)" }.joined(separator: "\n"))

                """))
    }

    /// With an agent's pod on n2, a pod of another kind there, and one of an agent on n3.
    static func cluster() -> DoubleState {
        var state = DoubleState()
        state.admit(
            DoubleUser(
                "system:serviceaccount:weft-system:weft-authority",
                rules: [
                    .init(["create"], ["tokenreviews"]), .init(["get"], ["pods"]),
                    .init(["list"], ["endpointslices"]),
                ]), token: authorityToken)
        for (name, node) in [("weft-2", "n2"), ("weft-3", "n3")] {
            state.put(
                .pods,
                [
                    "metadata": [
                        "namespace": "weft-system", "name": .string(name),
                        "uid": .string("uid-\(name)"),
                    ], "spec": ["nodeName": .string(node)],
                ])
        }
        return state
    }

    /// An account's token, bound to a pod of its namespace.
    static func user(
        _ account: String = "weft-system:weft", audience: String = "weft", pod: String? = "weft-2"
    ) -> DoubleUser {
        DoubleUser(
            "system:serviceaccount:\(account)", audiences: [audience],
            pod: pod.map {
                .init(namespace: "weft-system", name: $0, uid: "uid-\($0)")
            })
    }

    func desk(
        _ client: KubernetesClient, patience: Duration = ServiceAccountAttestor.patience
    ) -> AttestationDesk {
        AttestationDesk(
            attestor: ServiceAccountAttestor(account: Self.account, patience: patience) {
                request throws(KubernetesError) in try await client.answer(to: request)
            }, authority: service)
    }

    /// Serves the desk as a home does, under the name of a node.
    func withHome(
        _ desk: AttestationDesk, as node: String = "n1", by authority: CertificateAuthority? = nil,
        _ body: (ClusterAddress, Answers) async throws -> Void
    ) async throws {
        let authority = authority ?? self.authority
        let credentials = try NodeCredentials.issue(node: node, by: authority)
        let leaf = try credentials.chainDER()[0]
        let answers = Answers()
        let server = try EnrolmentServer(
            listen: TransportAddress(address: Address("127.0.0.1")!, port: 0),
            credentials: credentials, root: authority.bundle.anchorsDER()[0],
            statistics: TransportStatistics()
        ) { request, source in
            let answer = await desk.answer(
                request, presenting: leaf, to: source, bundle: authority.bundle,
                signers: [authority.signer], clock: 0, now: unixSeconds())
            answers.append(answer)
            return answer.bytes
        }
        let (bound, continuation) = AsyncStream.makeStream(of: TransportAddress.self)
        try await withThrowingTaskGroup { group in
            group.addTask { try await server.run { continuation.yield($0) } }
            var iterator = bound.makeAsyncIterator()
            let address = try #require(await iterator.next())
            try await body(
                try #require(ClusterAddress(address: address.address, port: address.port)),
                answers)
            group.cancelAll()
        }
    }

    /// What was answered.
    final class Answers: Sendable {
        private let list = Mutex<[DeskAnswer]>([])
        var all: [DeskAnswer] { list.withLock { $0 } }
        func append(_ answer: DeskAnswer) { list.withLock { $0.append(answer) } }
    }

    /// Asks as the agent of a node does, with a token that the API server knows.
    @discardableResult
    func join(
        _ node: String = "n2", token: String, at addresses: ClusterAddress...
    ) async throws -> NodeCredentials {
        let configuration = try Self.configuration(of: node, in: folder)
        _ = try folder.write("\(node).token", token + "\n")
        return try await NodeEnrolment.attest(
            try #require(configuration.join?.node), of: configuration, at: addresses)
    }

    var records: [AuditRecord] {
        get throws {
            let folder = "\(AuthorityService.folder(of: configuration))/audit"
            guard FileManager.default.fileExists(atPath: folder) else { return [] }
            return try AuditTrail.read(AuditQuery(), in: folder).records
        }
    }
}

/// Keeps what is logged.
final class LogBook: Sendable {
    private let lines = Mutex<[String]>([])

    var text: String { lines.withLock { $0.joined(separator: "\n") } }

    var logger: Logger {
        Logger(label: "test") { [self] _ in Handler(book: self) }
    }

    private struct Handler: LogHandler {
        let book: LogBook
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let said = "\(event.level) \(event.message) \(event.metadata ?? [:])"
            book.lines.withLock { $0.append(said) }
        }
    }
}
