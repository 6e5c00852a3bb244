// SPDX-License-Identifier: Apache-2.0

public import MeshModel
internal import Synchronization

extension Datapath {
    /// A number for a policy set that no endpoint and no version has. Until a version is published
    /// under it, it denies everything.
    ///
    /// - Throws: `.mapFull` when every number is taken.
    public func newPolicySet() throws(DatapathError) -> UInt32 {
        try core.state.withLock { state throws(DatapathError) in
            let endpoints = state.endpoints
            return try state.policies.newSet { () throws(DatapathError) in
                try endpoints.policySets()
            }
        }
    }

    /// Puts versions of policy sets in force, for new flows at once: all or none. Everything of all
    /// of them is in the kernel before the first of the stores that publish them, one a set. Open
    /// flows follow after ``renewVerdicts()``.
    ///
    /// - Parameter images: each with the sets that share it from now on, one at least.
    /// - Returns: the versions' numbers, as events name them; those in force where they are the same.
    /// - Throws: `.mapFull`, `.invalid`: what was in force stays, nothing of the new remains.
    /// - Complexity: a store for each interval of lists that no other version has, one `bpf(2)` call
    ///   for some thousand peers with lists, those of its base included.
    @discardableResult
    public func publishPolicies(
        _ images: [(image: PolicyImage, sets: [UInt32])]
    ) throws(DatapathError) -> [UInt32] {
        try core.state.withLock { state throws(DatapathError) in
            let versions = try state.policies.publish(images, reclaim: core.reclaim)
            core.scheduleReclaim(&state)
            return versions
        }
    }

    /// Puts one version in force under one set.
    @discardableResult
    public func publishPolicy(
        _ image: PolicyImage, as set: UInt32
    ) throws(DatapathError) -> UInt32 {
        try publishPolicies([(image, [set])])[0]
    }

    /// Puts the version in force that another set has: one store.
    public func sharePolicy(_ set: UInt32, with other: UInt32) throws(DatapathError) {
        try core.state.withLock { state throws(DatapathError) in
            try state.policies.share(set, with: other)
            core.scheduleReclaim(&state)
        }
    }

    /// Gives a peer lists of its own in the version in force, or changes or takes them; for all sets
    /// that share the version.
    ///
    /// - Parameters:
    ///   - egress: nil: it has none and goes by the standard list.
    ///   - set: one that has a version.
    /// - Throws: `.mapFull`, `.invalid`: the peer's lists are what they were.
    public func setPolicyPeer(
        _ peer: DatapathPeer, egress: [PolicyInterval]?, ingress: [PolicyInterval]?,
        in set: UInt32
    ) throws(DatapathError) {
        try core.state.withLock { state throws(DatapathError) in
            try state.policies.setPeer(
                peer, egress: egress, ingress: ingress, in: set, reclaim: core.reclaim)
            core.scheduleReclaim(&state)
        }
    }

    /// Gives a set's number back. Endpoints that still have it are denied everything; one that is
    /// gone is success.
    public func removePolicySet(_ set: UInt32) {
        core.state.withLock { state in
            state.policies.remove(set)
            core.scheduleReclaim(&state)
        }
    }

    /// Gives back sets that no endpoint's row has and that aren't among `used`: what an earlier process
    /// left behind.
    public func removePolicySets(except used: Set<UInt32>) throws(DatapathError) {
        try core.state.withLock { state throws(DatapathError) in
            let kept = try state.endpoints.policySets().union(used)
            for set in state.policies.sets.keys where !kept.contains(set) {
                state.policies.remove(set)
            }
            core.scheduleReclaim(&state)
        }
    }

    /// Sets that have a version in force, whoever published it, and the version.
    public func policySets() -> [UInt32: UInt32] {
        core.state.withLock { $0.policies.sets }
    }

    /// Adds blocks of addresses that versions published from now on can tell apart.
    ///
    /// - Parameter blocks: numbers ≥ 1; several prefixes may have one.
    /// - Returns: their generation, for ``PolicyImage/blocks``.
    /// - Throws: `.mapFull`, `.invalid`: nothing of them remains.
    public func addPolicyBlocks(_ blocks: [Prefix: UInt32]) throws(DatapathError) -> UInt32 {
        try core.state.withLock { state throws(DatapathError) in
            try state.policies.addBlocks(blocks, reclaim: core.reclaim)
        }
    }

    /// Takes blocks away; those gone already are success.
    ///
    /// - Throws: `.invalid` when a version in force looks addresses up in them: nothing changed.
    public func removePolicyBlocks(_ generation: UInt32) throws(DatapathError) {
        try core.state.withLock { state throws(DatapathError) in
            try state.policies.removeBlocks(generation)
            core.scheduleReclaim(&state)
        }
    }

    /// Says that lists were made for these peers: what depends on the peer is denied for good.
    ///
    /// - Throws: `.mapFull`: none of those that were not known before is.
    public func setKnownPeers(_ peers: some Sequence<DatapathPeer>) throws(DatapathError) {
        try core.state.withLock { state throws(DatapathError) in
            try state.policies.setKnown(peers)
        }
    }

    /// The opposite; peers that aren't known are success.
    public func forgetKnownPeers(_ peers: some Sequence<DatapathPeer>) throws(DatapathError) {
        try core.state.withLock { state throws(DatapathError) in
            try state.policies.forgetKnown(peers)
        }
    }

    /// What the kernel holds, whoever put it there.
    public func knownPeers() -> Set<DatapathPeer> {
        core.state.withLock { Set($0.policies.known) }
    }

    /// Has the verdict of every open flow taken again at its next packet. Call it after policies,
    /// identities or endpoints' sets have changed.
    ///
    /// - Complexity: a store for each cluster in use.
    public func renewVerdicts() {
        core.renewVerdicts(clusters: core.state.withLock { $0.nodes.clusters })
    }
}
