// SPDX-License-Identifier: Apache-2.0

import MeshKubernetes

/// A resource that the double serves.
public struct DoubleResource: Hashable, Sendable {
    public let group: String
    public let versions: [String]
    public let plural: String
    public let kind: String
    public let isNamespaced: Bool
    /// Defined by a CRD: its JSON has other habits than that of built-in types.
    public let isCustom: Bool
    /// Fields such as `spec.ips` that the definition doesn't have: server-side apply of an object with
    /// one of them is refused, all else that is written loses it.
    public let undeclared: Set<String>

    public init(
        group: String, versions: [String], plural: String, kind: String, isNamespaced: Bool = true,
        isCustom: Bool = false, undeclared: Set<String> = []
    ) {
        self.group = group
        self.versions = versions
        self.plural = plural
        self.kind = kind
        self.isNamespaced = isNamespaced
        self.isCustom = isCustom
        self.undeclared = undeclared
    }

    func apiVersion(_ version: String) -> String { group.isEmpty ? version : "\(group)/\(version)" }

    /// As messages name it: `leases.coordination.k8s.io`.
    var qualified: String { group.isEmpty ? plural : "\(plural).\(group)" }
}

extension DoubleResource {
    /// What a vanilla server of the recordings' version has, as far as Weft asks for it.
    public static let builtIn: [DoubleResource] = [
        .init(
            group: "", versions: ["v1"], plural: "namespaces", kind: "Namespace",
            isNamespaced: false),
        .init(group: "", versions: ["v1"], plural: "nodes", kind: "Node", isNamespaced: false),
        .init(group: "", versions: ["v1"], plural: "pods", kind: "Pod"),
        .init(group: "", versions: ["v1"], plural: "services", kind: "Service"),
        .init(group: "", versions: ["v1"], plural: "serviceaccounts", kind: "ServiceAccount"),
        .init(group: "", versions: ["v1"], plural: "configmaps", kind: "ConfigMap"),
        .init(group: "", versions: ["v1"], plural: "secrets", kind: "Secret"),
        .init(group: "", versions: ["v1"], plural: "events", kind: "Event"),
        .init(group: "events.k8s.io", versions: ["v1"], plural: "events", kind: "Event"),
        .init(
            group: "discovery.k8s.io", versions: ["v1"], plural: "endpointslices",
            kind: "EndpointSlice"),
        .init(
            group: "networking.k8s.io", versions: ["v1"], plural: "networkpolicies",
            kind: "NetworkPolicy"),
        .init(group: "coordination.k8s.io", versions: ["v1"], plural: "leases", kind: "Lease"),
    ]

    /// What the CRDs of MCS and of the network policy project add.
    public static let multicluster: [DoubleResource] = [
        .init(
            group: "multicluster.x-k8s.io", versions: ["v1beta1", "v1alpha1"],
            plural: "serviceexports", kind: "ServiceExport", isCustom: true),
        .init(
            group: "multicluster.x-k8s.io", versions: ["v1beta1", "v1alpha1"],
            plural: "serviceimports", kind: "ServiceImport", isCustom: true),
    ]

    /// The same in the definitions that there were before v1beta1.
    public static let earlyMulticluster: [DoubleResource] = multicluster.map { resource in
        DoubleResource(
            group: resource.group, versions: ["v1alpha1"], plural: resource.plural,
            kind: resource.kind, isCustom: true,
            undeclared: resource.kind == "ServiceExport"
                ? ["spec.exportedLabels", "spec.exportedAnnotations"]
                : [
                    "spec.ipFamilies", "spec.internalTrafficPolicy", "spec.trafficDistribution",
                    "status.conditions", "status.endpointSliceObjects",
                ])
    }

    public static let clusterNetworkPolicies = DoubleResource(
        group: "policy.networking.k8s.io", versions: ["v1alpha2"], plural: "clusternetworkpolicies",
        kind: "ClusterNetworkPolicy", isNamespaced: false, isCustom: true)
}
