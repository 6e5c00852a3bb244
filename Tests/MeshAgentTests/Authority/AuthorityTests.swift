// SPDX-License-Identifier: Apache-2.0

import APIServerDouble
import Foundation
import Logging
import MeshAdmin
import MeshDatapath
import MeshEndpoints
import MeshKubernetes
import MeshModel
import MeshTrust
import Testing

@testable import MeshAgent

/// An API server, two replicas of an authority and nodes whose kernel is memory, as services of this
/// process on addresses of loopback.
private struct ApartCluster {
    let folder: TemporaryFolder
    let server: APIServerDouble
    let state: UInt16
    let enrolment: UInt16
    /// Whether the configuration says which nodes there are; otherwise the API server does.
    let listsNodes: Bool

    init(_ server: APIServerDouble, listsNodes: Bool) throws {
        folder = try TemporaryFolder()
        self.server = server
        self.listsNodes = listsNodes
        state = .random(in: 20_000...30_000)
        enrolment = state + 1
        for (user, token) in [("agent", "agent"), ("a", "authority-a"), ("b", "authority-b")] {
            _ = try folder.write(
                "\(user).kubeconfig",
                """
                apiVersion: v1
                kind: Config
                current-context: c
                contexts: [{name: c, context: {cluster: c, user: u, namespace: weft-system}}]
                clusters: [{name: c, cluster: {server: "http://127.0.0.1:\(server.port ?? 0)"}}]
                users: [{name: u, user: {token: \(token)}}]
                """)
        }
    }

    /// As its pods' service account.
    private static var authority: DoubleUser {
        get throws {
            DoubleUser(
                "system:serviceaccount:weft-system:weft-authority",
                rules: try KubernetesManifests().rules(of: "weft-authority"))
        }
    }

    /// The API server takes a replica's requests, or refuses them as if it were gone.
    func admit(_ replica: String, _ isAdmitted: Bool = true) throws {
        let user = try Self.authority
        server.change {
            if isAdmitted {
                $0.admit(user, token: "authority-\(replica)")
            } else {
                $0.expire(token: "authority-\(replica)")
            }
        }
    }

    static func state() throws -> DoubleState {
        var state = AttestationFixture.cluster()
        // Of both, what the manifests grant; see ManifestTests.
        state.admit(
            DoubleUser(
                "system:serviceaccount:weft-system:weft",
                rules: try KubernetesManifests().rules(of: "weft")), token: "agent")
        for replica in ["a", "b"] {
            state.admit(try authority, token: "authority-\(replica)")
        }
        for (node, token) in [("weft-2", "secret-2"), ("weft-3", "secret-3")] {
            state.admit(AttestationFixture.user(pod: node), token: token)
        }
        state.put(.configMaps, ["metadata": ["namespace": "weft-system", "name": "weft-roots"]])
        state.put(.namespaces, ["metadata": ["name": "shop"]])
        return state
    }

    /// - Parameters:
    ///   - name: of folders.
    ///   - node: in the cluster.
    private func layers(
        _ name: String, node: String, address: String, _ user: String
    ) throws -> @Sendable () throws -> ConfigurationLayers {
        let path = "\(folder.path)/\(name)"
        let names = ["state", "bpf", "cgroup", "run", "manifests", "peers", "trust"]
        let file = try folder.write(
            "\(name).yaml",
            """
            mesh: weft.test
            cluster: {name: east, id: 1}
            node: {name: \(node)}
            publisher: {authority: authority, lease: kubernetes}
            charter: {podPrefixes: [10.1.0.0/16]}
            \(listsNodes ? "nodes: [{name: n2, address: 127.0.0.2}, {name: n3, address: 127.0.0.3}]" : "")
            underlay: {address: \(address), interface: lo}
            podPrefixes: ["10.1.\(node.last ?? "0").0/24"]
            ports: {state: \(state), health: \(state + 2), vxlan: \(state + 3), enrolment: \(enrolment)}
            pagePort: 0
            kubernetes: {kubeconfig: \(folder.path)/\(user).kubeconfig}
            join:
              token: \(folder.path)/\(node).token
              bundle: \(folder.path)/roots.pem
              service: weft-system/weft-authority
              serviceAccount: weft-system:weft
            paths:
            \(names.map { "  \($0): \(path)/\($0)" }.joined(separator: "\n"))

            """)
        return { try ConfigurationLayers(file: file) }
    }

    func replica(_ name: String, address: String) throws -> Task<Void, any Error> {
        let layers = try layers(name, node: "n9", address: address, name)
        return Task { try await Authority.run(layers) }
    }

    /// An agent in everything but its kernel.
    func node(_ name: String, address: String, token: String) throws -> Task<Void, any Error> {
        let layers = try layers(name, node: name, address: address, "agent")
        _ = try folder.write("\(name).token", token)
        let configuration = try AgentConfiguration(layers())
        let file = "\(folder.path)/\(name).yaml"
        for path in [
            configuration.paths.state, configuration.paths.run, configuration.paths.manifests,
            configuration.paths.peers, configuration.paths.trust,
        ] {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700])
        }
        return Task {
            let log = Logger(label: name) { _ in SwiftLogNoOpLogHandler() }
            let kubernetes = try KubernetesAccess(try #require(configuration.kubernetes))
            try await AttestedJoining(configuration, kubernetes, log)?.obtainFirst()
            let peers = PeerFolder(folder: configuration.paths.peers, own: configuration)
            let ground = AgentGround(
                datapath: try MemoryDatapath(node: configuration.node), beats: nil,
                endpoints: try EndpointManager(
                    .init(
                        podPrefixes: configuration.podPrefixes,
                        stateFile: configuration.paths.state + "/endpoints.json")),
                kubernetes: kubernetes, lead: nil)
            try await Agent.serve(
                configuration, peers, try TrustMaterial(configuration, peers: peers.peers), ground,
                FolderWatcher(path: configuration.paths.manifests), log
            ) { apply in
                ConfigurationService(file: file, [], log: log, read: layers, apply: apply)
            }
        }
    }

    /// What the agent of a node, or the replica of that name, says at its socket.
    func client(_ name: String) -> AdminClient {
        AdminClient(socketPath: "\(folder.path)/\(name)/run/weft.sock")
    }

    /// All that a publisher of theirs tells them of, and that it answers.
    func expectNodes(_ names: String..., at nodes: String...) async throws {
        for node in nodes {
            try await eventually {
                let client = client(node)
                let known = (try? await client.nodes()) ?? []
                let status = try? await client.status()
                return known.map(\.name) == names && status?.publisher.isReachable == true
            }
        }
    }

    /// A replica publishes, and a node has what it publishes.
    func expectPublishes(_ replica: String) async throws {
        try await eventually {
            guard let status = try? await client(replica).status() else { return false }
            return status.node == "authority" && status.publisher.isLocal
                && status.publisher.acknowledged != nil && !status.publisher.isAlone
        }
    }

    /// As kubelet and controllers do it: the roots' ConfigMap is a file of each pod, and the addresses
    /// of both replicas stand in a slice.
    func follow() async throws {
        try await eventually {
            guard
                let roots = server.state.object(
                    .configMaps, namespace: "weft-system", name: "weft-roots")?["data"]["ca.pem"]
                    .text
            else { return false }
            _ = try folder.write("roots.pem", roots)
            return true
        }
        server.change {
            $0.put(
                .endpointSlices,
                [
                    "metadata": [
                        "namespace": "weft-system", "name": "weft-authority-1",
                        "labels": ["kubernetes.io/service-name": "weft-authority"],
                    ], "addressType": "IPv4",
                    "ports": [["name": "enrolment", "port": .number("\(enrolment)")]],
                    "endpoints": [
                        ["addresses": ["127.0.0.21"]], ["addresses": ["127.0.0.22"]],
                    ],
                ])
        }
    }

    var holder: String? {
        server.state.object(.leases, namespace: "weft-system", name: "weft-publisher")?["spec"][
            "holderIdentity"
        ].text
    }
}

@Suite("An authority apart from nodes", .serialized)
struct AuthorityTests {
    @Test("begins before the API server has told it of a node")
    func nodesUnknown() async throws {
        try await withServer(try ApartCluster.state()) { server, _ in
            let cluster = try ApartCluster(server, listsNodes: false)
            let replica = try cluster.replica("a", address: "127.0.0.21")
            try await eventually {
                (try? await cluster.client("a").status())?.publisher.isLocal == true
            }
            replica.cancel()
            _ = await replica.result
        }
    }

    @Test("certifies nodes, publishes, and is replaced by the other replica, keys and all")
    func replaced() async throws {
        try await withServer(try ApartCluster.state()) { server, _ in
            let cluster = try ApartCluster(server, listsNodes: true)
            let first = try cluster.replica("a", address: "127.0.0.21")
            try await eventually { cluster.holder?.isEmpty == false }
            let holder = cluster.holder
            let second = try cluster.replica("b", address: "127.0.0.22")
            try await cluster.follow()
            let roots = try String(
                contentsOf: URL(filePath: "\(cluster.folder.path)/roots.pem"), encoding: .utf8)

            let n2 = try cluster.node("n2", address: "127.0.0.2", token: "secret-2")
            // The publisher's ledger has the namespace of the API server, and the node.
            try await cluster.expectNodes("n2", at: "n2")
            try await cluster.expectPublishes("a")
            #expect(server.state.count(.secrets) == 1)

            let audit = try AuditTrail.read(
                AuditQuery(), in: "\(cluster.folder.path)/a/trust/authority/audit"
            ).records
            #expect(audit.contains { $0.subject == "spiffe://east.weft.test/node/n2" })
            #expect(audit.contains { $0.subject == "spiffe://east.weft.test/node/authority" })
            await #expect(throws: (any Error).self, "the other one waits, and does nothing else") {
                try await cluster.client("b").status()
            }

            // Its lease runs out: the other one takes it, and it gives up all it does.
            try cluster.admit("a", false)
            try await eventually { cluster.holder.map { !$0.isEmpty && $0 != holder } ?? false }
            let n3 = try cluster.node("n3", address: "127.0.0.3", token: "secret-3")
            try await cluster.expectNodes("n2", "n3", at: "n2", "n3")
            try await eventually { (try? await cluster.client("a").status()) == nil }
            try await cluster.expectPublishes("b")

            // It may again, and the other one goes for good.
            try cluster.admit("a")
            second.cancel()
            _ = await second.result
            try await cluster.expectPublishes("a")
            try await cluster.expectNodes("n2", "n3", at: "n2", "n3")
            // One root all along.
            try await cluster.follow()
            #expect(
                try String(
                    contentsOf: URL(filePath: "\(cluster.folder.path)/roots.pem"), encoding: .utf8)
                    == roots)
            for task in [n2, n3, first] { task.cancel() }
            for task in [n2, n3, first] { _ = await task.result }
        }
    }
}
