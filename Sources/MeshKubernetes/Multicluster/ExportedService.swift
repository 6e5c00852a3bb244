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
    /// Those that all of ``clusters`` have, so that each reaches all backends; in the oldest's order,
    /// and empty if nobody says.
    public let families: [IPFamily]
    public let sessionAffinitySeconds: UInt32
    public let isNodeLocal: Bool
    public let distribution: TrafficDistribution
    public let metadata: ExportedMetadata
    /// Clusters whose endpoints belong to it, sorted.
    public let clusters: [ClusterName]
    /// What keeps it from being the same everywhere; in the order of the clusters' precedence.
    public let conflicts: [ExportConflict]

    /// Of the union: as many as one cluster's service may have.
    static let portsMaximum = RecordLimit.ports

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
        metadata = oldest.record.exportedMetadata
        var ports: [ServicePort] = []
        var families: [IPFamily] = []
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
            let common = families.filter { record.families.contains($0) }
            // Whoever has none in common would be reached by nobody, and nobody by what is left.
            guard families.isEmpty || record.families.isEmpty || !common.isEmpty else {
                let theirs = record.families.map(\.description).joined(separator: ", ")
                conflict(.ipFamily, "it has no address family but \(theirs)")
                continue
            }
            if !record.families.isEmpty { families = families.isEmpty ? record.families : common }
            clusters.append(exporter.cluster)
            for (reason, detail) in record.differences(from: oldest.record) {
                conflict(reason, detail)
            }
            let lost = ports.add(record.ports)
            if !lost.isEmpty {
                conflict(.port, lost.firstFew)
            } else if Set(record.ports) != Set(oldest.record.ports) {
                let theirs = record.ports.map(\.text).firstFew
                conflict(.port, theirs.isEmpty ? "it has no ports" : "it has the ports \(theirs)")
            }
        }
        self.ports = ports
        self.families = families
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
        case trafficDistribution = "TrafficDistributionConflict"
        case labels = "LabelsConflict"
        case annotations = "AnnotationsConflict"
        case ipFamily = "IPFamilyConflict"
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

extension ServiceRecord {
    /// Of what one export decides for all.
    fileprivate func differences(
        from oldest: ServiceRecord
    ) -> [(reason: ExportConflict.Reason, detail: String)] {
        var differences: [(reason: ExportConflict.Reason, detail: String)] = []
        let isSticky = sessionAffinitySeconds > 0
        if isSticky != (oldest.sessionAffinitySeconds > 0) {
            differences.append(
                (.sessionAffinity, "session affinity is \(isSticky ? "ClientIP" : "None")"))
        } else if sessionAffinitySeconds != oldest.sessionAffinitySeconds {
            differences.append(
                (.sessionAffinityConfig, "session affinity lasts \(sessionAffinitySeconds) s"))
        }
        if isNodeLocal != oldest.isNodeLocal {
            let policy = isNodeLocal ? "Local" : "Cluster"
            differences.append((.internalTrafficPolicy, "internalTrafficPolicy is \(policy)"))
        }
        if distribution != oldest.distribution {
            let theirs = distribution.manifest.map { "is \($0)" } ?? "isn't set"
            differences.append((.trafficDistribution, "trafficDistribution \(theirs)"))
        }
        let (own, other) = (exportedMetadata, oldest.exportedMetadata)
        if let keys = own.labels.keys(differingFrom: other.labels) {
            differences.append((.labels, "exported labels differ in \(keys)"))
        }
        if let keys = own.annotations.keys(differingFrom: other.annotations) {
            differences.append((.annotations, "exported annotations differ in \(keys)"))
        }
        return differences
    }
}

extension Labels {
    /// The first few, for people; nil if there are none.
    fileprivate func keys(differingFrom other: Labels) -> String? {
        let differing = Set(keys).union(other.keys).filter { self[$0] != other[$0] }.sorted()
        return differing.isEmpty ? nil : differing.firstFew
    }
}

extension [String] {
    /// A list for people, whatever other clusters make of it.
    fileprivate var firstFew: String {
        let (few, more) = (prefix(3), count - 3)
        return few.joined(separator: ", ") + (more > 0 ? " and \(more) more" : "")
    }
}

extension [ServicePort] {
    /// Adds those that contend with none before them, up to the maximum.
    ///
    /// - Returns: what is wrong with each of the others.
    fileprivate mutating func add(_ others: [ServicePort]) -> [String] {
        var lost: [String] = []
        for port in others where !contains(port) {
            if let other = first(where: { $0.contends(with: port) }) {
                lost.append("port \(port.text) contends with \(other.text)")
            } else if count == ExportedService.portsMaximum {
                lost.append("port \(port.text) is one too many: \(count) are taken")
            } else {
                append(port)
            }
        }
        return lost
    }
}

extension ServicePort {
    /// The same name for different ports, or the same port by different names or of different protocols.
    fileprivate func contends(with other: ServicePort) -> Bool {
        name == other.name || transport == other.transport && port == other.port
    }

    fileprivate var text: String {
        (name.isEmpty ? "" : name + " ") + "\(port)/\(transport)"
            + (application.isEmpty ? "" : " (\(application))")
    }
}
