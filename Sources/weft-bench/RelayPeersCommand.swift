// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import FoundationEssentials
import MeshLab
import MeshModel
import MeshTransport
import MeshTrust

/// The relays of the clusters of a ``LargeMesh``, in one process and in a namespace that has their
/// addresses.
struct RelayPeersCommand: AsyncParsableCommand {
    static let name = "relay-peers"
    static let configuration = CommandConfiguration(commandName: name, shouldDisplay: false)

    @Option var mesh: String
    @Option var clusters: Int
    /// The first so many are in use.
    @Option var inUse: Int
    /// Folder with one of credentials for each node.
    @Option var keys: String
    /// The relay they talk to: of the cluster with this name and ID 1, with this bundle, there.
    @Option var cluster: String
    @Option var node: String
    @Option var bundle: String
    @Option var underlay: String

    func run() async throws {
        guard let name = ClusterName(rawValue: cluster), let id = ClusterID(rawValue: 1),
            let remote = NodeID(cluster: id, name: node), let address = Address(underlay)
        else { throw LabError(.failed, "no such relay") }
        let anchors = try TrustBundle(
            trustDomain: TrustDomain(cluster: name, mesh: mesh),
            pem: String(decoding: try fileContents(bundle), as: UTF8.self))
        var peers: [RelayPeer] = []
        for number in 0..<clusters {
            let own = try LargeMesh.node(number)
            peers.append(
                try RelayPeer(
                    own, at: LargeMesh.address(number),
                    credentials: NodeCredentials.load(mesh: mesh, from: "\(keys)/\(own.name)"),
                    bundle: anchors, to: remote,
                    at: TransportAddress(address: address, port: LargeMesh.healthPort),
                    isInUse: number < inUse))
        }
        try await withThrowingDiscardingTaskGroup { group in
            for peer in peers { group.addTask { try await peer.run() } }
        }
    }
}
