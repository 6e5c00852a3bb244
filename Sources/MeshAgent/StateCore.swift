// SPDX-License-Identifier: Apache-2.0

import Crypto
import MeshKubernetes
import MeshModel
import MeshReachability
import MeshReplication
import MeshStore
import MeshTransport

/// What ``StateCore`` wants done, in order.
enum StateEffect: Sendable {
    case send([UInt8], over: LinkID)
    case health(HealthInput)
    /// Before anything of the epoch is sent.
    case persistEpoch(UInt32)
    case persistDrain(DrainDeclaration)
    case note(StateNote)
}

enum HealthInput: Sendable {
    case follow(HealthService.Plan)
    case relayReport(RelayReport)
    case heard(NodeID)
    case claim(Message.DeadNodes)
    case moved(ClusterID, Position)
    case announce(head: Position, rollup: RollupHash)
    case declare(DrainDeclaration)
}

/// What an operator may want to know.
enum StateNote: Sendable {
    case linkUp(NodeID)
    case linkDown(NodeID)
    case undecodable(from: NodeID, DecodingFault)
    /// A node spoke of something that isn't its to say.
    case outOfTurn(from: NodeID, String)
    case rejected(RejectionReason, from: NodeID?)
    case refused(ClusterID, String)
    case frozen(ClusterID, Position)
    case thawed(ClusterID, Position)
    case publisherLost
    case publisherBack
    case opened(epoch: UInt32)
    case publishingFailed(CommitFault)
    case complete
}

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
    static let maintenanceInterval = Duration.seconds(1)
    /// A restarted node waits so long for everybody's state; a peer that never says how far it is
    /// must not keep it from tidying up for ever.
    static let completionPatience = Duration.seconds(5)

    let configuration: AgentConfiguration
    let peers: [PeerCluster]
    let store: MeshStore
    /// Of the own cluster, in the order of their rank.
    let relays: [String]
    var isRelay: Bool { relays.contains(configuration.node.name) }

    private(set) var synchroniser: Synchroniser
    private(set) var tables: RecordTables
    private(set) var links: [LinkID: NodeID] = [:]
    /// What other clusters' relays said last of their nodes, while they are linked to this one.
    private var claims: [NodeID: Message.DeadNodes] = [:]
    private(set) var refusals: [ClusterID: [String: String]] = [:]
    private(set) var frozen: Set<ClusterID> = []
    private(set) var isComplete = false
    private(set) var drain: DrainDeclaration
    private var ownReport = OwnReport()
    /// Whether this node knows what to report: until then nobody may take its silence for a report.
    private var hasSpoken = false
    /// Own records that are too large to tell.
    private var oversized: Set<String> = []
    private var book = ReportBook()
    private var view: OwnClusterView
    private var publisher: Publisher?
    private let ledgerKey: Curve25519.Signing.PrivateKey?
    private var storedEpoch: UInt32
    private var isOpen = false
    private let startedAt: Instant
    /// Since when this node has somebody to learn its own ledger from, or need not wait for anybody.
    private var askingSince: Instant
    private var publisherHeard: Instant
    private var isImpatient = false
    /// When the publisher answered again after a silence.
    private var publisherReturned: Instant
    private var nextSaying: Instant
    private var nextMaintenance: Instant
    private var planBasis: PlanBasis?

    /// What the health plan follows from; it is made anew when this changes.
    private struct PlanBasis: Equatable, Sendable {
        let nodes: UInt64
        let inUse: Set<ClusterID>
    }
    private var wasUp: Set<ClusterID>

    /// - Parameters:
    ///   - ownKey: verifies the own cluster's ledger.
    ///   - ledgerKey: signs it; on the publisher only.
    ///   - storedEpoch: the highest this node ever opened.
    ///   - wasUp: clusters that the kernel holds as up from before a restart.
    ///   - held: endpoints that it holds from before.
    init(
        configuration: AgentConfiguration, peers: [PeerCluster], store: MeshStore,
        ownKey: Curve25519.Signing.PublicKey, ledgerKey: Curve25519.Signing.PrivateKey?,
        storedEpoch: UInt32, drain: DrainDeclaration, wasUp: Set<ClusterID>,
        held: Set<ObjectName> = [], now: Instant, into effects: inout [StateEffect]
    ) {
        self.configuration = configuration
        self.peers = peers
        self.store = store
        self.ledgerKey = ledgerKey
        self.storedEpoch = storedEpoch
        self.drain = drain
        self.wasUp = wasUp
        startedAt = now
        askingSince = now
        publisherHeard = now
        publisherReturned = now
        nextSaying = now
        nextMaintenance = now
        relays = RelayChoice.relays(
            among: configuration.members.map { RelayCandidate(name: $0.name, zone: "") },
            of: configuration.cluster)
        view = OwnClusterView(node: configuration.node.name)
        tables = RecordTables(own: configuration.node, store: store, held: held)
        synchroniser = Synchroniser(filter: Charter(peers).judge)
        if ledgerKey != nil {
            publisher = Publisher(cluster: configuration.cluster, name: configuration.clusterName)
        }
        var replication: [ReplicationEffect] = []
        synchroniser.add(owner: configuration.cluster, key: ownKey, into: &replication)
        for peer in peers {
            guard let key = try? Curve25519.Signing.PublicKey(rawRepresentation: peer.ledgerKey)
            else { continue }
            synchroniser.add(owner: peer.id, key: key, into: &replication)
        }
        store.write { [configuration, peers] tables in
            tables.clusters.upsert(
                ClusterRow(
                    id: configuration.cluster, name: configuration.clusterName,
                    podPrefixes: configuration.podPrefixes, sourceCheck: .node, isLocal: true))
            for peer in peers {
                tables.clusters.upsert(
                    ClusterRow(
                        id: peer.id, name: peer.name, podPrefixes: peer.podPrefixes,
                        sourceCheck: .node, isLocal: false))
            }
            tables.clusters.declareComplete()
        }
        effects.append(.health(.declare(drain)))
        announce(into: &effects)
    }

    var reportConflicts: [String] { publisher?.conflicts ?? [] }
    var publisherAnswers: Bool { !view.usesReports }
}

// MARK: Links

extension StateCore {
    mutating func linkUp(_ link: LinkID, to node: NodeID, into effects: inout [StateEffect]) {
        links[link] = node
        effects.append(.note(.linkUp(node)))
        perform(&effects) { core, replication in
            core.synchroniser.linkUp(link.replication, into: &replication)
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
        if isOwn {
            effects.append(.health(.heard(node)))
            if node.name == configuration.publisher { heardPublisher(at: now) }
        }
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
                core.synchroniser.receive(bytes, from: link.replication, into: &replication)
            }
        case .report(let report) where isOwn: take(report, from: node, at: now, into: &effects)
        case .paths(let report) where isOwn && report.relay == node.name:
            effects.append(.health(.relayReport(report)))
        case .deadNodes(let claim) where isOwn || claim.relay == node:
            effects.append(.health(.claim(claim)))
            guard !isOwn else { return }
            claims[node] = claim
            tellOwn(.deadNodes(claim), into: &effects)
        case .drain(let wish) where isOwn: take(wish, into: &effects)
        case .report, .paths, .deadNodes, .drain:
            effects.append(.note(.outOfTurn(from: node, "message")))
        }
    }

    func tellOwn(_ message: Message, into effects: inout [StateEffect]) {
        tell(message, into: &effects) { $0.cluster == configuration.cluster }
    }

    func tellOthers(_ message: Message, into effects: inout [StateEffect]) {
        tell(message, into: &effects) { $0.cluster != configuration.cluster }
    }

    private func tell(
        _ message: Message, into effects: inout [StateEffect], where matches: (NodeID) -> Bool
    ) {
        let frame = message.encoded
        for (link, node) in links.sorted(by: { $0.key < $1.key }) where matches(node) {
            effects.append(.send(frame, over: link))
        }
    }
}

// MARK: This node's own word

extension StateCore {
    /// What the folder and the attached endpoints say now.
    mutating func setOwn(
        folder: FolderSnapshot, endpoints: [ObjectName: OwnEndpoint], at now: Instant,
        realTime: UInt64, into effects: inout [StateEffect]
    ) {
        var records = folder.records
        let node = NodeRecord(
            name: configuration.node.name, outerAddresses: [configuration.underlay],
            podPrefixes: configuration.podPrefixes, zone: configuration.zone, isRelay: isRelay)
        records[node.key] = node.encoded
        for (object, endpoint) in endpoints {
            let labels = endpoint.labels.merging(folder.podLabels[object] ?? [:]) { $1 }
                .limited(to: RecordLimit.labels)
            let record = EndpointRecord(
                object: object, node: configuration.node.name, addresses: endpoint.addresses,
                identity: Identity(rawValue: 0), labels: labels)
            records[record.key] = record.encoded
        }
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
    }

    /// What no ledger can carry isn't told, for nobody could read the report either: what was said
    /// before stays in force.
    private mutating func keepWithinLimits(_ records: inout [RecordKey: [UInt8]]) {
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

    private var drainMessage: Message {
        .drain(Message.DrainWish(isDraining: drain.isDraining, generation: drain.generation))
    }

    private mutating func take(_ wish: Message.DrainWish, into effects: inout [StateEffect]) {
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
}

// MARK: Reports and the ledger

extension StateCore {
    private mutating func take(
        _ report: Message.Report, from node: NodeID, at now: Instant,
        into effects: inout [StateEffect]
    ) {
        for put in report.puts where !put.isOwnWord(of: node.name) {
            effects.append(.note(.outOfTurn(from: node, "\(put.key)")))
        }
        let changed = book.apply(report, from: node.name)
        if book.isComplete(of: node.name) {
            applyOwn(
                view.setReport(of: node.name, book.values(of: node.name)), into: &effects)
        }
        guard isOpen else { return }
        publish(publisher?.apply(changed, of: node.name, from: book) ?? [], into: &effects)
        if report.closes { sweep(into: &effects) }
    }

    private mutating func publish(_ changes: [LedgerChange], into effects: inout [StateEffect]) {
        guard !changes.isEmpty else { return }
        perform(&effects) { core, replication in
            do throws(CommitFault) {
                try core.synchroniser.publish(changes, into: &replication)
                return nil
            } catch {
                return .publishingFailed(error)
            }
        }
    }

    private mutating func sweep(into effects: inout [StateEffect]) {
        let stale = publisher?.stale(
            in: synchroniser.view(of: configuration.cluster), reporters: book.complete,
            members: Set(configuration.members.map(\.name)))
        publish(stale ?? [], into: &effects)
    }

    private mutating func open(at now: Instant, into effects: inout [StateEffect]) {
        guard let ledgerKey, !isOpen else { return }
        let isAlone = configuration.members.count == 1 && peers.isEmpty
        if links.isEmpty, storedEpoch > 0, !isAlone, now - startedAt <= Self.lonelyOpeningWait {
            askingSince = now
            return
        }
        let isInformed =
            !links.isEmpty
            && links.keys.allSatisfy { synchroniser.isCaughtUp(with: $0.replication) }
        let waited = now - askingSince
        guard isAlone || waited > Self.openingWait || isInformed && waited > Self.openingWait / 3
        else { return }
        let known = synchroniser.head(of: configuration.cluster)?.position.epoch ?? 0
        let epoch = max(known, storedEpoch) + 1
        storedEpoch = epoch
        effects.append(.persistEpoch(epoch))
        effects.append(.note(.opened(epoch: epoch)))
        synchroniser.open(Ledger(owner: configuration.cluster, epoch: epoch, key: ledgerKey))
        isOpen = true
        publisher?.adopt(synchroniser.view(of: configuration.cluster))
        for (node, records) in book.reports.sorted(by: { $0.key < $1.key }) {
            publish(
                publisher?.apply(records.keys, of: node, from: book) ?? [], into: &effects)
        }
        sweep(into: &effects)
    }

    /// Runs `body` on the synchroniser and carries out what it wants.
    private mutating func perform(
        _ effects: inout [StateEffect],
        _ body: (inout StateCore, inout [ReplicationEffect]) -> StateNote?
    ) {
        var replication: [ReplicationEffect] = []
        if let note = body(&self, &replication) { effects.append(.note(note)) }
        var moved = false
        for effect in replication {
            switch effect {
            case .send(let bytes, let link):
                effects.append(
                    .send(Message.replication(bytes).encoded, over: LinkID(rawValue: link.rawValue))
                )
            case .changed(let update):
                moved = true
                apply(update, into: &effects)
            case .rejected(let reason, let link):
                effects.append(
                    .note(.rejected(reason, from: links[LinkID(rawValue: link.rawValue)])))
            case .frozen(let owner, let position):
                frozen.insert(owner)
                effects.append(.note(.frozen(owner, position)))
            case .thawed(let owner, let position):
                frozen.remove(owner)
                effects.append(.note(.thawed(owner, position)))
            }
        }
        if moved { settle(into: &effects) }
    }

    private mutating func perform(
        _ effects: inout [StateEffect],
        _ body: (inout StateCore, inout [ReplicationEffect]) -> Void
    ) {
        perform(&effects) { core, replication -> StateNote? in
            body(&core, &replication)
            return nil
        }
    }

    private mutating func apply(_ update: LedgerUpdate, into effects: inout [StateEffect]) {
        effects.append(.health(.moved(update.owner, update.position)))
        for key in update.puts.map(\.key) + update.deletes { refusals[update.owner]?[key] = nil }
        for refused in update.refused {
            refusals[update.owner, default: [:]][refused.key] = refused.reason
            effects.append(.note(.refused(update.owner, refused.reason)))
        }
        var changes: RecordTables.Changes = [:]
        for put in update.puts {
            if let key = RecordKey(put.key) { changes[key] = .some(put.value) }
        }
        for deleted in update.deletes {
            if let key = RecordKey(deleted) { changes[key] = .some(nil) }
        }
        guard update.owner == configuration.cluster else {
            tables.apply(changes, of: update.owner)
            return
        }
        // ``perform`` settles once every owner's rows are written: heads have moved already.
        writeOwn(
            view.applyLedger(
                puts: changes.compactMapValues { $0 },
                deletes: changes.filter { $0.value == nil }.map(\.key)))
    }

    private mutating func applyOwn(_ keys: Set<RecordKey>, into effects: inout [StateEffect]) {
        guard !keys.isEmpty else { return }
        writeOwn(keys)
        settle(into: &effects)
    }

    private mutating func writeOwn(_ keys: Set<RecordKey>) {
        guard !keys.isEmpty else { return }
        tables.apply(
            Dictionary(keys.map { ($0, view.record(for: $0)) }) { first, _ in first },
            of: configuration.cluster)
    }
}

// MARK: Time

extension StateCore {
    /// Call every 100 ms.
    mutating func tick(at now: Instant, into effects: inout [StateEffect]) {
        open(at: now, into: &effects)
        if !isComplete {
            if !isImpatient, now - startedAt > Self.completionPatience {
                isImpatient = true
                tables.releaseHeld()
            }
            settle(into: &effects)
        }
        if isOpen { heardPublisher(at: now) }
        judgePublisher(at: now, into: &effects)
        if now >= nextSaying {
            nextSaying = now + Self.sayingInterval
            tellOwn(drainMessage, into: &effects)
        }
        if now >= nextMaintenance {
            nextMaintenance = now + Self.maintenanceInterval
            perform(&effects) { core, replication in
                core.synchroniser.tick(at: now, into: &replication)
            }
        }
    }

    private mutating func heardPublisher(at now: Instant) {
        if now - publisherHeard > Self.publisherSilence { publisherReturned = now }
        publisherHeard = now
    }

    /// Goes by the nodes' reports while the publisher is silent, and until its ledger has what they
    /// said meanwhile: a publisher that starts anew answers before it can publish.
    private mutating func judgePublisher(at now: Instant, into effects: inout [StateEffect]) {
        let isSilent = now - publisherHeard > Self.publisherSilence
        if isSilent, !view.usesReports {
            effects.append(.note(.publisherLost))
            applyOwn(view.setPublisherAnswers(false), into: &effects)
        } else if !isSilent, view.usesReports,
            view.isLedgerUpToDate || now - publisherReturned > Self.publisherCatchUp
        {
            effects.append(.note(.publisherBack))
            applyOwn(view.setPublisherAnswers(true), into: &effects)
        }
    }

    /// After rows changed: what health has to watch, and whether everybody has spoken.
    private mutating func settle(into effects: inout [StateEffect]) {
        announce(into: &effects)
        let basis = PlanBasis(
            nodes: store.read { $0.nodes.revision }, inUse: tables.clustersInUse)
        if basis != planBasis {
            planBasis = basis
            writeOwnPrefixes()
            effects.append(.health(.follow(healthPlan(inUse: basis.inUse))))
        }
        let everybody = [configuration.cluster] + peers.map(\.id)
        // A head that has moved isn't enough: after a restart deltas arrive batch by batch, and what
        // is pruned before the last one is missing from the kernel until it comes.
        guard !isComplete,
            everybody.allSatisfy({
                synchroniser.head(of: $0).map { $0.position > .origin } ?? false
            }),
            isImpatient || links.keys.allSatisfy({ synchroniser.isCaughtUp(with: $0.replication) })
        else { return }
        isComplete = true
        store.write {
            $0.frontends.declareComplete()
            $0.endpoints.declareComplete()
            $0.nodes.declareComplete()
            $0.identities.declareComplete()
        }
        effects.append(.note(.complete))
    }

    private func announce(into effects: inout [StateEffect]) {
        let rollup = synchroniser.rollup
        effects.append(
            .health(
                .announce(
                    head: synchroniser.head(of: configuration.cluster)?.position ?? .origin,
                    rollup: RollupHash(
                        high: rollup.prefix(8).reduce(0) { $0 << 8 | UInt64($1) },
                        low: rollup.suffix(8).reduce(0) { $0 << 8 | UInt64($1) }))))
    }

    /// The own cluster's prefixes are those of all its nodes: a packet to one of their pods that isn't
    /// known must not leave by the host's default route.
    private func writeOwnPrefixes() {
        store.write { [configuration] tables in
            let ofNodes = tables.nodes.rows.filter { $0.id.cluster == configuration.cluster }
            let prefixes = Set(ofNodes.flatMap(\.podPrefixes)).union(configuration.podPrefixes)
            tables.clusters.upsert(
                ClusterRow(
                    id: configuration.cluster, name: configuration.clusterName,
                    podPrefixes: prefixes.sorted(), sourceCheck: .node, isLocal: true))
        }
    }

    private func healthPlan(inUse: Set<ClusterID>) -> HealthService.Plan {
        let nodes = store.read { $0.nodes.rows }
        var plan = HealthService.Plan(
            clusters: peers.map(\.id), inUse: inUse.sorted(), nodes: nodes.map(\.id))
        let relayRows = Dictionary(grouping: nodes.filter(\.isRelay)) { $0.id.cluster }
        for peer in peers {
            let rows = Dictionary((relayRows[peer.id] ?? []).map { ($0.id.name, $0) }) { $1 }
            let ranked = RelayChoice.relays(
                among: rows.values.map { RelayCandidate(name: $0.id.name, zone: "") },
                of: peer.id, count: rows.count
            ).compactMap { rows[$0]?.id }
            let paths = RelayChoice.paths(from: relays, to: ranked)
            for path in paths {
                plan.paths.append(
                    PathPlan(
                        path: path, isInUse: inUse.contains(peer.id),
                        isSingle: paths.count == 1, wasUp: wasUp.contains(peer.id)))
                plan.addresses[path] = rows[path.remote.name].map {
                    TransportAddress(
                        address: $0.outerAddresses[0], port: configuration.ports.health)
                }
            }
        }
        return plan
    }
}

extension LinkID {
    fileprivate var replication: ReplicationLink { ReplicationLink(rawValue: rawValue) }
}
