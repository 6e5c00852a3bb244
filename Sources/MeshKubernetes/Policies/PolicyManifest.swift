// SPDX-License-Identifier: Apache-2.0

public import MeshPolicy

/// Policies in a file of YAML or JSON documents, or in an API server's list of them.
public struct PolicyManifest: Sendable {
    public let policies: [Policy]
    /// Not empty means that no policy of the file is to be used.
    public let problems: [ManifestProblem]

    /// - Parameters:
    ///   - bytes: at most 4 MiB.
    ///   - file: what to call it in problems.
    public init(bytes: [UInt8], file: String, nowUnixSeconds now: Int64) {
        let parsed = ManifestFile(bytes: bytes)
        policies = parsed.objects.keys.sorted().compactMap {
            if case .policy(let policy) = parsed.objects[$0]?.content { policy } else { nil }
        }
        problems = parsed.faults.map {
            ManifestProblem(
                file: file, line: $0.line, message: $0.message, sinceUnixSeconds: now)
        }
    }
}

extension Policy {
    /// Nil for what is no policy.
    ///
    /// - Throws: ``ManifestFault`` also for policies of a kind or version that Weft doesn't know: to
    ///   pass over a policy is to allow what it denies.
    init?(manifest root: ManifestField, kind: String, version: String) throws(ManifestFault) {
        guard kind.hasSuffix("NetworkPolicy") else { return nil }
        guard let kindOfPolicy = PolicyKind(rawValue: kind) else {
            throw try root["kind"].fault(
                "is \(kind), a kind of policy that Weft doesn't know; known are "
                    + PolicyKind.allCases.map(\.rawValue).joined(separator: ", "))
        }
        let known = Self.version(of: kindOfPolicy)
        guard version == known else {
            throw try root["apiVersion"].fault("is \(version); must be \(known)")
        }
        let isCilium = version == Self.version(of: .ciliumNetworkPolicy)
        try root.allow(
            only: Set(["apiVersion", "kind", "metadata", "spec", "status"])
                .union(isCilium ? ["specs"] : []))
        let spec = try root["spec"]
        guard isCilium || !spec.isNull else { throw spec.fault("is missing") }
        switch kindOfPolicy {
        case .networkPolicy: try self.init(networkPolicy: root)
        case .clusterNetworkPolicy: try self.init(clusterWide: root, .clusterNetworkPolicy)
        case .adminNetworkPolicy: try self.init(clusterWide: root, .adminNetworkPolicy)
        case .baselineAdminNetworkPolicy:
            try self.init(clusterWide: root, .baselineAdminNetworkPolicy)
        case .ciliumNetworkPolicy, .ciliumClusterwideNetworkPolicy:
            try self.init(cilium: root, kindOfPolicy)
        }
    }

    private static func version(of kind: PolicyKind) -> String {
        switch kind {
        case .networkPolicy: "networking.k8s.io/v1"
        case .clusterNetworkPolicy: "policy.networking.k8s.io/v1alpha2"
        case .adminNetworkPolicy, .baselineAdminNetworkPolicy: "policy.networking.k8s.io/v1alpha1"
        case .ciliumNetworkPolicy, .ciliumClusterwideNetworkPolicy: "cilium.io/v2"
        }
    }
}
