// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReachability

// MARK: What all relays of this cluster hear together

extension HealthService {
    /// Relays of a cluster that any relay of this one hears: each has its own paths, so one report
    /// alone would make a majority of every claim.
    func reachable(of cluster: ClusterID, at now: Instant) -> [NodeID] {
        let heard = paths(to: cluster, at: now).filter { $0.state == .up }
        return Set(heard.map(\.remote)).sorted()
    }

    /// What this cluster's relays can say of another one's nodes: whom any of them hears, and whom
    /// none does any more.
    func testimonies(for cluster: ClusterID, at now: Instant) -> [Testimony] {
        var heard: [String: Bool] = [:]
        for path in paths(to: cluster, at: now) {
            switch path.state {
            case .up: heard[path.remote.name] = true
            case .down: heard[path.remote.name] = heard[path.remote.name] ?? false
            case .unknown, .suspect: break
            }
        }
        return heard.sorted { $0.key < $1.key }.map { Testimony(about: $0.key, isHeard: $0.value) }
    }

    /// As the relays of this cluster report them that were on time of late.
    private func paths(to cluster: ClusterID, at now: Instant) -> [PathStatus] {
        reports.values.filter {
            !$0.isAbstaining && now - (reportedAt[$0.relay] ?? .zero) <= parameters.relaySilence
        }.flatMap(\.paths).filter { $0.remote.cluster == cluster }
    }
}
