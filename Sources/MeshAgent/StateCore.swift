// SPDX-License-Identifier: Apache-2.0

import MeshKubernetes
import MeshLease
import MeshModel
import MeshPolicy
import MeshReachability
import MeshReplication
import MeshStore
import MeshTransport

/// Everything a node knows and tells, without sockets, clocks or log: frames and reports come in,
/// frames and rows go out.
struct StateCore {
    /// This long after it last answered, nodes go by each other's reports.
    static let publisherSilence = Duration.seconds(1)
    /// A publisher that answers again may first have to learn what was reported without it; after
    /// this long its ledger counts all the same.
    static let publisherCatchUp = Duration.seconds(5)
    /// How long a publisher that starts waits for those who may know its earlier epochs.
    static let openingWait = Duration.milliseconds(1500)
    /// One that has published before and finds nobody waits this long: what it doesn't hold when it
    /// opens its ledger is gone everywhere.
    static let lonelyOpeningWait = Duration.seconds(10)
    /// Nodes of a cluster hear of each other at least this often.
    static let sayingInterval = Duration.milliseconds(500)
    /// Sentences about refused records that are kept for each cluster.
    static let refusalsShown = 256
    static let maintenanceInterval = Duration.seconds(1)
    /// Each peer hears again where this node stands, in case either side lost track, once in so many
    /// ``maintenanceInterval``s.
    static let headsTurns = 30
    /// Unknown identities of a cluster are asked for so often at most.
    static let askingInterval = Duration.milliseconds(250)
    /// A restarted node waits so long for everybody's state; a peer that never says how far it is
    /// must not keep it from tidying up for ever.
    static let completionPatience = Duration.seconds(5)

    let configuration: AgentConfiguration
    var peers: [PeerCluster] = []
    let store: MeshStore
    /// The own cluster's nodes, those that are configured and those that the API server has, sorted by
    /// name.
    var members: [AgentConfiguration.Member]
    var configuredMembers: [AgentConfiguration.Member]
    /// What the API server says of them while no ledger does; nil: it wasn't asked.
    var seeds: [String: MemberRecord]?
    /// Whether they are others than when strangers were last looked for.
    var membersHaveMoved = false
    /// What `members` follow from.
    var membersBasis: [String: MemberRecord] = [:]
    /// What this cluster's relays are before any were announced, in the order of their rank.
    var configuredRelays: [String]
    var relayKeeper: RelayKeeper
    /// Sets of relays that heartbeats told of, by their generation, and that aren't here yet.
    var relaySetsHeard: [ClusterID: UInt64] = [:]
    /// When there was a link to a cluster last, or this node was no relay.
    var linkedAt: [ClusterID: Instant] = [:]
    /// Clusters that this relay dials though they should dial it.
    var calledBack: Set<ClusterID> = []
    var synchroniser: Synchroniser
    var tables: RecordTables
    var links: [LinkID: NodeID] = [:]
    /// What other clusters' relays said last of their nodes, while they are linked to this one.
    var claims: [NodeID: Message.DeadNodes] = [:]
    var gate: CharterGate
    var refusals: [ClusterID: [String: String]] = [:]
    var frozen: Set<ClusterID> = []
    var isComplete = false
    /// When identities of a cluster were asked for.
    var askedFor: [ClusterID: Instant] = [:]
    /// Whether the policies' table was declared complete.
    var knowsPolicies = false
    var drain: DrainDeclaration
    var departure = NodeDeparture()
    var silences: [ClusterID: Silence] = [:]
    var ownReport = OwnReport()
    /// Whether this node knows what to report: until then nobody may take its silence for a report.
    var hasSpoken = false
    /// Whose labels this node has told.
    var sandboxes: [ObjectName: Sandbox] = [:]
    /// Own records that are too large to tell.
    var oversized: Set<String> = []
    var book: ReportBook
    var view: OwnClusterView
    /// Nil on nodes that never publish.
    var candidacy: Candidacy?
    /// What this node gossips with; told with the next ``setOwn(folder:endpoints:at:realTime:into:)``.
    var gossipKeys: [GossipKey] = []
    /// What this node says about trust, and what its cluster's authority says, on the home; told likewise.
    var trustRecords: [RecordKey: [UInt8]] = [:]
    /// Set while this node publishes.
    var publisher: Publisher?
    var isOpen = false
    /// Changes that wait for the disk to finish with those before.
    var gathered: [LedgerChange] = []
    var acknowledgement = Acknowledgement()
    /// Who publishes the own ledger, as far as this node knows.
    var publisherNode: String?
    /// Whether this node knows what the shared store holds.
    var hasReadStore = false
    /// Whether the own ledger was read from this node's disk.
    var restoredOwn = false
    /// Seconds since 1970, as of the last tick; 0 before.
    var realTime: UInt64 = 0
    let startedAt: Instant
    /// Since when this node has somebody to learn its own ledger from, or need not wait for anybody.
    var askingSince: Instant
    var publisherHeard: Instant
    var isImpatient = false
    /// When the publisher answered again after a silence.
    var publisherReturned: Instant
    var nextSaying: Instant
    var nextMaintenance: Instant
    var headsTurn = 0
    var planBasis: PlanBasis?
    /// Nodes whose certificates aren't believed any more: nothing is gossiped with them.
    var distrusted: Set<NodeID> = []
    /// Whether the delegation of this publisher's epoch rests on an authority that is denied now.
    var delegationIsRefused = false
    /// Whether heads moved since health was told.
    var hasMoved = false
    /// What is wanted of other clusters' ledgers.
    var interest = ShardSet.all
    /// When the authority was linked to a node last, and what it holds of it, where it is apart.
    var nodesLinkedAt: [String: Instant] = [:]
    var nodesJudged: [String: Bool] = [:]

    /// What the health plan follows from; it is made anew when this changes.
    struct PlanBasis: Equatable, Sendable {
        let nodes: UInt64
        let peers: [PeerCluster]
        let inUse: Set<ClusterID>
        let relaySets: [ClusterID: RelaySetRecord]
        let distrusted: Set<NodeID>
    }
    var wasUp: Set<ClusterID>

    /// - Parameters:
    ///   - authorities: CAs that vouch for the clusters' ledgers; of one without, nothing is believed.
    ///   - candidacy: set on nodes that may publish the own ledger.
    ///   - wasUp: clusters that the kernel holds as up from before a restart.
    ///   - held: endpoints that it holds from before.
    ///   - judged: nodes of the own cluster that it holds as live, or as dead.
    init(
        configuration: AgentConfiguration, peers: [PeerCluster], store: MeshStore,
        authorities: [ClusterID: LedgerAuthority], candidacy: Candidacy?,
        drain: DrainDeclaration, wasUp: Set<ClusterID>,
        held: Set<ObjectName> = [], judged: [String: Bool] = [:], now: Instant,
        into effects: inout [StateEffect]
    ) {
        self.configuration = configuration
        self.store = store
        self.candidacy = candidacy
        publisherNode =
            configuration.publisher.lease == .fixed ? configuration.publisher.candidates[0] : nil
        self.drain = drain
        self.wasUp = wasUp
        startedAt = now
        askingSince = now
        publisherHeard = now
        publisherReturned = now
        nextSaying = now
        nextMaintenance = now
        members = configuration.members
        configuredMembers = configuration.members
        configuredRelays = Self.relays(among: members, of: configuration.cluster)
        relayKeeper = Self.relayKeeper(judged, of: configuration)
        view = OwnClusterView(node: configuration.node.name)
        book = ReportBook(home: configuration.home)
        tables = RecordTables(own: configuration.node, store: store, held: held)
        gate = CharterGate()
        synchroniser = Synchroniser(
            receiptsOf: configuredRelays.contains(configuration.node.name)
                ? configuration.cluster : nil)
        writeOwnPrefixes()
        perform(&effects) { core, replication -> Void in
            core.synchroniser.add(
                owner: configuration.cluster,
                authority: authorities[configuration.cluster] ?? LedgerAuthority([]),
                into: &replication)
        }
        setPeers(peers, authorities: authorities, into: &effects)
        store.write { $0.clusters.declareComplete() }
        effects.append(.health(.declare(drain)))
        announce(into: &effects)
    }

    /// - Parameter judged: nodes that the kernel holds as live, or as dead, from before a restart.
    private static func relayKeeper(
        _ judged: [String: Bool], of configuration: AgentConfiguration
    ) -> RelayKeeper {
        RelayKeeper(
            of: configuration.cluster,
            live: judged.filter(\.value).keys + [configuration.node.name],
            dead: judged.filter { !$0.value && $0.key != configuration.node.name }.keys,
            parameters: configuration.healthProfile.reachability)
    }

    /// What the kernel holds of nodes that only the restored ledger names.
    mutating func recall(_ judged: [String: Bool]) {
        relayKeeper = Self.relayKeeper(judged, of: configuration)
    }

    var reportConflicts: [String] { publisher?.conflicts ?? [] }
    /// Whether there is no other node to hear from.
    var isAlone: Bool {
        members.map(\.name) == [configuration.node.name] && peers.isEmpty && knowsMembers
    }
    var publisherAnswers: Bool { !view.usesReports }
    /// Whether the own ledger is kept in a store that all nodes of the cluster read.
    var usesSharedStore: Bool { configuration.publisher.store == .etcd }
}

// MARK: Links

extension StateCore {
    mutating func linkUp(_ link: LinkID, to node: NodeID, into effects: inout [StateEffect]) {
        links[link] = node
        effects.append(.note(.linkUp(node)))
        // Its certificate was judged just now: its gossip counts again.
        if distrusted.remove(node) != nil { settle(into: &effects) }
        perform(&effects) { core, replication -> Void in
            let isShared =
                core.usesSharedStore && node.cluster == core.configuration.cluster
            core.synchroniser.linkUp(
                link.replication, scope: isShared ? .allBut(node.cluster) : .all,
                into: &replication)
        }
        guard node.cluster == configuration.cluster else { return }
        for message in hasSpoken ? ownReport.full : [] {
            effects.append(.send(message.encoded, over: link))
        }
        effects.append(.send(drainMessage.encoded, over: link))
        for (_, claim) in claims.sorted(by: { $0.key < $1.key }) {
            effects.append(.send(Message.deadNodes(claim).encoded, over: link))
        }
    }

    mutating func linkDown(_ link: LinkID, into effects: inout [StateEffect]) {
        guard let node = links.removeValue(forKey: link) else { return }
        claims[node] = nil
        effects.append(.note(.linkDown(node)))
        perform(&effects) { core, replication in
            core.synchroniser.linkDown(link.replication, into: &replication)
        }
    }

    mutating func receive(
        _ frame: [UInt8], over link: LinkID, at now: Instant, into effects: inout [StateEffect]
    ) {
        guard let node = links[link] else { return }
        let isOwn = node.cluster == configuration.cluster
        if isOwn, node.name == publisherNode { heardPublisher(at: now) }
        let message: Message
        do throws(DecodingFault) {
            message = try Message(encoded: frame)
        } catch {
            effects.append(.note(.undecodable(from: node, error)))
            return
        }
        switch message {
        case .replication(let bytes):
            perform(&effects) { core, replication in
                core.synchroniser.receive(
                    bytes, from: link.replication, at: now, into: &replication)
            }
            noteReceipt(at: now)
        case .report(let report) where isOwn: take(report, from: node, at: now, into: &effects)
        case .paths(let report) where isOwn && report.relay == node.name:
            effects.append(.health(.relayReport(report)))
        case .deadNodes(let claim) where isOwn || claim.relay == node:
            effects.append(.health(.claim(claim)))
            guard !isOwn else { return }
            claims[node] = claim
            tellOwn(.deadNodes(claim), into: &effects)
        case .drain(let wish) where isOwn: take(wish, into: &effects)
        case .publisher(let position) where isOwn:
            heardPublisher(node.name, at: position, now)
        case .certificateRequest(let purpose, let request) where isOwn:
            effects.append(.certify(purpose, request, of: node, over: link))
        case .certificate(let purpose, let answer) where isOwn:
            effects.append(.certified(purpose, answer))
        case .flowsAsk(let ask) where isOwn: effects.append(.flowsAsk(ask, over: link))
        case .flowsAnswer(let answer) where isOwn:
            effects.append(.flowsAnswer(answer, from: node))
        case .accountAsk(let ask) where isOwn:
            effects.append(.accountAsk(ask, from: node, over: link))
        case .account(let account) where isOwn:
            effects.append(.account(account, from: node))
        case .report, .paths, .deadNodes, .drain, .publisher, .certificateRequest, .certificate,
            .flowsAsk, .flowsAnswer, .accountAsk, .account:
            effects.append(.note(.outOfTurn(from: node, "message")))
        }
    }

    func tellOwn(_ message: Message, into effects: inout [StateEffect]) {
        tell(message, into: &effects) { $0.cluster == configuration.cluster }
    }

    func tellOthers(_ message: Message, into effects: inout [StateEffect]) {
        tell(message, into: &effects) { $0.cluster != configuration.cluster }
    }

    func tell(
        _ message: Message, into effects: inout [StateEffect], where matches: (NodeID) -> Bool
    ) {
        let frame = message.encoded
        for (link, node) in links.sorted(by: { $0.key < $1.key }) where matches(node) {
            effects.append(.send(frame, over: link))
        }
    }
}

// MARK: This node's certificate

extension StateCore {
    /// Asks a node that holds the CA to certify a key; about another authority, the home.
    ///
    /// - Parameter attempt: another number asks another one of several.
    /// - Returns: false if none is linked.
    func requestCertificate(
        _ purpose: Message.CertificatePurpose, _ request: [UInt8], attempt: Int,
        into effects: inout [StateEffect]
    ) -> Bool {
        let names =
            purpose == .authority ? [configuration.home] : configuration.publisher.candidates
        let holders = links.filter {
            $0.value.cluster == configuration.cluster && names.contains($0.value.name)
        }.keys.sorted()
        guard !holders.isEmpty else { return false }
        effects.append(
            .send(
                Message.certificateRequest(purpose, request).encoded,
                over: holders[attempt % holders.count]))
        return true
    }
}

// MARK: This node's own word

extension StateCore {
    /// What the folder and the attached endpoints say now.
    ///
    /// - Parameter pods: what the API server says of this node's pods: it comes before the folder.
    mutating func setOwn(
        folder: FolderSnapshot, pods: [ObjectName: PodManifest] = [:],
        endpoints: [ObjectName: OwnEndpoint], at now: Instant, realTime: UInt64,
        into effects: inout [StateEffect]
    ) {
        var records = folder.exportedRecords
        for policy in folder.policies.values {
            let record = PolicyRecord(policy)
            records[record.key] = record.encoded
        }
        let node = NodeRecord(
            name: configuration.node.name, outerAddresses: [configuration.underlay],
            podPrefixes: configuration.podPrefixes, zone: configuration.zone,
            isRelay: configuredRelays.contains(configuration.node.name), gossipKeys: gossipKeys,
            isDraining: departure.phase != .serving)
        if !isApart { records[node.key] = node.encoded }
        let (known, unlabelled) = ownRecords(of: endpoints) { [pods[$0], folder.pods[$0]] }
        for record in known { records[record.key] = record.encoded }
        records.merge(trustRecords) { $1 }
        keepWithinLimits(&records)
        tables.setInterfaces(endpoints.mapValues(\.interface))
        let changes = ownReport.replace(with: records, now: realTime)
        let messages = hasSpoken ? changes : ownReport.full
        hasSpoken = true
        for message in messages {
            tellOwn(message, into: &effects)
            guard case .report(let report) = message else { continue }
            take(report, from: configuration.node, at: now, into: &effects)
        }
        tables.setUnlabelled(unlabelled)
    }

    /// What no ledger can carry isn't told, for nobody could read the report either: what was said
    /// before stays in force.
    mutating func keepWithinLimits(_ records: inout [RecordKey: [UInt8]]) {
        for key in oversized { refusals[configuration.cluster]?[key] = nil }
        oversized = []
        for (key, value) in records where value.count > ReplicationLimit.valueBytes {
            records[key] = ownReport.values[key]
            oversized.insert("\(key)")
            refusals[configuration.cluster, default: [:]]["\(key)"] =
                "\(key): \(value.count) bytes, more than \(ReplicationLimit.valueBytes); split it"
        }
    }

    mutating func setDrain(
        _ isDraining: Bool, generation: UInt64, into effects: inout [StateEffect]
    ) {
        take(
            Message.DrainWish(
                isDraining: isDraining,
                generation: max(generation, min(drain.generation, .max - 1) + 1)),
            into: &effects)
        tellOwn(drainMessage, into: &effects)
    }

    var drainMessage: Message {
        .drain(Message.DrainWish(isDraining: drain.isDraining, generation: drain.generation))
    }

    mutating func take(_ wish: Message.DrainWish, into effects: inout [StateEffect]) {
        // A clock that runs mad must not say the last word: the highest generation is nobody's.
        guard wish.generation > drain.generation, wish.generation < .max else { return }
        drain = DrainDeclaration(generation: wish.generation, isDraining: wish.isDraining)
        effects.append(.persistDrain(drain))
        effects.append(.health(.declare(drain)))
    }
}

/// An endpoint of this node, as its report tells it.
struct OwnEndpoint: Hashable, Sendable {
    let addresses: [Address]
    let labels: Labels
    let interface: LocalInterface
    /// Set if a container runtime had it attached: its labels are its pod's.
    var sandbox: Sandbox?
}

extension LinkID {
    var replication: ReplicationLink { ReplicationLink(rawValue: rawValue) }
}
