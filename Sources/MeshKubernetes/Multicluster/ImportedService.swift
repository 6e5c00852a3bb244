// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// A service of the mesh as the own cluster's API server shall show it.
public struct ImportedService: Hashable, Sendable {
    public let service: ObjectName
    public let exported: ExportedService
    /// Cluster IPs of the service that stands for it here; empty until the API server gave it some.
    public let addresses: [Address]
    /// Of a headless service: the endpoints of each cluster that exports it.
    public let slices: [ImportedSlice]

    public init(
        service: ObjectName, exported: ExportedService, addresses: [Address],
        slices: [ImportedSlice]
    ) {
        self.service = service
        self.exported = exported
        self.addresses = addresses
        self.slices = slices
    }
}

public struct ImportedSlice: Hashable, Sendable {
    public let cluster: ClusterName
    public let record: SliceRecord
    /// Of nodes in that cluster, as far as anybody said.
    public let zones: [String: String]

    public init(cluster: ClusterName, record: SliceRecord, zones: [String: String] = [:]) {
        self.cluster = cluster
        self.record = record
        self.zones = zones
    }
}

extension ImportedService {
    /// Addresses that lead to every backend, in the order of ``families``.
    var ips: [Address] {
        guard !exported.families.isEmpty else { return addresses }
        return exported.families.flatMap { family in addresses.filter { $0.family == family } }
    }

    /// KEP-1645: ``ips`` must correspond to them.
    var families: [IPFamily] {
        let ips = ips
        return ips.isEmpty
            ? exported.families : exported.families.filter { ips.map(\.family).contains($0) }
    }

    /// Whether it can be used here, as ServiceImports say it.
    func ready(after former: ObjectCondition?, nowUnixSeconds now: UInt64) -> ObjectCondition {
        let (isReady, reason, message): (Bool, String, String) =
            if exported.isHeadless || !ips.isEmpty {
                (true, "Ready", "")
            } else if addresses.isEmpty {
                (false, "Pending", "no address yet for the service that stands for it here")
            } else {
                (
                    false, "IPFamilyNotSupported",
                    "its backends have \(exported.families.map(\.description).joined(separator: ", "))"
                        + " in common, which services don't have here"
                )
            }
        return ObjectCondition(
            "Ready", isReady, reason, message, after: former, nowUnixSeconds: now)
    }
}
