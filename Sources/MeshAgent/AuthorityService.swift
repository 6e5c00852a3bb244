// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Logging
import MeshTrust
import ServiceLifecycle
import Synchronization
import X509

/// The cluster's CA on a node that holds its key: certifies the cluster's nodes and renews its own
/// certificate, without a restart.
final class AuthorityService: Service {
    /// Between two looks at the authority's life and file.
    private static let interval = Duration.seconds(10)
    /// Between two warnings.
    private static let warningInterval = Duration.seconds(1800)

    private let configuration: AgentConfiguration
    private let held: Mutex<CertificateAuthority?>
    private let lifetime: Mutex<Double>
    private let denials: Denials
    private let trail: AuthorityAudit
    private let log: Logger

    init(
        configuration: AgentConfiguration, authority: CertificateAuthority?, denials: Denials,
        log: Logger
    ) {
        self.configuration = configuration
        lifetime = Mutex(configuration.nodeCertificateSeconds)
        held = Mutex(authority)
        self.denials = denials
        trail = AuthorityAudit(
            authority: Self.folder(of: configuration),
            copy: configuration.publisher.isApart ? AuthorityAudit.standardOutput : nil, log: log)
        self.log = log
    }

    /// Nil on a node that asks the home for its first intermediate; once it is here, it stays.
    var present: CertificateAuthority? {
        var present = held.withLock { $0 }
        present?.nodeLifetimeSeconds = nodeLifetimeSeconds
        return present
    }

    /// Of certificates that are issued from now on.
    var nodeLifetimeSeconds: Double {
        get { lifetime.withLock { $0 } }
        set { lifetime.withLock { $0 = newValue } }
    }

    /// - Throws: ``TrustError/noAuthority`` while there is none.
    var authority: CertificateAuthority {
        get throws(TrustError) {
            guard let present else { throw .noAuthority }
            return present
        }
    }

    static func folder(of configuration: AgentConfiguration) -> String {
        configuration.paths.trust + "/authority"
    }

    /// Records what was decided about trust; returns when it is on disk.
    ///
    /// - Throws: ``AuditFault``: don't release what the entries are about.
    func audit(_ entries: [AuditEntry]) throws(AuditFault) { try trail.append(entries) }

    /// Records what has happened already: it isn't undone when it can't be recorded.
    func note(_ entry: AuditEntry) {
        do throws(AuditFault) {
            try audit([entry])
        } catch {
            log.error("The audit log can't be written", metadata: ["error": "\(error)"])
        }
    }

    /// The last record of the audit log, nil while none was written.
    var auditHead: AuditLog.Head? { trail.head }

    func sign(_ statement: Statement) throws(TrustError) -> [UInt8] {
        try authority.sign(statement: statement).encoded
    }

    /// Certifies the key of a node of the own cluster, which the caller has authenticated, unless the
    /// node, its key or the authority is denied.
    ///
    /// - Parameters:
    ///   - request: PKCS#10 in DER, unchecked.
    ///   - actor: who asks; nil: the node itself.
    ///   - reason: what shows that it may, beside its name.
    /// - Throws: ``TrustError`` or ``AuditFault``: nothing was issued.
    func certify(
        node: String, request: [UInt8], for actor: AuditActor? = nil,
        because reason: AuditReason? = nil, now: Date = Date()
    ) throws -> [[UInt8]] {
        let authority = try authority
        let id = PeerIdentity(domain: authority.trustDomain, node: node)?.spiffeID
        let subject = id.map { AuditSubject.identity($0) }
        let actor = actor ?? id.map { .node($0) } ?? .agent
        do {
            let issued = try authority.issueNodeCertificate(
                node: node, request: NodeRequest(der: request), now: now)
            if let denial = denials.book.denial(of: issued + authority.chain.suffix(1)) {
                throw TrustError.denied(certificate: node, reason: "\(denial)")
            }
            try audit([
                AuditEntry(
                    .issue, .granted, by: actor, subject: subject, certificate: issued.first,
                    reason: reason)
            ])
            log.notice("A node's certificate is issued", metadata: ["peer.node": "\(node)"])
            return try CertificateAuthority.der(issued)
        } catch {
            log.warning(
                "A node's certificate isn't issued",
                metadata: ["peer.node": "\(node)", "error": "\(error)"])
            if let refusal = error as? TrustError {
                trail.refuse(
                    AuditEntry(
                        .issue, .refused, by: actor, subject: subject, reason: "\(refusal)"),
                    of: node, at: now)
            }
            throw error
        }
    }

    /// Records, once in a while, that somebody who asks to be a node isn't believed.
    func refuse(node: String, to actor: AuditActor, because reason: AuditReason) {
        let id = (try? authority.trustDomain).flatMap { PeerIdentity(domain: $0, node: node) }
        trail.refuse(
            AuditEntry(
                .issue, .refused, by: actor, subject: id.map { .identity($0.spiffeID) },
                reason: reason), of: node, at: Date())
    }

    /// Certifies a node that signs for the cluster, too; on the home, which has the root's key.
    ///
    /// - Throws: ``TrustError`` or ``AuditFault``: nothing was issued.
    func certifyDelegate(
        node: String, _ request: [UInt8], now: Date = Date()
    ) throws -> [[UInt8]] {
        guard configuration.isHome
        else { throw TrustError.invalidRequest("this node isn't the cluster's home") }
        let authority = try authority
        let actor = PeerIdentity(domain: authority.trustDomain, node: node)
            .map { AuditActor.node($0.spiffeID) }
        let subject = AuditSubject.cluster(configuration.clusterName)
        let (chain, certificate): ([[UInt8]], Certificate)
        do throws(TrustError) {
            (chain, certificate) = try authority.certifyDelegate(request: request, now: now)
        } catch {
            trail.refuse(
                AuditEntry(
                    .issue, .refused, by: actor ?? .agent, subject: subject, reason: "\(error)"),
                of: node, at: now)
            throw error
        }
        try audit([
            AuditEntry(
                .issue, .granted, by: actor ?? .agent, subject: subject, certificate: certificate,
                reason: "an intermediate of a node's own")
        ])
        log.notice("A node has an intermediate of its own", metadata: ["peer.node": "\(node)"])
        return chain
    }

    /// Goes on with another authority, which is on disk in the place of the former.
    func use(
        _ next: CertificateAuthority, because reason: AuditReason
    ) throws(AuditFault) {
        try replace(with: next, because: reason)
        log.notice("The CA has a new certificate", metadata: ["ca": "\(next)"])
    }

    /// The authority has another certificate.
    private func replace(
        with next: CertificateAuthority, because reason: AuditReason
    ) throws(AuditFault) {
        try audit([
            AuditEntry(
                .issue, .granted, by: .agent, subject: .cluster(configuration.clusterName),
                certificate: next.chain.first, reason: reason)
        ])
        held.withLock { $0 = next }
    }

    func run() async throws {
        let folder = Self.folder(of: configuration)
        let file = "\(folder)/\(CertificateAuthority.fileName)"
        do throws(AuditFault) {
            try audit([])  // opens the log and looks through it
        } catch {
            log.warning("The audit log isn't open yet", metadata: ["error": "\(error)"])
        }
        var known = FileStamp(file)
        var quietFor = Duration.zero
        for await _ in AsyncTimer(every: Self.interval).cancelOnGracefulShutdown() {
            quietFor -= Self.interval
            do {
                let stamp = FileStamp(file)
                if stamp != known {
                    let loaded = try CertificateAuthority.load(
                        cluster: configuration.clusterName, mesh: configuration.mesh,
                        from: folder)
                    // What this service was given to use is in the file already.
                    if loaded.chain != present?.chain {
                        try use(loaded, because: "its file was replaced")
                    }
                    known = stamp
                }
                guard let authority = present, authority.needsRenewal(now: Date()),
                    quietFor <= .zero,
                    // Others ask the home, see DelegateService.
                    try configuration.isHome || authority.hasRootKey
                else { continue }
                let renewed = try authority.renewed()
                try replace(with: renewed, because: "the intermediate was due")
                known = FileStamp(file)
                log.notice("The CA's certificate is renewed", metadata: ["ca": "\(renewed)"])
            } catch {
                guard quietFor <= .zero else { continue }
                quietFor = Self.warningInterval
                log.warning(
                    "The CA's certificate isn't renewed", metadata: ["error": "\(error)"])
            }
        }
    }
}

extension AuthorityService: CustomStringConvertible {
    /// What the log calls this service.
    var description: String { "AuthorityService" }
}
