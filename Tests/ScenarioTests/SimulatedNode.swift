// SPDX-License-Identifier: Apache-2.0

import Crypto
import MeshDatapath
import MeshKubernetes
import MeshModel
import MeshReachability
import MeshReconciler
import MeshStore
import MeshTransport

@testable import MeshAgent

/// A node's agent without sockets and kernel: the core, a folder of manifests, the reconcilers and
/// maps of plain memory. The folder, the maps and what was persisted outlive the agent.
struct SimulatedNode {
    let configuration: AgentConfiguration
    let peers: [PeerCluster]
    let key: Curve25519.Signing.PrivateKey
    let disk: ManifestsOnDisk
    let datapath: MemoryDatapath
    var endpoints: [ObjectName: OwnEndpoint] = [:]
    var epoch: UInt32 = 0
    /// What relays of other clusters said of their nodes, as it came here.
    var claims: [Message.DeadNodes] = []
    var drain = DrainDeclaration.never

    /// Nil while it is dead.
    var agent: Agent?
    private(set) var notes: [StateNote] = []

    var id: NodeID { configuration.node }

    struct Agent {
        var core: StateCore
        var folder: ManifestFolder
        var clusters: Reconciler<ClusterTarget>
        var nodes: Reconciler<NodeTarget>
        var endpoints: Reconciler<EndpointTarget>
        var frontends: Reconciler<FrontendTarget>
    }

    mutating func start(at now: Instant) -> [StateEffect] {
        var effects: [StateEffect] = []
        let core = StateCore(
            configuration: configuration, peers: peers, store: MeshStore(),
            ownKey: key.publicKey, ledgerKey: configuration.isPublisher ? key : nil,
            storedEpoch: epoch, drain: drain, wasUp: [], held: Set(endpoints.keys), now: now,
            into: &effects)
        agent = Agent(
            core: core, folder: ManifestFolder(path: disk.path),
            clusters: Reconciler(ClusterTarget(datapath), table: \.clusters),
            nodes: Reconciler(NodeTarget(datapath), table: \.nodes),
            endpoints: Reconciler(EndpointTarget(datapath), table: \.endpoints),
            frontends: Reconciler(FrontendTarget(datapath), table: \.frontends))
        return effects
    }

    /// Carries out what doesn't leave the node.
    ///
    /// - Returns: frames to send.
    mutating func perform(_ effects: [StateEffect]) -> [(bytes: [UInt8], link: LinkID)] {
        var frames: [(bytes: [UInt8], link: LinkID)] = []
        for effect in effects {
            switch effect {
            case .send(let bytes, let link): frames.append((bytes, link))
            case .persistEpoch(let epoch): self.epoch = epoch
            case .persistDrain(let drain): self.drain = drain
            case .note(let note): notes.append(note)
            case .health(.claim(let claim)): claims.append(claim)
            case .health: break
            }
        }
        return frames
    }

    /// Makes the maps hold what the tables say.
    mutating func reconcile(at now: Instant) throws {
        guard let store = agent?.core.store else { return }
        let results = [
            agent?.clusters.pass(store, now: now), agent?.nodes.pass(store, now: now),
            agent?.endpoints.pass(store, now: now), agent?.frontends.pass(store, now: now),
        ]
        for case let failure?? in results.map({ $0?.firstFailure }) {
            throw Failure(description: "\(id): \(failure)")
        }
    }

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }
}
