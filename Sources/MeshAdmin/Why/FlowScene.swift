// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// What a flow's fate depends on, as the source's node sees it, or else the one that was asked.
public struct FlowScene: Sendable {
    /// `CLUSTER/NODE` that was asked.
    public var cluster: String
    public var node: String
    public var clusters: [ClusterStatus]
    public var nodes: [NodeStatus]
    /// By cluster, in a sentence: what others know of a silent one.
    public var hearsay: [String: String]
    /// Largest packet of an endpoint of the source's node, bytes; nil: not known.
    public var endpointMTU: UInt32?

    public init(
        cluster: String, node: String, clusters: [ClusterStatus], nodes: [NodeStatus],
        hearsay: [String: String] = [:], endpointMTU: UInt32? = nil
    ) {
        self.cluster = cluster
        self.node = node
        self.clusters = clusters
        self.nodes = nodes
        self.hearsay = hearsay
        self.endpointMTU = endpointMTU
    }

    func cluster(named name: String?) -> ClusterStatus? {
        name.flatMap { name in clusters.first { $0.name == name } }
    }

    func node(_ name: String?, of cluster: String?) -> NodeStatus? {
        nodes.first { $0.name == name && $0.cluster.name == cluster }
    }

    /// The node whose prefixes an address lies in, whether it has an endpoint or not.
    func node(holding text: String) -> NodeStatus? {
        guard let address = Address(text) else { return nil }
        return nodes.first { node in
            node.podPrefixes.contains { Prefix($0)?.contains(address) == true }
        }
    }
}

/// What keeps a flow from getting on, and what to do about it.
struct FlowObstacle {
    let stage: FlowStory.Stage
    let reason: String
    let advice: String
}

// MARK: The way between two nodes

extension FlowScene {
    /// What is in the way to a candidate, what is worth knowing about that way, and how it goes.
    func path(
        from source: FlowStory.End, to candidate: FlowStory.Candidate
    ) -> (obstacle: FlowObstacle?, isNoted: Bool, sentence: String, details: [String]) {
        guard let clusterName = candidate.cluster, let nodeName = candidate.node else {
            return pathOutside(to: candidate.address)
        }
        let place = "\(clusterName)/\(nodeName)"
        if source.cluster == clusterName, source.node == nodeName {
            return (nil, false, "both ends are on \(place): it stays there", [])
        }
        var details: [String] = []
        var isNoted = false
        if clusterName != cluster, let there = cluster(named: clusterName) {
            let facts = clusterFacts(there)
            details += facts.details
            isNoted = facts.isNoted
            if there.verdict == .unreachable {
                return (
                    FlowObstacle(
                        stage: .path,
                        reason: "cluster \(clusterName) is unreachable since "
                            + ageText(there.sinceSeconds),
                        advice: "'weft why \(clusterName)' tells what was heard of it, and when"),
                    true, "to \(place): cluster \(clusterName) is unreachable", details
                )
            }
        }
        guard let there = node(nodeName, of: clusterName) else {
            return (nil, true, "to \(place), of which this node knows nothing", details)
        }
        let facts = nodeFacts(there)
        details += facts.details
        isNoted = isNoted || facts.isNoted
        if there.verdict == .unreachable {
            return (
                FlowObstacle(
                    stage: .path,
                    reason: "node \(place) is unreachable since \(ageText(there.sinceSeconds))",
                    advice: "'weft why \(place)' tells who says so; start its agent or its machine"),
                true, "to \(place), which is unreachable", details
            )
        }
        if there.outerAddresses.isEmpty {
            return (
                FlowObstacle(
                    stage: .path, reason: "node \(place) has no known underlay address",
                    advice: "'weft status' tells whether that cluster's state has arrived"),
                true, "to \(place), which has no underlay address", details
            )
        }
        let outer = there.outerAddresses.first ?? ""
        return (nil, isNoted, "through the overlay to \(place) at \(outer)", details)
    }

    private func pathOutside(
        to address: String
    ) -> (obstacle: FlowObstacle?, isNoted: Bool, sentence: String, details: [String]) {
        guard let holder = node(holding: address) else {
            return (nil, true, "\(address) is outside the mesh: the node's own routes decide", [])
        }
        let place = "\(holder.cluster.name)/\(holder.name)"
        return (
            FlowObstacle(
                stage: .path,
                reason: "\(address) is in the prefix of node \(place), but no endpoint has it",
                advice: "'weft endpoint list' shows the addresses that are; the workload may have "
                    + "ended, or is not attached"),
            true, "\(address) is no endpoint's", []
        )
    }

    private func clusterFacts(_ there: ClusterStatus) -> (isNoted: Bool, details: [String]) {
        let up = there.paths.count { $0.state == .up }
        var sentence =
            "cluster \(there.name) is \(there.verdict.rawValue) since "
            + "\(ageText(there.sinceSeconds)), weight \(there.weight) of 255"
        if !there.paths.isEmpty {
            sentence += "; \(up) of \(there.paths.count) paths are up"
            if let beat = there.paths.compactMap(\.lastBeatSeconds).min() {
                sentence += ", last heartbeat \(ageText(beat)) ago"
            }
        }
        var details = [sentence]
        if there.paths.contains(where: { $0.overlay == .silent }) {
            details.append(
                "heartbeats beside the overlay arrive, those inside don't: look for a firewall that "
                    + "drops the overlay's UDP port")
        }
        if let hearsay = hearsay[there.name] { details.append("as to the cause: \(hearsay)") }
        return (there.verdict != .up, details)
    }

    private func nodeFacts(_ there: NodeStatus) -> (isNoted: Bool, details: [String]) {
        var sentence =
            "node \(there.cluster.name)/\(there.name) is \(there.verdict.rawValue) since "
            + ageText(there.sinceSeconds)
        if let member = there.membership {
            sentence += "; its cluster's members hold it for \(member.state)"
            if let heard = member.heardSeconds { sentence += ", heard \(ageText(heard)) ago" }
            if !member.accusers.isEmpty {
                sentence += ", accused by \(member.accusers.joined(separator: ", "))"
            }
        }
        var details = [sentence]
        if let mtu = endpointMTU {
            details.append("packets of up to \(mtu) bytes leave the source's node whole")
        }
        return (there.verdict != .up, details)
    }
}
