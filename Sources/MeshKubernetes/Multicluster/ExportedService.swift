// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// One cluster's part of a service that a mesh exports.
public struct ServiceExporter: Hashable, Sendable {
    public let cluster: ClusterName
    public let record: ServiceRecord

    public init(cluster: ClusterName, record: ServiceRecord) {
        self.cluster = cluster
        self.record = record
    }
}

/// A service as all clusters that export it agree on it: the oldest export decides, by its time and
/// then its cluster's name, and every cluster comes to the same result by itself (KEP-1645,
/// "Constraints and Conflict Resolution").
public struct ExportedService: Hashable, Sendable {
    public let isHeadless: Bool
    /// The union, in the order in which they came in.
    public let ports: [ServicePort]
    public let sessionAffinitySeconds: UInt32
    public let isNodeLocal: Bool
    public let distribution: TrafficDistribution
    /// Clusters whose endpoints belong to it, sorted.
    public let clusters: [ClusterName]
    /// What keeps it from being the same everywhere; in the order of the clusters' precedence.
    public let conflicts: [ExportConflict]

    /// Nil if nobody exports it.
    public init?(_ exporters: some Sequence<ServiceExporter>) {
        let ordered = exporters.filter { $0.record.exportedAt > 0 && $0.record.isShared }.sorted {
            ($0.record.exportedAt, $0.cluster.rawValue) < (
                $1.record.exportedAt, $1.cluster.rawValue
            )
        }
        guard let oldest = ordered.first else { return nil }
        isHeadless = oldest.record.addresses.isEmpty
        sessionAffinitySeconds = oldest.record.sessionAffinitySeconds
        isNodeLocal = oldest.record.isNodeLocal
        distribution = oldest.record.distribution
        var ports: [ServicePort] = []
        var clusters: [ClusterName] = []
        var conflicts: [ExportConflict] = []
        for exporter in ordered {
            let record = exporter.record
            func conflict(_ reason: ExportConflict.Reason, _ detail: String) {
                conflicts.append(
                    ExportConflict(
                        reason: reason, cluster: exporter.cluster, inForce: oldest.cluster,
                        detail: detail))
            }
            guard record.addresses.isEmpty == isHeadless else {
                conflict(.type, record.addresses.isEmpty ? "it is headless" : "it has cluster IPs")
                continue
            }
            clusters.append(exporter.cluster)
            let isSticky = record.sessionAffinitySeconds > 0
            if isSticky != (sessionAffinitySeconds > 0) {
                conflict(.sessionAffinity, "session affinity is \(isSticky ? "ClientIP" : "None")")
            } else if record.sessionAffinitySeconds != sessionAffinitySeconds {
                conflict(
                    .sessionAffinityConfig,
                    "session affinity lasts \(record.sessionAffinitySeconds) s")
            }
            if record.isNodeLocal != isNodeLocal {
                conflict(
                    .internalTrafficPolicy,
                    "internalTrafficPolicy is \(record.isNodeLocal ? "Local" : "Cluster")")
            }
            for port in record.ports where !ports.contains(port) {
                if let other = ports.first(where: { $0.contends(with: port) }) {
                    conflict(.port, "port \(port.text) contends with \(other.text)")
                } else {
                    ports.append(port)
                }
            }
        }
        self.ports = ports
        self.clusters = clusters.sorted { $0.rawValue < $1.rawValue }
        self.conflicts = conflicts
    }
}

/// Where a younger export says something else than the one in force.
public struct ExportConflict: Hashable, Sendable {
    /// As conditions name it.
    public enum Reason: String, Hashable, Sendable, CaseIterable {
        case type = "TypeConflict"
        case port = "PortConflict"
        case sessionAffinity = "SessionAffinityConflict"
        case sessionAffinityConfig = "SessionAffinityConfigConflict"
        case internalTrafficPolicy = "InternalTrafficPolicyConflict"
    }

    public let reason: Reason
    public let cluster: ClusterName
    /// Whose export is the oldest.
    public let inForce: ClusterName
    let detail: String
}

extension ExportConflict: CustomStringConvertible {
    public var description: String {
        "in cluster \(cluster) \(detail), unlike in cluster \(inForce), whose export is older"
    }
}

extension ServicePort {
    /// The same name for different ports, or the same port by different names.
    fileprivate func contends(with other: ServicePort) -> Bool {
        name == other.name || transport == other.transport && port == other.port
    }

    fileprivate var text: String { "\(name.isEmpty ? "" : name + " ")\(port)/\(transport)" }
}
