// SPDX-License-Identifier: Apache-2.0

public import MeshModel
internal import Synchronization

extension Datapath {
    /// Fails over, drains or ramps a cluster for every service at once: one 8-byte store, no system
    /// call, no lock. Verdicts of policies aren't renewed by it, whatever `word` says.
    public func setCluster(_ cluster: ClusterID, _ word: LivenessWord) {
        core.clusters.update(at: Int(cluster.rawValue)) {
            word.with(policyGeneration: LivenessWord(rawValue: $0).policyGeneration).rawValue
        }
    }

    /// The same for a node: one 8-byte store. A node that nothing refers to yet starts with `word`
    /// when something does.
    public func setNode(_ node: NodeID, _ word: LivenessWord) {
        core.state.withLock { $0.nodes.setWord(word, of: node) }
    }

    /// What ``setCluster(_:_:)`` last stored: without the generation of policies.
    public func clusterWord(_ cluster: ClusterID) -> LivenessWord { core.clusterWord(cluster) }

    /// What ``setNode(_:_:)`` last stored; zero where nothing was.
    public func nodeWord(_ node: NodeID) -> LivenessWord {
        core.state.withLock { $0.nodes.word(of: node) }
    }

    /// A node's index in `weft_nodes`; nil while nothing refers to it.
    public func nodeIndex(_ node: NodeID) -> UInt32? {
        core.state.withLock { $0.nodes.knownIndex(of: node) }
    }
}
