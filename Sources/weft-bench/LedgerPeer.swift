// SPDX-License-Identifier: Apache-2.0

import Crypto
import FoundationEssentials
import Logging
import MeshAgent
import MeshJournal
import MeshLab
import MeshModel
import MeshReplication
import MeshTransport
import MeshTrust
import ServiceLifecycle

/// A cluster of the ledger benchmark: its authority, and the key its ledger is signed with.
struct LedgerCluster: Sendable {
    static let mesh = "bench.weft"

    let id: ClusterID
    let authority: CertificateAuthority
    let credentials: NodeCredentials

    init(
        _ number: UInt16, of mesh: String = mesh, node: String = "n", folder: String
    ) throws {
        guard let id = ClusterID(rawValue: number), let name = ClusterName(rawValue: "c\(number)")
        else { throw LabError(.failed, "\(number) is no cluster") }
        self.id = id
        authority = try CertificateAuthority.create(
            cluster: name, mesh: mesh, in: "\(folder)/c\(number)")
        credentials = try NodeCredentials.issue(node: node, by: authority)
    }

    var name: ClusterName { credentials.identity.cluster }
    var ledgerAuthority: LedgerAuthority {
        get throws {
            try LedgerAuthority(
                authority.bundle, denials: DenyBook(mesh: authority.trustDomain.mesh))
        }
    }

    func ledger(epoch: UInt32) throws -> Ledger {
        let key = Curve25519.Signing.PrivateKey()
        let delegation = Delegation(
            owner: id, epoch: epoch, key: key.publicKey,
            notAfter: UInt64(authority.statementsEnd.timeIntervalSince1970))
        return Ledger(
            try delegation.signed {
                try authority.sign(statement: Statement(.ledgerDelegation, body: $0)).encoded
            }, key: key)
    }
}

/// One end: the synchroniser over mutual TLS on loopback, with the journal that an agent has.
actor LedgerPeer {
    private let own: LedgerCluster
    private let clusters: [LedgerCluster]
    nonisolated let links: LinkService
    private let journal: JournalWriter
    private(set) var synchroniser = Synchroniser()
    private var link: LinkID?
    private var gathered: [LedgerChange] = []
    /// How far each owner's journal is.
    private var journaled: [ClusterID: Position] = [:]
    private(set) var sentBytes = 0
    private(set) var sentMessages = 0
    private(set) var snapshots = 0
    /// Moments at which another owner's revision arrived here.
    private(set) var arrivals: [Position: UInt64] = [:]
    private var waiters:
        [(owner: ClusterID, position: Position, CheckedContinuation<UInt64, Never>)] = []

    init(
        _ own: LedgerCluster, of clusters: [LedgerCluster], journal path: String,
        durability: Journal.Durability
    ) throws {
        self.own = own
        self.clusters = clusters
        journal = JournalWriter(try Journal.open(path, durability: durability).journal)
        let trust = TrustStore(clusters.map(\.authority.bundle))
        var configuration = LinkConfiguration(
            listen: TransportAddress(address: Address(ipv4: 0x7f00_0001), port: 0),
            clusterID: own.id, incarnation: monotonicNow(),
            security: LinkSecurity(
                credentials: own.credentials, trust: trust,
                clusters: Dictionary(uniqueKeysWithValues: clusters.map { ($0.name, $0.id) })))
        configuration.timing.backoffMinimum = .milliseconds(5)
        var log = Logger(label: "bench")
        log.logLevel = .critical
        links = try LinkService(
            configuration: configuration, statistics: TransportStatistics(), logger: log)
        var effects: [ReplicationEffect] = []
        for cluster in clusters {
            synchroniser.add(
                owner: cluster.id, authority: try cluster.ledgerAuthority, into: &effects)
        }
    }

    /// Until it is cancelled.
    func run() async {
        for await event in links.events {
            switch event {
            case .up(let up):
                link = up.id
                step { $0.linkUp(ReplicationLink(rawValue: up.id.rawValue), into: &$1) }
            case .frame(let id, let bytes):
                step {
                    $0.receive(
                        bytes, from: ReplicationLink(rawValue: id.rawValue), at: .monotonicNow,
                        into: &$1)
                }
            case .down(let id, _):
                link = nil
                step { $0.linkDown(ReplicationLink(rawValue: id.rawValue), into: &$1) }
            case .refused, .distrusted: break
            }
        }
    }

    func open(_ ledger: Ledger) { synchroniser.open(ledger, awaitsDurability: true) }

    func cut() {
        links.updateTargets([])
        if let link { links.close(link) }
    }

    /// Commits as the agent does: what comes while the disk works is gathered.
    ///
    /// - Returns: the position that the next commit reaches.
    @discardableResult
    func publish(_ changes: [LedgerChange]) throws -> Position {
        gathered += changes
        let next = synchroniser.head(of: own.id)?.position ?? .origin
        if !synchroniser.hasUnreleased { try flush() }
        return synchroniser.hasUnreleased && gathered.isEmpty
            ? synchroniser.head(of: own.id)?.position ?? .origin : next.next
    }

    private func flush() throws {
        guard !gathered.isEmpty else { return }
        let changes = gathered
        gathered = []
        var effects: [ReplicationEffect] = []
        try synchroniser.publish(changes, into: &effects)
        perform(effects)
    }

    /// Returns when this end holds `position` of an owner: the moment.
    func arrival(of owner: ClusterID, at position: Position) async -> UInt64 {
        if let held = synchroniser.head(of: owner)?.position, held >= position {
            return monotonicNow()
        }
        return await withCheckedContinuation { waiters.append((owner, position, $0)) }
    }

    func idle() async throws { try await settled() }

    private func settled() async throws {
        while synchroniser.hasUnreleased || !gathered.isEmpty {
            try await Task.sleep(for: .milliseconds(1))
        }
    }

    func forgetArrivals() {
        arrivals = [:]
        (sentBytes, sentMessages, snapshots) = (0, 0, 0)
    }

    private func step(
        _ body: (inout Synchroniser, inout [ReplicationEffect]) -> Void
    ) {
        var effects: [ReplicationEffect] = []
        body(&synchroniser, &effects)
        perform(effects)
    }

    private func perform(_ effects: [ReplicationEffect]) {
        for effect in effects {
            switch effect {
            case .send(let bytes, let link):
                sentBytes += bytes.count
                sentMessages += 1
                links.send(bytes, on: LinkID(rawValue: link.rawValue))
            case .changed(let update): arrived(update)
            case .append(let owner, let position, let message):
                guard let written = journaled[owner] else {
                    checkpoint(owner)
                    continue
                }
                guard position > written else { continue }
                journaled[owner] = position
                store(
                    JournalTransaction(batches: [
                        JournalBatch(owner: owner, position: position, message: message)
                    ]), owner, position)
            case .replaced(let owner):
                snapshots += 1
                checkpoint(owner)
            case .rejected(let reason, _): tell("rejected: \(reason)")
            case .frozen, .thawed: break
            }
        }
    }

    private func arrived(_ update: LedgerUpdate) {
        guard update.owner != own.id else { return }
        let now = monotonicNow()
        arrivals[update.position] = now
        let done = waiters.filter { $0.owner == update.owner && $0.position <= update.position }
        waiters.removeAll { $0.owner == update.owner && $0.position <= update.position }
        for waiter in done { waiter.2.resume(returning: now) }
    }

    private func checkpoint(_ owner: ClusterID) {
        let isNew = journaled[owner] == nil
        guard let checkpoint = synchroniser.takeCheckpoint(of: owner, whole: isNew) else { return }
        journaled[owner] = checkpoint.position
        store(
            JournalTransaction(
                removedOwners: isNew ? [owner] : [],
                checkpoints: [
                    JournalCheckpoint(
                        owner: owner, position: checkpoint.position, header: checkpoint.header,
                        buckets: checkpoint.buckets.map {
                            JournalBucket(index: $0.index, bytes: $0.bytes)
                        }, replacesAll: isNew)
                ]), owner, checkpoint.position)
    }

    private func store(
        _ transaction: JournalTransaction, _ owner: ClusterID, _ position: Position
    ) {
        let isOwn = owner == own.id
        do throws(JournalError) {
            try journal.submit(transaction) { result in
                if isOwn { Task { await self.stored(position, result) } }
            }
        } catch {
            tell("journal: \(error)")
        }
    }

    private func stored(_ position: Position, _ result: Result<UInt64, JournalError>) {
        if case .failure(let error) = result { tell("journal: \(error)") }
        step { $0.release(through: position, into: &$1) }
        do { try flush() } catch { tell("commit: \(error)") }
    }

    func close() async throws {
        cut()
        try await journal.close()
    }
}
