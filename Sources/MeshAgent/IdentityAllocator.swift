// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// Gives each set of policy-relevant labels of one cluster its number. Lives on the publisher.
///
/// Numbers are not reused while the publisher runs; a new publisher adopts the numbers that its
/// nodes report, so that endpoints keep theirs.
struct IdentityAllocator {
    private let cluster: ClusterID
    /// The highest number to give out.
    private let last: UInt32
    private var numbers: [Labels: Identity] = [:]
    private var owners: [Identity: Labels] = [:]
    private var next = Identity.firstAllocated

    init(cluster: ClusterID, last: UInt32 = Identity.localMaximum) {
        self.cluster = cluster
        self.last = last
    }

    /// The identity of `labels`: the known one, else `claimed` where nobody else has it, else a new
    /// one. Nil when all 2^20 − 256 numbers are taken: the endpoint stays *initializing*.
    mutating func identity(for labels: Labels, claimed: Identity? = nil) -> Identity? {
        if let known = numbers[labels] { return known }
        if let claimed, claimed.cluster == cluster, claimed.local >= Identity.firstAllocated,
            owners[claimed] == nil
        {
            return assign(claimed, to: labels)
        }
        while next <= last {
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
    let added = [
        "io.kubernetes.pod.namespace": endpoint.object.namespace,
        "io.weft.cluster": cluster.rawValue,
    ]
    return endpoint.labels.filter { !perReplica.contains($0.key) && added[$0.key] == nil }
        .limited(to: RecordLimit.labels - added.count)
        .merging(added) { $1 }
}

extension Labels {
    /// The first `count` labels in the order of their keys: what a record can carry.
    func limited(to count: Int) -> Labels {
        guard self.count > count else { return self }
        return Labels(uniqueKeysWithValues: sorted { $0.key < $1.key }.prefix(count).map { $0 })
    }
}
