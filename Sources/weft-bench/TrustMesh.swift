// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import MeshAdmin
import MeshAgent
import MeshLab
import MeshModel
import MeshTrust

/// Clusters of one node each that begin apart and join the first one.
struct TrustMesh {
    static let limit = Duration.seconds(60)

    let lab: Lab

    static func file(clusters: Int, name: String) throws -> LabFile {
        let lines = (1...clusters).map { "  - {name: c\($0), id: \($0), nodes: 1}\n" }.joined()
        return try LabFile(yaml: "apart: true\nclusters:\n" + lines, name: name)
    }

    func home(_ number: Int) -> AdminClient {
        lab.agent(of: lab.plan.clusters[number - 1].nodes[0])
    }

    /// Joins a cluster with the two commands; returns when it and all that joined before it have each
    /// other's nodes.
    ///
    /// - Returns: seconds.
    func join(_ number: Int) async throws -> Double {
        let began = monotonicNow()
        let token = try await home(1).makeToken(
            TokenRequest(cluster: "c\(number)", id: UInt16(number)))
        _ = try await home(number).join(token.target)
        for other in 1..<number {
            for (here, there) in [(number, other), (other, number)] {
                _ = try await awaiting(
                    "c\(here) to know c\(there)", atMost: Self.limit, every: .milliseconds(10)
                ) {
                    let row = try await home(here).clusters().first { $0.name == "c\(there)" }
                    return row?.verdict == .up && row.map { $0.nodes > 0 } == true ? true : nil
                }
            }
        }
        return milliseconds(from: began, to: monotonicNow()) / 1000
    }
}

/// What a node presents and whom it believes, by its files at a moment.
struct NodeTrust {
    let cluster: ClusterName
    let chain: [[UInt8]]
    let verifier: PeerVerifier

    init(of node: LabPlan.Node, in lab: Lab) throws {
        let folder = "\(lab.plan.stateFolder)/nodes/\(node.name)"
        let configuration = try AgentConfiguration(file: "\(folder)/weftd.yaml")
        let credentials = try NodeCredentials.load(
            mesh: configuration.mesh, from: "\(folder)/trust")
        cluster = credentials.identity.cluster
        chain = try credentials.chainDER()
        func bundle(_ cluster: ClusterName, _ pem: String) throws -> TrustBundle {
            try TrustBundle(
                trustDomain: TrustDomain(cluster: cluster, mesh: configuration.mesh), pem: pem)
        }
        let own = try Data(contentsOf: URL(filePath: "\(folder)/trust/ca.pem"))
        let peers = PeerFolder(folder: "\(folder)/peers.d", own: configuration).peers
        verifier = PeerVerifier(
            store: TrustStore(
                try [bundle(cluster, String(decoding: own, as: UTF8.self))]
                    + peers.map { try bundle($0.name, $0.bundle) }))
    }
}
