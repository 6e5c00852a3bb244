// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// Gives each set of policy-relevant labels of one cluster its number. Lives on the publisher.
///
/// Numbers are not reused while the publisher runs; a new publisher adopts the numbers that its
/// nodes report, so that endpoints keep theirs.
struct IdentityAllocator {
    private let cluster: ClusterID
    private var numbers: [Labels: Identity] = [:]
    private var owners: [Identity: Labels] = [:]
    private var next = Identity.firstAllocated

    init(cluster: ClusterID) { self.cluster = cluster }

    /// The identity of `labels`: the known one, else `claimed` where nobody else has it, else a new
    /// one. Nil when all 2^20 − 256 numbers are taken: the endpoint stays *initializing*.
    mutating func identity(for labels: Labels, claimed: Identity? = nil) -> Identity? {
        if let known = numbers[labels] { return known }
        if let claimed, claimed.cluster == cluster, claimed.local >= Identity.firstAllocated,
            owners[claimed] == nil
        {
            return assign(claimed, to: labels)
        }
        while next <= Identity.localMaximum {
            defer { next += 1 }
            if let identity = Identity(cluster: cluster, local: next), owners[identity] == nil {
                return assign(identity, to: labels)
            }
        }
        return nil
    }

    private mutating func assign(_ identity: Identity, to labels: Labels) -> Identity {
        numbers[labels] = identity
        owners[identity] = labels
        return identity
    }
}

/// The labels that make an endpoint's identity: its own without those that differ in every replica
/// of a workload, its namespace and its cluster.
func identityLabels(of endpoint: EndpointRecord, cluster: ClusterName) -> Labels {
    let perReplica: Set = [
        "pod-template-hash", "controller-revision-hash", "statefulset.kubernetes.io/pod-name",
        "apps.kubernetes.io/pod-index", "batch.kubernetes.io/job-completion-index",
        "batch.kubernetes.io/controller-uid", "controller-uid",
    ]
    var labels = endpoint.labels.filter { !perReplica.contains($0.key) }
    labels["io.kubernetes.pod.namespace"] = endpoint.object.namespace
    labels["io.weft.cluster"] = cluster.rawValue
    return labels
}
