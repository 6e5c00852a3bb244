// SPDX-License-Identifier: Apache-2.0

import Crypto
import MeshDatapath
import MeshKubernetes
import MeshLease
import MeshModel
import MeshReachability
import MeshReconciler
import MeshReplication
import MeshStore
import MeshTransport

@testable import MeshAgent

/// A node's agent without sockets and kernel: the core, a folder of manifests, the reconcilers and
/// maps of plain memory. The folder, the maps and what was persisted outlive the agent.
struct SimulatedNode {
    let configuration: AgentConfiguration
    var peers: [PeerCluster]
    /// Of each cluster's CA.
    let authorities: SimulatedAuthorities
    var lease: SimulatedLease
    let disk: ManifestsOnDisk
    let datapath: MemoryDatapath
    var endpoints: [ObjectName: OwnEndpoint] = [:]
    var ledgers = SimulatedDisk()
    /// Of the agents that ran so far.
    private(set) var lives: UInt64 = 0
    /// What relays of other clusters said of their nodes, as it came here.
    var claims: [Message.DeadNodes] = []
    var drain = DrainDeclaration.never
    var departure = NodeDeparture()

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
        var policies: PolicyReconciler
        var frontends: Reconciler<FrontendTarget>
        var health: SimulatedHealth
    }

    mutating func start(at now: Instant) -> [StateEffect] {
        var effects: [StateEffect] = []
        lives += 1
        let store = MeshStore()
        var core = StateCore(
            configuration: configuration, peers: peers, store: store,
            authorities: ledgerAuthorities,
            candidacy: configuration.mayPublish ? candidacy : nil, drain: drain, wasUp: [],
            held: Set(endpoints.keys), now: now, into: &effects)
        core.resume(departure, into: &effects)
        core.restore(ledgers.contents, at: now, into: &effects)
        agent = Agent(
            core: core, folder: ManifestFolder(path: disk.path),
            clusters: Reconciler(ClusterTarget(datapath), table: \.clusters),
            nodes: Reconciler(NodeTarget(datapath), table: \.nodes),
            endpoints: Reconciler(EndpointTarget(datapath), table: \.endpoints),
            policies: PolicyReconciler(
                datapath: datapath, environment: configuration.policyEnvironment,
                own: configuration.cluster, renewsFlows: true),
            frontends: Reconciler(FrontendTarget(datapath, store), table: \.frontends),
            health: SimulatedHealth(
                of: id, peers: peers.map(\.id), instance: UInt64(id.cluster.rawValue) << 32 | lives,
                at: now))
        return effects
    }

    var ledgerAuthorities: [ClusterID: LedgerAuthority] { authorities.believed }

    private var candidacy: Candidacy {
        let isShared = configuration.publisher.lease != .fixed
        let owner = configuration.cluster
        return Candidacy(
            keeper: LeaseKeeper(
                holder: LeaseHolder(node: configuration.node.name, instance: lives),
                parameters: isShared ? .contended : .exclusive),
            seed: lives, root: { [authorities] in authorities.root(of: owner) },
            delegate: { [authorities] epoch in
                let key = Curve25519.Signing.PrivateKey()
                let delegation = Delegation(
                    owner: owner, epoch: epoch, key: key.publicKey, notAfter: .max)
                return Ledger(
                    try delegation.signed {
                        Array(try authorities.signature(of: owner, for: $0).rawRepresentation)
                    }, key: key)
            })
    }

    struct Outcome {
        /// To send.
        var frames: [(bytes: [UInt8], link: LinkID)] = []
        /// Of the lease store.
        var answers: [(answer: LeaseAnswer, call: UInt64)] = []
        var health: [HealthInput] = []
        /// How far the own ledger is on disk now.
        var durable: Position?
        /// What it says of itself reads differently.
        var mustSpeak = false
    }

    /// Carries out what doesn't leave the node.
    mutating func perform(_ effects: [StateEffect]) -> Outcome {
        var outcome = Outcome()
        for effect in effects {
            switch effect {
            case .send(let bytes, let link): outcome.frames.append((bytes, link))
            case .lease(let call): outcome.answers.append((lease.answer(call.request), call.id))
            case .append(let owner, let position, let message):
                ledgers.append(owner, message)
                if owner == configuration.cluster { outcome.durable = position }
            case .forget(let owner): ledgers.forget(owner)
            case .checkpoint(let owner):
                guard let checkpoint = agent?.core.synchroniser.takeCheckpoint(of: owner)
                else { continue }
                ledgers.save(checkpoint)
                if owner == configuration.cluster { outcome.durable = checkpoint.position }
            case .persistDrain(let drain): self.drain = drain
            case .persistDeparture(let departure): self.departure = departure
            case .tellOwnNode: outcome.mustSpeak = true
            case .note(let note): notes.append(note)
            case .health(let input):
                if case .claim(let claim) = input { claims.append(claim) }
                outcome.health.append(input)
            case .dial, .certify, .certified, .flowsAsk, .flowsAnswer, .accountAsk, .account:
                break
            }
        }
        return outcome
    }

    /// Makes the maps hold what the tables say.
    mutating func reconcile(at now: Instant) throws {
        guard let store = agent?.core.store else { return }
        var results = [
            agent?.clusters.pass(store, now: now), agent?.nodes.pass(store, now: now),
        ]
        let replaced = agent?.policies.pass(store, store.snapshot(), now: now) ?? []
        let placements = agent?.policies.placements ?? [:]
        agent?.endpoints.target.placements = placements
        results.append(agent?.endpoints.pass(store, now: now))
        results.append(agent?.frontends.pass(store, now: now))
        let rows = store.read { tables in replaced.compactMap { tables.endpoints[$0] } }
        let refused = agent?.endpoints.target.update(rows) ?? []
        if let failure = agent?.policies.failure ?? refused.first.map({ "\($0.error)" }) {
            throw Failure(description: "\(id): \(failure)")
        }
        for case let failure?? in results.map({ $0?.firstFailure })
        where failure != EndpointTarget.Unplaced.sentence {
            throw Failure(description: "\(id): \(failure)")
        }
    }

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }
}
