// SPDX-License-Identifier: Apache-2.0

public import MeshAdmin

// MARK: Authorities that are no nodes

extension Lab {
    /// How long a cluster may take until one of its replicas is its authority.
    private static let leaderLimit = Duration.seconds(20)

    /// The replica of the authority in a node's network. It answers while it is the authority.
    public func authority(on node: LabPlan.Node, timeout: Duration = .seconds(10)) -> AdminClient {
        AdminClient(
            socketPath: "\(plan.authorityFolder(of: node))/run/weft-admin.sock", timeout: timeout)
    }

    /// Starts the replicas in the networks of those of these nodes that have one, and where none runs.
    public func startReplicas(on nodes: [LabPlan.Node]) throws {
        for node in nodes {
            let cluster = try cluster(of: node)
            guard cluster.authorityNodes.contains(node),
                try !LabCgroup.isPopulated(cgroup.authority(on: node, in: cluster))
            else { continue }
            _ = try startReplica(on: node, in: cluster)
        }
    }

    /// Waits until one replica is the authority: the node in whose network it runs.
    public func leader(of cluster: LabPlan.Cluster) async throws -> LabPlan.Node {
        let logs = cluster.authorityNodes.map { plan.logOfAuthority(on: $0) }
        return try await awaiting(
            "an authority of \(cluster.name): see \(logs.joined(separator: ", "))",
            atMost: Self.leaderLimit
        ) {
            for node in cluster.authorityNodes {
                let status = try? await authority(on: node).status()
                if status?.publisher.isLocal == true { return node }
            }
            return nil
        }
    }

    /// Kills the replica in a node's network; agents and cables stay.
    public func endReplica(on node: LabPlan.Node) async throws {
        try await Self.endProcesses(cgroup.authority(on: node, in: try cluster(of: node)))
    }
}
