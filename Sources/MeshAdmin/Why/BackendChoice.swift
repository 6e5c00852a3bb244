// SPDX-License-Identifier: Apache-2.0

/// Where the kernel's programs send a new flow to a service, from what is known of its slices: the same
/// order as `bpf/lib/selection.h`.
public struct BackendChoice: Hashable, Sendable {
    /// How much is asked of a cluster.
    enum Rank: Int, CaseIterable {
        case live
        /// Last resort: no cluster is live; whatever isn't unreachable is tried.
        case reachable
        /// Last resort of the last resort.
        case any
    }

    /// All backends of the frontend, those that a flow may be sent to first.
    public let candidates: [FlowStory.Candidate]
    let rank: Rank?
    /// The tier in use; nil: nothing is.
    let tier: UInt8?
    /// A sentence a slice.
    let slices: [String]

    /// - Parameters:
    ///   - client: addresses of the source, which is never sent to itself.
    ///   - clusters: as the agent that chooses sees them.
    public init(
        of frontend: ServiceStatus, for client: [String], clusters: [ClusterStatus],
        nodes: [NodeStatus]
    ) {
        let sight = Sight(frontend, client, clusters, nodes)
        let found = Rank.allCases.lazy.compactMap { rank in
            let usable = frontend.slices.filter { sight.serves($0, rank) }
            return usable.map(\.tier).min().map { tier in
                (rank: rank, tier: tier, slices: usable.filter { $0.tier == tier })
            }
        }.first
        rank = found?.rank
        tier = found?.tier
        var chosen: [FlowStory.Candidate] = []
        var others: [FlowStory.Candidate] = []
        for slice in frontend.slices.sorted(by: { $0.tier < $1.tier }) {
            for backend in slice.backends {
                var candidate = FlowStory.Candidate(
                    address: backend.address, port: backend.port, cluster: slice.cluster.name,
                    node: backend.node, tier: slice.tier, weight: sight.weight(of: slice))
                if let found, found.slices.contains(slice),
                    sight.obstacle(backend, slice, found.rank) == nil
                {
                    chosen.append(candidate)
                } else {
                    candidate.passedOver =
                        sight.obstacle(slice, found?.rank ?? .live)
                        ?? sight.obstacle(backend, slice, found?.rank ?? .live)
                        ?? "tier \(found?.tier ?? 0) comes first"
                    others.append(candidate)
                }
            }
        }
        candidates = chosen + others
        slices = frontend.slices.sorted { $0.tier < $1.tier }.map { slice in
            sight.sentence(about: slice, rank: found?.rank ?? .live, tier: found?.tier)
        }
    }
}

/// What the choice sees of clusters, nodes and backends.
private struct Sight {
    let frontend: ServiceStatus
    let client: Set<String>
    let clusters: [UInt16: ClusterStatus]
    let nodes: [String: NodeStatus]

    init(
        _ frontend: ServiceStatus, _ client: [String], _ clusters: [ClusterStatus],
        _ nodes: [NodeStatus]
    ) {
        self.frontend = frontend
        self.client = Set(client)
        self.clusters = Dictionary(clusters.map { ($0.id, $0) }) { first, _ in first }
        self.nodes = Dictionary(nodes.map { ("\($0.cluster.id)/\($0.name)", $0) }) { one, _ in one }
    }

    func weight(of slice: SliceStatus) -> Int {
        Int(slice.weight) * Int(clusters[slice.cluster.id]?.weight ?? (slice.isLive ? 255 : 0))
    }

    func serves(_ slice: SliceStatus, _ rank: BackendChoice.Rank) -> Bool {
        obstacle(slice, rank) == nil
            && slice.backends.contains { obstacle($0, slice, rank) == nil }
    }

    /// Why a whole cluster is left out.
    func obstacle(_ slice: SliceStatus, _ rank: BackendChoice.Rank) -> String? {
        if slice.weight == 0 { return "its cluster's share of this service is 0" }
        let cluster = clusters[slice.cluster.id]
        let state = cluster.map { "\($0.verdict.rawValue) since \(ageText($0.sinceSeconds))" }
        let name = slice.cluster.name
        switch rank {
        case .live: return slice.isLive ? nil : "cluster \(name) is \(state ?? "not live")"
        case .reachable:
            return cluster?.verdict == .unreachable
                ? "cluster \(name) is \(state ?? "gone")" : nil
        case .any: return nil
        }
    }

    /// Why one backend of a cluster that is used is left out.
    func obstacle(
        _ backend: BackendStatus, _ slice: SliceStatus, _ rank: BackendChoice.Rank
    ) -> String? {
        let node = nodes["\(slice.cluster.id)/\(backend.node)"]
        let isDraining = node?.verdict == .draining
        if !backend.isLive, rank == .live || !isDraining {
            let state = node.map { "\($0.verdict.rawValue) since \(ageText($0.sinceSeconds))" }
            return "node \(slice.cluster.name)/\(backend.node) is \(state ?? "not live")"
        }
        if let quarantine = backend.quarantine {
            return "in quarantine for \(ageText(quarantine.sinceSeconds)): \(quarantine.reason)"
        }
        if client.contains(backend.address) { return "it is the source itself" }
        if backend.address.contains(":") != frontend.address.contains(":") {
            return "it has another address family than the service"
        }
        return nil
    }

    func sentence(about slice: SliceStatus, rank: BackendChoice.Rank, tier: UInt8?) -> String {
        let good = slice.backends.count { obstacle($0, slice, rank) == nil }
        let what = "tier \(slice.tier), \(slice.cluster.name):"
        let count = "\(good) of \(slice.backends.count) backends take new flows"
        if let reason = obstacle(slice, rank) { return "\(what) not used: \(reason)" }
        guard let tier, tier == slice.tier, good > 0 else {
            return good == 0
                ? "\(what) not used: \(count)"
                : "\(what) not used while tier \(tier ?? 0) has backends; \(count)"
        }
        return "\(what) used, weight \(weight(of: slice)): \(count)"
    }
}
