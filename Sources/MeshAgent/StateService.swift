// SPDX-License-Identifier: Apache-2.0

import Logging
import MeshEndpoints
import MeshJournal
import MeshKubernetes
import MeshLease
import MeshModel
import MeshReachability
import MeshReplication
import MeshStore
import MeshTransport
import MeshTrust
import Netlink
import ServiceLifecycle

/// The shell around ``StateCore``: brings it links, folder, endpoints and time, and does what it wants.
///
/// The core's clock goes on while the machine sleeps: leases and quarantines end in the meantime.
actor StateService: Service {
    struct LinkView: Sendable {
        let node: NodeID
        let since: Instant
    }

    struct Refusal: Sendable {
        /// A dialler that still fails has tried again by then.
        static let lifetime = Duration.seconds(60)
        static let maximum = 1024

        let reason: String
        let since: Instant
        var last: Instant
    }

    private static let tickInterval = Duration.milliseconds(100)

    let links: LinkService
    let socket: DatagramSocket
    private let folder: FolderWatcher
    private let endpoints: EndpointManager
    let health: HealthService
    private let healthInputs: AsyncStream<HealthInput>.Continuation
    private let ender: FlowEnder
    private let flows: FlowExchange
    private let accounts: AccountExchange
    let journal: StateJournal
    /// Set on nodes that may publish.
    let leaseStore: (any LeaseStore)?
    /// Where batches go that are kept in a shared store.
    let store: AsyncStream<PublishedBatch>.Continuation?
    private let drainFile: DurableFile
    private let departureFile: DurableFile
    let census: ConnectionCensus
    /// Set on nodes that hold the CA.
    let authority: AuthorityService?
    /// What the authority answered to this node's requests. One reader; only the newest waits.
    nonisolated let certificates: AsyncStream<Message.CertificateAnswer>
    let certificateAnswers: AsyncStream<Message.CertificateAnswer>.Continuation
    /// What the home answered about this node's own authority. One reader; only the newest waits.
    nonisolated let authorityCertificates: AsyncStream<Message.CertificateAnswer>
    private let authorityAnswers: AsyncStream<Message.CertificateAnswer>.Continuation
    /// Ledgers say something else about who belongs to the mesh. One reader.
    nonisolated let trustChanges: AsyncStream<Void>
    private let trustChange: AsyncStream<Void>.Continuation
    private var trustRevision: UInt64?
    /// The same for whoever reads their deny lists.
    nonisolated let denyListChanges: AsyncStream<Void>
    private let denyListChange: AsyncStream<Void>.Continuation
    let log: Logger
    var core: StateCore
    /// How far each owner's journal is. Who isn't named is written whole first: a journal follows
    /// what it began with.
    var journaled: [ClusterID: Position] = [:]
    /// Owners whose last write failed: written whole when it can be.
    var unsaved: Set<ClusterID> = []
    private var nextSaving = Instant.zero
    var nextClockNote = Instant.zero
    /// What the core wanted before this service ran.
    private let first: [StateEffect]
    private(set) var manifests = FolderSnapshot()
    /// What the API server says of this node's pods; nil while nothing is known of them.
    var pods: [ObjectName: PodManifest]?
    private(set) var hasReadFolder = false
    private(set) var linkViews: [LinkID: LinkView] = [:]
    /// The latest refusal by the peer's name, or by its address if it proved none.
    var refusals: [String: Refusal] = [:]
    /// Ledger messages that were rejected.
    var rejections: [Rejection: UInt64] = [:]

    struct Rejection: Hashable, Comparable {
        /// Nil for a link that is gone.
        let node: NodeID?
        let reason: String

        static func < (left: Rejection, right: Rejection) -> Bool {
            switch (left.node, right.node) {
            case (let one?, let other?) where one != other: one < other
            case (nil, _?): true
            case (_?, nil): false
            default: left.reason < right.reason
            }
        }
    }
    private(set) var counters: [String: UInt64] = [:]

    init(
        core: StateCore, effects: [StateEffect], links: LinkService, socket: DatagramSocket,
        folder: FolderWatcher, endpoints: EndpointManager, health: HealthService,
        healthInputs: AsyncStream<HealthInput>.Continuation, ender: FlowEnder, flows: FlowExchange,
        accounts: AccountExchange,
        journal: StateJournal, leaseStore: (any LeaseStore)?,
        store: AsyncStream<PublishedBatch>.Continuation?, drainFile: DurableFile,
        departureFile: DurableFile, census: ConnectionCensus,
        authority: AuthorityService?, pods: [ObjectName: PodManifest]?, log: Logger
    ) {
        self.pods = pods
        self.authority = authority
        (certificates, certificateAnswers) = AsyncStream.makeStream(
            bufferingPolicy: .bufferingNewest(1))
        (authorityCertificates, authorityAnswers) = AsyncStream.makeStream(
            bufferingPolicy: .bufferingNewest(1))
        (trustChanges, trustChange) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        (denyListChanges, denyListChange) = AsyncStream.makeStream(
            bufferingPolicy: .bufferingNewest(1))
        self.core = core
        self.links = links
        self.socket = socket
        self.folder = folder
        self.endpoints = endpoints
        self.health = health
        self.healthInputs = healthInputs
        self.ender = ender
        self.flows = flows
        self.accounts = accounts
        self.journal = journal
        self.leaseStore = leaseStore
        self.store = store
        self.drainFile = drainFile
        self.departureFile = departureFile
        self.census = census
        self.log = log
        first = effects
    }

    func run() async throws {
        links.updateTargets(core.linkTargets)
        for effect in first { perform(effect) }
        await withDiscardingTaskGroup { group in
            group.addTask { await self.followLinks() }
            group.addTask { await self.followFolder() }
            group.addTask { await self.followHealth() }
            group.addTask { await self.followTime() }
            group.addTask { await self.followLease() }
            group.addTask { await self.followGossipKeys() }
            group.addTask { await self.followDeparture() }
        }
        await resign()
        do {
            try await journal.close()
        } catch {
            log.error("The journal can't be closed", metadata: ["error": "\(error)"])
        }
    }

    // MARK: Inputs

    /// The set of attached endpoints changed. Before the folder was read and the pods are known the
    /// node says nothing at all: half a report would take away what its predecessor said.
    func endpointsChanged() {
        guard hasReadFolder, let pods else { return }
        step { core, effects in
            core.setOwn(
                folder: manifests, pods: pods, endpoints: ownEndpoints, at: .bootNow,
                realTime: realTimeNanoseconds(), into: &effects)
        }
    }

    /// These are the peers from now on. Their certificates are in use already.
    func setPeers(_ peers: [PeerCluster], authorities: [ClusterID: LedgerAuthority]) {
        step { core, effects in
            core.setPeers(peers, authorities: authorities, into: &effects)
            core.settle(into: &effects)
        }
        links.updateTargets(core.linkTargets)
    }

    /// Of the own cluster, as they are listed by now.
    var members: [AgentConfiguration.Member] { core.members }

    /// That one alone: a copy of the core held elsewhere would have its next step copy its tables.
    func replica(of cluster: ClusterID) -> Replica? { core.synchroniser.replica(of: cluster) }

    /// These are the own cluster's configured nodes from now on.
    func setMembers(_ members: [AgentConfiguration.Member]) {
        step { $0.setMembers(members, at: .bootNow, into: &$1) }
        // It may be a relay now, or no longer.
        endpointsChanged()
    }

    /// What this node says from now on in records of these kinds, as part of its report.
    func say(_ records: [RecordKey: [UInt8]], of kinds: Set<RecordKind>) {
        let next = core.trustRecords.filter { !kinds.contains($0.key.kind) }
            .merging(records) { $1 }
        guard next != core.trustRecords else { return }
        core.trustRecords = next
        endpointsChanged()
    }

    /// A packet came from an identity of this cluster that isn't known here.
    func catchUp(with cluster: ClusterID) {
        step { core, effects in core.catchUp(with: cluster, at: .bootNow, into: &effects) }
    }

    func setDraining(_ isDraining: Bool) {
        step { core, effects in
            core.setDrain(
                isDraining, generation: realTimeNanoseconds() / 1_000_000, into: &effects)
        }
    }

    private func followLinks() async {
        for await event in links.events {
            switch event {
            case .up(let link):
                let node = link.node
                socket.install(link.heartbeatKeys, for: node)
                linkViews[link.id] = LinkView(node: node, since: .monotonicNow)
                refusals["\(link.peer)"] = nil
                refusals["\(link.remoteAddress.address)"] = nil
                step { core, effects in core.linkUp(link.id, to: node, into: &effects) }
                flows.linkUp(link.id, to: node)
                if node.cluster != core.configuration.cluster {
                    let dead = await health.ownDead.map(\.name)
                    let claim = Message.DeadNodes(relay: core.configuration.node, names: dead)
                    links.send(Message.deadNodes(claim).encoded, on: link.id)
                }
            case .frame(let link, let bytes):
                step { core, effects in
                    core.receive(bytes, over: link, at: .bootNow, into: &effects)
                }
            case .down(let link, let reason):
                count("link_down.\(reason.rawValue)")
                // Its keys may have come after the word that it isn't believed.
                if reason == .denied || reason == .trustWithdrawn, let view = linkViews[link] {
                    distrust(view.node)
                }
                if let view = linkViews[link] { flows.linkDown(link, to: view.node) }
                linkViews[link] = nil
                step { core, effects in core.linkDown(link, into: &effects) }
            case .refused(let refusal):
                note(refusal, at: .monotonicNow)
            case .distrusted(let node): distrust(node)
            }
        }
    }

    private func followFolder() async {
        for await snapshot in folder.snapshots.cancelOnGracefulShutdown() {
            for problem in snapshot.problems where !manifests.problems.contains(problem) {
                log.warning("A manifest is not in force", metadata: ["problem": "\(problem)"])
            }
            manifests = snapshot
            hasReadFolder = true
            endpointsChanged()
        }
    }

    private func followGossipKeys() async {
        for await keys in socket.gossipKeyChanges.cancelOnGracefulShutdown() {
            core.gossipKeys = keys
            endpointsChanged()
        }
    }

    private func followHealth() async {
        for await event in health.events.cancelOnGracefulShutdown() {
            switch event {
            case .tellOwn(let message):
                step { core, effects in core.tellOwn(message, into: &effects) }
            case .tellOthers(let message):
                step { core, effects in core.tellOthers(message, into: &effects) }
            case .cluster(let change):
                step { core, effects in
                    core.noteVerdict(change, at: .bootNow, into: &effects)
                }
                guard change.endsFlows else { continue }
                let gone = core.store.read { tables in
                    tables.clusters[change.cluster]?.podPrefixes ?? []
                }
                Task { await ender.endFlows(toward: gone, why: "cluster \(change.cluster)") }
            case .member(let name, let isLive):
                step { core, effects in
                    core.judged(name, isLive: isLive, at: .bootNow, into: &effects)
                }
            case .relaySet(let cluster, let generation):
                core.heard(ofRelaySet: generation, of: cluster)
            case .node(let change):
                guard change.word.verdict == .unreachable else { continue }
                let gone = core.store.read { tables in
                    tables.nodes[change.node]?.podPrefixes ?? []
                }
                Task { await ender.endFlows(toward: gone, why: "node \(change.node)") }
            }
        }
    }

    private func followTime() async {
        let ticks = AsyncTimer(every: Self.tickInterval)
        for await _ in ticks.cancelOnGracefulShutdown() {
            let now = Instant.bootNow
            step { core, effects in
                core.tick(
                    at: now, realTime: realTimeNanoseconds() / 1_000_000_000, into: &effects)
            }
            guard now >= nextSaving else { continue }
            nextSaving = now + .seconds(1)
            keepJournal(at: now)
        }
    }

    // MARK: Effects

    func step(_ body: (inout StateCore, inout [StateEffect]) -> Void) {
        var effects: [StateEffect] = []
        body(&core, &effects)
        for effect in effects { perform(effect) }
        guard core.tables.trustRevision != trustRevision else { return }
        trustRevision = core.tables.trustRevision
        trustChange.yield()
        denyListChange.yield()
    }

    private func perform(_ effect: StateEffect) {
        switch effect {
        case .send(let bytes, let link): links.send(bytes, on: link)
        case .health(let input): healthInputs.yield(input)
        case .lease(let call): ask(call)
        case .append(let owner, let position, let message):
            if owner == core.configuration.cluster, core.isOpen, let store {
                publish(message, at: position, to: store)
                return
            }
            guard !unsaved.contains(owner) else { return }
            guard let written = journaled[owner] else { return save(owner) }
            // A checkpoint may have run ahead of the batches of one commit.
            guard position > written else { return }
            journaled[owner] = position
            write(owner, position) { journal, completion throws(JournalError) in
                try journal.append(owner, position, message, completion)
            }
        case .checkpoint(let owner): save(owner)
        case .forget(let owner): forget(owner)
        case .certify(let purpose, let request, let node, let link):
            certify(purpose, request, of: node, over: link)
        case .certified(.node, let answer): certificateAnswers.yield(answer)
        case .certified(.authority, let answer): authorityAnswers.yield(answer)
        case .flowsAsk(let ask, let link): flows.receive(ask, over: link)
        case .flowsAnswer(let answer, let node): flows.receive(answer, from: node)
        case .accountAsk(let ask, let node, let link):
            accounts.receive(ask, from: node, over: link, at: .monotonicNow)
        case .account(let account, let node): accounts.receive(account, from: node)
        case .persistDrain(let drain):
            persist("\(drain.generation) \(drain.isDraining ? 1 : 0)", in: drainFile)
        case .persistDeparture(let departure): persist("\(departure)", in: departureFile)
        case .tellOwnNode: endpointsChanged()
        case .dial: links.updateTargets(core.linkTargets)
        case .note(let note): self.note(note)
        }
    }

    private func publish(
        _ message: [UInt8], at position: Position,
        to store: AsyncStream<PublishedBatch>.Continuation
    ) {
        do throws(RejectionReason) {
            store.yield(
                PublishedBatch(
                    position: position, message: message,
                    stored: try core.synchroniser.storedBatch(message)))
        } catch {
            note(.rejected(error, from: nil))
        }
    }

    private func persist(_ text: String, in file: DurableFile) {
        do throws(DurableFile.Failure) {
            try file.write(text)
        } catch {
            count("persist_failed")
            log.error("State can't be written down", metadata: ["error": "\(error)"])
        }
    }

    private var ownEndpoints: [ObjectName: OwnEndpoint] {
        var result: [ObjectName: OwnEndpoint] = [:]
        for endpoint in endpoints.endpoints {
            guard let mac = LinkAddress(bytes: endpoint.hardwareAddress.bytes) else { continue }
            result[endpoint.object] = OwnEndpoint(
                addresses: endpoint.addresses, labels: endpoint.labels,
                interface: LocalInterface(ifindex: endpoint.interfaceIndex, mac: mac),
                sandbox: endpoint.attachment.map {
                    Sandbox(container: $0.key.container, podUID: $0.podUID)
                })
        }
        return result
    }

    func count(_ what: String) { counters[what, default: 0] += 1 }
}
