// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReachability

/// A path as one relay of this cluster reports it.
struct ReportedPath: Sendable {
    let status: PathStatus
    /// False for a relay that is late: what it hears lives, but it accuses nobody.
    let isPunctual: Bool
}

// MARK: What all relays of this cluster hear together

extension HealthService {
    /// Reports of relays that reported lately, in the order of their names: others may be relays no more.
    func freshReports(at now: Instant) -> [RelayReport] {
        reports.values.filter {
            now - (reportedAt[$0.relay] ?? .zero) <= parameters.relaySilence
        }.sorted { $0.relay < $1.relay }
    }

    /// Paths of all relays that reported lately, by the cluster they lead to: each relay has its own, so
    /// one report alone would make a majority of every claim.
    func reportedPaths(at now: Instant) -> [ClusterID: [ReportedPath]] {
        var paths: [ClusterID: [ReportedPath]] = [:]
        for report in freshReports(at: now) {
            for status in report.paths {
                paths[status.remote.cluster, default: []].append(
                    ReportedPath(status: status, isPunctual: !report.isAbstaining))
            }
        }
        return paths
    }

    /// Since the last heartbeat that any relay heard of a cluster; nil if none did.
    func silence(of cluster: ClusterID, at now: Instant) -> Duration? {
        freshReports(at: now).compactMap { report in
            let since = now - (reportedAt[report.relay] ?? now)
            return report.paths.filter { $0.remote.cluster == cluster }.compactMap(\.silence).min()
                .map { $0 + since }
        }.min()
    }
}

extension [ReportedPath] {
    /// Relays at the other end that any of this one's hears.
    var reachable: [NodeID] {
        Set(filter { $0.status.state == .up || $0.status.overlayIsSilent }.map(\.status.remote))
            .sorted()
    }

    /// What can be said of the other cluster's nodes: whom any relay hears, and whom none does any more.
    var testimonies: [Testimony] {
        var heard: [String: Bool] = [:]
        for path in self {
            let name = path.status.remote.name
            switch path.status.state {
            case .up: heard[name] = true
            case _ where path.status.overlayIsSilent: heard[name] = true
            case .down where path.isPunctual: heard[name] = heard[name] ?? false
            case .down, .unknown, .suspect: break
            }
        }
        return heard.sorted { $0.key < $1.key }.map { Testimony(about: $0.key, isHeard: $0.value) }
    }
}
