// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Logging
import MeshModel
import MeshReplication
import MeshStore
import MeshTransport
import MeshTrust
import ServiceLifecycle

/// Who belongs to the mesh. On every node: makes those its cluster's home names peers. On the home:
/// takes the decisions, hears those of others, and answers nodes and clusters that join.
actor MeshService: Service {
    /// Between two looks at what nobody tells of.
    static let interval = Duration.seconds(1)
    /// A cluster that has left stays a peer for so long: it waits to hear that its leave is known.
    private static let departure = Duration.seconds(2)

    private(set) var configuration: AgentConfiguration
    let state: StateService
    let log: Logger
    let links: LinkService
    let statistics: TransportStatistics
    /// Set on a home that takes service accounts' tokens.
    let attestations: AttestationDesk?
    /// Returns when what the desk decided outlives this process, wherever that is kept; before, nobody is told.
    let settle: @Sendable () async throws -> Void
    let managed: ManagedPeers
    /// Set on the home.
    var desk: JoinDesk?
    /// What the own ledger is told.
    private var records: [RecordKey: [UInt8]]
    /// The roster that they were made from.
    private var toldFrom: ToldBasis?
    /// Peer records of clusters that have just left.
    private var departing: [RecordKey: (value: [UInt8], until: Instant)] = [:]
    /// What was taken of each ledger's statements.
    private var taken: [ClusterID: [String: [UInt8]]] = [:]
    /// The sequence of this cluster's announcement that each other one has taken.
    private(set) var heard: [ClusterName: UInt64] = [:]
    /// The sequence of this cluster's announcement whose roots every live node of each other one holds.
    private(set) var holding: [ClusterName: UInt64] = [:]
    /// Of bundles that were asked for, until they change.
    var digests: [ClusterName: (bundle: TrustBundle, digest: UInt64)] = [:]
    /// See ``AuthorityRecord/required``.
    var required: [UInt8] = []
    /// Statements that changed nothing, or couldn't be read.
    private(set) var ignored: UInt64 = 0
    /// Why the peers folder isn't as it should be.
    var problems: [String] = []
    /// What the peers folder was written from last.
    var writtenFrom: PeersBasis?
    /// What the roots file was written from last.
    var writtenBundle: String?
    /// Set while those who join are answered, with what it presents.
    var server: (server: EnrolmentServer, credentials: NodeCredentials)?

    /// - Parameters:
    ///   - desk: set on the home.
    ///   - records: what it says, told already.
    init(
        configuration: AgentConfiguration, desk: JoinDesk?, records: [RecordKey: [UInt8]],
        state: StateService, links: LinkService, statistics: TransportStatistics,
        attestations: AttestationDesk? = nil,
        settle: @escaping @Sendable () async throws -> Void = {}, log: Logger
    ) {
        self.configuration = configuration
        self.desk = desk
        self.records = records
        self.state = state
        self.links = links
        self.statistics = statistics
        self.attestations = attestations
        self.settle = settle
        self.log = log
        managed = ManagedPeers(folder: configuration.paths.peers)
    }

    func run() async throws {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.followState() }
            group.addTask { await self.followTime() }
            if configuration.isHome { group.addTask { await self.listen() } }
        }
    }

    private func followState() async {
        for await _ in state.trustChanges.cancelOnGracefulShutdown() { await look() }
    }

    private func followTime() async {
        for await _ in AsyncTimer(every: Self.interval).cancelOnGracefulShutdown() {
            do {
                try await describe()
                try await endLeaveIfHeard()
            } catch {
                log.error("The mesh isn't told of a change here", metadata: ["error": "\(error)"])
            }
            await publish()
            await look()
            presentNewCertificate()
        }
    }

    /// Tells others of another charter, with the next look at the time.
    func follow(_ next: AgentConfiguration) {
        configuration.charter = next.charter
    }

    // MARK: From the ledgers

    /// Takes what is new in the ledgers.
    private func look() async {
        configuration.members = await state.members
        let view = await state.trustView
        if desk != nil { await receive(view) }
        writePeers(view)
        writeBundle(view)
    }

    private func receive(_ view: TrustView) async {
        var statements: [MeshStatement] = []
        let names = Dictionary(view.peers.map { ($0.id, $0.name) }) { first, _ in first }
        for (cluster, records) in view.statements.sorted(by: { $0.key < $1.key }) {
            guard let name = names[cluster] else { continue }
            let former = taken[cluster] ?? [:]
            for (key, body) in records.sorted(by: { $0.key < $1.key }) where former[key] != body {
                if StatementName.isReceipt(key) {
                    takeReceipt(key, body, by: name)
                } else if let statement = read(key, body, of: name) {
                    statements.append(statement)
                }
            }
        }
        let known = Set(names.values)
        heard = heard.filter { known.contains($0.key) }
        holding = holding.filter { known.contains($0.key) }
        do throws(TrustError) {
            note(try desk?.receive(statements) ?? [])
            taken = view.statements
        } catch {
            // It is offered again with the next look.
            return log.error(
                "What other clusters say can't be kept", metadata: ["error": "\(error)"])
        }
        await publish()
    }

    /// A cluster speaks for itself alone: nobody's ledger may fill the room for what waits with what
    /// others are said to have signed.
    private func read(_ key: String, _ body: [UInt8], of cluster: ClusterName) -> MeshStatement? {
        do throws(DecodingFault) {
            let statement = try MeshStatement(encoded: body)
            guard statement.signer == cluster else { throw .invalid("signer") }
            return statement
        } catch {
            ignored += 1
            log.warning(
                "A cluster's statement is ignored",
                metadata: [
                    "peer.cluster": "\(cluster)", "record": "\(key)", "error": "\(error)",
                ])
            return nil
        }
    }

    private func takeReceipt(_ key: String, _ body: [UInt8], by cluster: ClusterName) {
        let isHeld = key == StatementName.held(configuration.clusterName)
        guard isHeld || key == StatementName.seen(configuration.clusterName) else { return }
        var reader = ByteReader(body)
        guard let sequence = try? reader.read(UInt64.self) else {
            ignored += 1
            return
        }
        if isHeld { holding[cluster] = sequence } else { heard[cluster] = sequence }
    }

    func note(_ events: [RosterEvent]) {
        for event in events {
            switch event {
            case .left(let name):
                let key = RecordKey(kind: .peer, name: name.rawValue)
                if let value = records[key] {
                    departing[key] = (value, .monotonicNow + Self.departure)
                }
                log.notice("The mesh has changed", metadata: ["event": "\(event)"])
            case .ignored(_, .replayed):
                ignored += 1
            case .ignored:
                ignored += 1
                log.warning("A cluster's statement is ignored", metadata: ["event": "\(event)"])
            default:
                log.notice("The mesh has changed", metadata: ["event": "\(event)"])
            }
        }
    }

    // MARK: To the own ledger

    /// Tells the own ledger what the roster says now.
    func publish() async {
        let view = await state.trustView
        guard let desk else { return }
        let staying = departing.filter { $0.value.until > .monotonicNow }
        let basis = ToldBasis(
            roster: desk.roster, held: held(view), required: required,
            root: desk.authority().authorityKey(.root))
        guard basis != toldFrom || staying.count != departing.count else { return }
        departing = staying
        do throws(TrustError) {
            toldFrom = basis
            let current = try desk.records(held: basis.held, required: basis.required)
                .merging(departing.mapValues(\.value)) { member, _ in member }
            guard current != records else { return }
            records = current
        } catch {
            return log.error("The roster can't be told", metadata: ["error": "\(error)"])
        }
        do { try await settle() } catch {
            // With the next look again.
            records = [:]
            toldFrom = nil
            return log.error("The roster can't be kept", metadata: ["error": "\(error)"])
        }
        await state.say(records, of: JoinDesk.kinds)
    }

    /// Says what has become different about this cluster.
    func describe() async throws {
        guard desk != nil else { return }
        let view = await state.trustView
        guard let desk else { return }
        let description = try Self.description(
            of: configuration, bundle: desk.roster.description.bundle,
            relays: view.configuredRelays, store: view.store,
            former: desk.roster.description)
        try announce(description)
    }

    /// Says something else about this cluster: while a root is changed, other roots.
    func announce(_ description: ClusterDescription) throws {
        let isNew = try desk?.announce(description, now: unixSeconds()) ?? false
        if isNew {
            log.notice(
                "This cluster says something else about itself",
                metadata: [
                    "pods":
                        "\(description.charter.podPrefixes.map(\.description).joined(separator: ","))"
                ])
        }
    }

    static func description(
        of configuration: AgentConfiguration, bundle: TrustBundle, relays: [String],
        store: MeshStore,
        former: ClusterDescription?
    ) throws(TrustError) -> ClusterDescription {
        let prefixes = store.read { tables in
            tables.nodes.rows.filter { $0.id.cluster == configuration.cluster }
                .flatMap(\.podPrefixes)
        }
        return try ClusterDescription(
            of: configuration, bundle: bundle, relays: relays,
            prefixes: prefixes, former: former)
    }

    /// A leave is over when every member has said that it knows of it.
    private func endLeaveIfHeard() async throws {
        guard let desk, desk.roster.hasLeft, !desk.roster.clusters.isEmpty,
            desk.awaited(heard: heard).isEmpty
        else { return }
        try await endLeave()
    }

    func endLeave() async throws {
        try desk?.endLeave()
        log.notice("This cluster has left the mesh")
        await publish()
    }
}
