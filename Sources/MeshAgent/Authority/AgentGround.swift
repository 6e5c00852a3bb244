// SPDX-License-Identifier: Apache-2.0

import MeshDatapath
import MeshEndpoints
import MeshLease

/// What an agent's parts stand on: a node's kernel and endpoints, or, for an authority apart from nodes,
/// memory and the lease that it holds.
struct AgentGround: Sendable {
    /// What an authority apart from nodes begins with.
    struct Lead: Sendable {
        let keeper: LeaseKeeper
        let vault: AuthorityVault
        let roots: RootsMap
        /// Set when it gives up its place.
        let lost: LostFlag
    }

    let datapath: any Datapath
    /// Nil without an overlay.
    let beats: OverlayBeats?
    let endpoints: EndpointManager
    let kubernetes: KubernetesAccess?
    /// Nil on nodes.
    let lead: Lead?

    /// Returns when what was decided about trust outlives this process.
    var settle: @Sendable () async throws -> Void {
        { [lead] in try await lead?.vault.settle() }
    }
}
