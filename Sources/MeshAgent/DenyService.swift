// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Logging
import MeshModel
import MeshTransport
import MeshTrust
import ServiceLifecycle

/// Brings deny lists into force: those that clusters announce in their ledgers, and the operator's.
/// What is denied is on disk first, then its sessions end.
actor DenyService: Service {
    /// Between two looks at what has expired, or couldn't be taken in.
    private static let interval = Duration.seconds(10)

    private let configuration: AgentConfiguration
    private nonisolated let denials: Denials
    private let links: LinkService
    private let state: StateService
    /// Set on nodes that hold the CA.
    private let authority: AuthorityService?
    /// See ``MeshService/settle``.
    private let settle: @Sendable () async throws -> Void
    private let log: Logger
    /// Lists that were looked at, as their clusters' ledgers have them.
    private var considered: [ClusterID: [UInt8]] = [:]
    /// Of the authority that signed what this home tells.
    private var signer: [UInt8]?

    init(
        configuration: AgentConfiguration, denials: Denials, links: LinkService,
        state: StateService, authority: AuthorityService?,
        settle: @escaping @Sendable () async throws -> Void = {}, log: Logger
    ) {
        self.configuration = configuration
        self.denials = denials
        self.links = links
        self.state = state
        self.authority = authority
        self.settle = settle
        self.log = log
    }

    nonisolated var book: DenyBook { denials.book }

    func run() async throws {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.followLists() }
            group.addTask { await self.followTime() }
        }
    }

    /// Other bundles are in use: a list that nobody could vouch for may count now.
    func reconsider() async {
        considered = [:]
        await consider()
    }

    private func followLists() async {
        for await _ in state.denyListChanges.cancelOnGracefulShutdown() { await consider() }
    }

    private func followTime() async {
        await tellOwn()
        for await _ in AsyncTimer(every: Self.interval).cancelOnGracefulShutdown() {
            do {
                _ = try denials.update { $0.expire(now: Date()) }
            } catch {
                log.error("Denials can't be written down", metadata: ["error": "\(error)"])
            }
            await consider()
            await tellOwn()
        }
    }

    // MARK: Lists of clusters

    private func consider() async {
        var isChanged = await beginLives()
        let lists = await state.denyLists
        for (cluster, bytes) in lists.sorted(by: { $0.key < $1.key })
        where considered[cluster] != bytes {
            considered[cluster] = bytes
            if receive(bytes, from: cluster) { isChanged = true }
        }
        if isChanged { await enforce() }
    }

    /// Forgets lists of clusters whose names stand for others now.
    private func beginLives() async -> Bool {
        var begun: [ClusterName] = []
        // In force already: what the former cluster's ledger said is gone.
        for peer in await state.peers where peer.life > 0 {
            do {
                let domain = try TrustDomain(cluster: peer.name, mesh: configuration.mesh)
                if try denials.update({ $0.begin(life: peer.life, of: domain) }) {
                    begun.append(peer.name)
                }
            } catch {
                log.error(
                    "A former deny list can't be forgotten",
                    metadata: ["peer.cluster": "\(peer.name)", "error": "\(error)"])
            }
        }
        for name in begun {
            log.notice(
                "The deny list of a cluster that was forgotten doesn't bind the next",
                metadata: ["peer.cluster": "\(name)"])
        }
        guard !begun.isEmpty else { return false }
        considered = [:]
        return true
    }

    /// - Returns: whether something else is denied than before.
    private func receive(_ bytes: [UInt8], from cluster: ClusterID) -> Bool {
        let security = links.security
        guard let name = security.clusters.first(where: { $0.value == cluster })?.key
        else { return false }
        do {
            let sealed = try SealedStatement(encoded: bytes)
            guard try DenyList(body: sealed.body, mesh: configuration.mesh).owner.cluster == name
            else { throw StatementRefusal.malformed("it is another cluster's") }
            guard
                let list = try denials.update({
                    try $0.receive(
                        sealed, bundles: security.trust,
                        judge: Statement.Kind.denyList.judge(now: Date()), now: Date())
                })
            else { return false }
            log.notice(
                "A cluster's deny list is in force",
                metadata: [
                    "peer.cluster": "\(name)", "sequence": "\(list.sequence)",
                    "entries": "\(list.entries.count)",
                ])
            note(
                AuditEntry(
                    .deny, .granted, by: .cluster(name), subject: .cluster(name),
                    reason: "list \(list.sequence) with \(list.entries.count) denials"))
            return true
        } catch let refusal as StatementRefusal {
            log.log(
                level: refusal.isAlarm ? .critical : .warning,
                "A cluster's deny list is refused: the former stays in force",
                metadata: ["peer.cluster": "\(name)", "reason": "\(refusal)"])
            note(
                AuditEntry(
                    .deny, .refused, by: .cluster(name), subject: .cluster(name),
                    reason: "\(refusal)"))
        } catch is DecodingFault {
            log.warning(
                "A cluster's deny list can't be read", metadata: ["peer.cluster": "\(name)"])
        } catch {
            // Not on disk, not in force: tried again with the next look.
            considered[cluster] = nil
            log.error(
                "A cluster's deny list can't be written down",
                metadata: ["peer.cluster": "\(name)", "error": "\(error)"])
        }
        return false
    }

    /// Ends what is denied and remembers who vouches for ledgers no longer.
    private func enforce() async {
        do {
            let ended = try links.judgeAgain()
            note(
                ended.map {
                    AuditEntry(.disconnect, .noted, by: .agent, subject: .identity($0.spiffeID))
                })
            for peer in ended {
                log.notice("A denied node is cut off", metadata: ["peer.node": "\(peer)"])
            }
        } catch {
            log.error("Old TLS sessions can't be ended", metadata: ["error": "\(error)"])
        }
        do {
            await state.trust(try links.security.ledgerAuthorities(denials: denials.book))
        } catch {
            log.error("Ledgers' authorities can't be judged", metadata: ["error": "\(error)"])
        }
    }

    // MARK: The operator

    /// Denies for everybody, on the home of the cluster's authority.
    ///
    /// - Throws: ``DenyFault``, ``StatementRefusal``, ``TrustError`` or ``AuditFault``: nothing is denied
    ///   that wasn't before.
    func deny(_ subject: DenySubject, reason: String) async throws {
        let (authority, now) = (try home(), Date())
        let entry = try DenyEntry(
            subject, reason: reason, since: now,
            until: subject.end(roots: roots(of: [ownDomain]), now: now))
        try await publish(
            next(adding: [entry], removing: [], now), by: authority,
            recording: AuditEntry(
                .deny, .granted, by: .operatorHere, subject: subject.auditSubject,
                reason: "\(entry)"))
    }

    /// Denies on this node alone, whoever issued it.
    func denyLocally(_ subject: DenySubject, reason: String) async throws {
        let now = Date()
        let entry = try DenyEntry(
            subject, reason: reason, since: now,
            until: subject.end(roots: roots(of: links.security.trust.trustDomains), now: now))
        try authority?.audit([
            AuditEntry(
                .deny, .granted, by: .operatorHere, subject: subject.auditSubject,
                reason: "on this node, \(entry)")
        ])
        try denials.update { try $0.denyLocally(entry) }
        await enforce()
    }

    /// - Throws: ``DenyFault/notDenied(_:)``, or as ``deny(_:reason:)``.
    func allow(_ subject: DenySubject) async throws {
        let (authority, now) = (try home(), Date())
        guard
            denials.book.list(of: ownDomain)?.entries.contains(where: {
                $0.subject == subject
            }) == true
        else { throw DenyFault.notDenied(subject) }
        try await publish(
            next(adding: [], removing: [subject], now), by: authority,
            recording: AuditEntry(
                .deny, .granted, by: .operatorHere, subject: subject.auditSubject,
                reason: "\(subject) is allowed again"))
    }

    func allowLocally(_ subject: DenySubject) async throws {
        guard denials.book.localEntries.contains(where: { $0.subject == subject })
        else { throw DenyFault.notDenied(subject) }
        try authority?.audit([
            AuditEntry(
                .deny, .granted, by: .operatorHere, subject: subject.auditSubject,
                reason: "on this node, \(subject) is allowed again")
        ])
        _ = try denials.update { $0.allowLocally(subject) }
        await enforce()
    }

    private func home() throws(DenyFault) -> AuthorityService {
        guard configuration.isHome, let authority else { throw .notHome(configuration.home) }
        return authority
    }

    private var ownDomain: TrustDomain { links.security.credentials.identity.domain }

    private func roots(of domains: [TrustDomain]) -> [CertificateLife] {
        let trust = links.security.trust
        return domains.flatMap { trust[$0.name]?.anchors.map { CertificateLife($0) } ?? [] }
    }

    private func next(
        adding: [DenyEntry], removing: Set<DenySubject>, _ now: Date
    ) throws -> DenyList {
        let former =
            try denials.book.list(of: ownDomain)
            ?? DenyList(of: ownDomain, sequence: 0, entries: [])
        return try former.next(adding: adding, removing: removing, now: now)
    }

    private func publish(
        _ list: DenyList, by authority: AuthorityService, recording entry: AuditEntry
    ) async throws {
        let (security, now) = (links.security, Date())
        let sealed = try list.sealed { try authority.sign(Statement(.denyList, body: $0)) }
        let record = DenyListRecord(sealed: sealed.encoded)
        guard record.encoded.count <= RecordLimit.valueBytes else { throw DenyFault.full }
        let judge = Statement.Kind.denyList.judge(now: now)
        var trial = denials.book
        _ = try trial.receive(sealed, bundles: security.trust, judge: judge, now: now)
        // Who denies the hand that signs can never take it back.
        let own = try authority.authority.chain
        if trial.denial(of: own) != nil
            || trial.denial(of: security.credentials.chain + own.suffix(1)) != nil
        {
            throw DenyFault.oneself
        }
        try authority.audit([entry])
        _ = try denials.update {
            try $0.receive(sealed, bundles: security.trust, judge: judge, now: now)
        }
        signer = CertificateLife(own[0]).keyIdentifier
        try await settle()
        await state.say([record.key: record.encoded], of: [.deny])
        await enforce()
    }

    /// Tells the own list under a signature that newcomers can verify: by the present authority.
    private func tellOwn() async {
        guard configuration.isHome, let authority, let chain = authority.present?.chain,
            let list = denials.book.list(of: ownDomain)
        else { return }
        let present = CertificateLife(chain[0]).keyIdentifier
        guard present != signer else { return }
        do {
            let sealed = try list.sealed { try authority.sign(Statement(.denyList, body: $0)) }
            signer = present
            let record = DenyListRecord(sealed: sealed.encoded)
            try await settle()
            await state.say([record.key: record.encoded], of: [.deny])
        } catch {
            log.error("The deny list can't be signed", metadata: ["error": "\(error)"])
        }
    }

    private func note(_ entries: AuditEntry...) { note(entries) }

    /// What happened anyway: it isn't undone when it can't be recorded.
    private func note(_ entries: [AuditEntry]) {
        guard let authority, !entries.isEmpty else { return }
        do throws(AuditFault) {
            try authority.audit(entries)
        } catch {
            log.error("The audit log can't be written", metadata: ["error": "\(error)"])
        }
    }
}

extension DenyService: CustomStringConvertible {
    /// What the log calls this service.
    nonisolated var description: String { "DenyService" }
}
