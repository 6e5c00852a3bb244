// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Logging
import MeshAdmin
import MeshModel
import MeshTransport
import MeshTrust
import ServiceLifecycle

/// Takes new certificates, bundles and peers into use when their files change, asks for the node's
/// next certificate in time, and warns of one that ends.
actor TrustService: Service {
    /// Between two looks at the files.
    static let interval = Duration.seconds(1)
    /// Between two looks at how long certificates last.
    static let expiryInterval = Duration.seconds(30)
    /// So long after its peer's certificate has expired a link is closed, to be made anew: a CA that
    /// is down a day ends no session.
    static let sessionGrace: TimeInterval = 24 * 3600

    private let configuration: AgentConfiguration
    private var folder: PeerFolder
    private var credentials: NodeCredentials
    private var renewal: CertificateRenewal
    private let links: LinkService
    private let state: StateService
    private let denials: DenyService
    /// Set on nodes that hold the CA.
    private let authority: AuthorityService?
    /// What the roots in force hash to.
    private var digests: [ClusterID: UInt64]
    private var expiry = ExpiryWatch()
    private let log: Logger

    init(
        configuration: AgentConfiguration, folder: PeerFolder, credentials: NodeCredentials,
        links: LinkService, state: StateService, denials: DenyService,
        authority: AuthorityService?, log: Logger
    ) throws(TrustError) {
        digests = try Self.digests(links.security)
        self.configuration = configuration
        self.folder = folder
        self.credentials = credentials
        renewal = CertificateRenewal(of: credentials, draw: .random(in: 0...1))
        self.links = links
        self.state = state
        self.denials = denials
        self.authority = authority
        self.log = log
    }

    /// Why peers' files are not, or no longer, in force.
    var peerProblems: [ConfigurationError] { folder.problems }

    func run() async throws {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.followTime() }
            group.addTask { await self.followAuthority() }
        }
    }

    private func followTime() async {
        var known = stamps
        var untilLook = Duration.zero
        await tell()
        for await _ in AsyncTimer(every: Self.interval).cancelOnGracefulShutdown() {
            let stamps = stamps
            if stamps != known {
                known = stamps
                await reload()
            }
            await obey()
            await renew()
            links.closeExpired(at: Date(), grace: Self.sessionGrace)
            untilLook -= Self.interval
            guard untilLook <= .zero else { continue }
            untilLook = Self.expiryInterval
            warn(at: Date())
        }
    }

    private func warn(at now: Date) {
        let lives = TrustedLife.all(links.security, authority: authority?.present)
        for warning in expiry.warnings(about: lives, now: now) {
            log.log(
                level: warning.percentLeft > 25 ? .notice : .warning,
                warning.percentLeft > 0 ? "A certificate ends" : "A certificate has expired",
                metadata: [
                    "certificate": "\(warning.subject.kind.rawValue)",
                    "cluster": "\(warning.subject.cluster)",
                    "percent-left": "\(warning.percentLeft)",
                    "not-after": "\(warning.subject.life.notAfter.ISO8601Format())",
                    "hint": "\(warning.hint)",
                ])
        }
    }

    /// Says what this node's trust rests on, so that its home knows when a new root may be used.
    private func tell() async {
        let receipt = ReceiptRecord(
            node: configuration.node.name, bundles: digests, issuers: credentials.issuers,
            authority: authority?.present?.authorityKey(.root).bytes ?? [])
        await state.say([receipt.key: receipt.encoded], of: [.receipt])
    }

    private static func digests(_ security: LinkSecurity) throws(TrustError) -> [ClusterID: UInt64]
    {
        var digests: [ClusterID: UInt64] = [:]
        for domain in security.trust.trustDomains {
            guard let cluster = security.clusters[domain.cluster],
                let bundle = security.trust[domain.name]
            else { continue }
            digests[cluster] = try bundle.digest
        }
        return digests
    }

    /// Renews at once when the home wants certificates to rest on another key.
    private func obey() async {
        await tell()
        guard let required = await state.authorityRecord?.required, !required.isEmpty,
            !credentials.issuers.contains(required)
        else { return }
        renewal.hasten(now: Date())
    }

    /// Asks for the next certificate when it is due, and again until it is there.
    private func renew() async {
        do throws(TrustError) {
            guard let request = try renewal.attempt(now: Date()) else { return }
            let isAsked = await state.requestCertificate(.node, request, attempt: renewal.attempts)
            log.log(
                level: isAsked ? .info : .warning,
                isAsked ? "A new certificate is asked for" : "No node with the CA is linked",
                metadata: ["not-after": "\(credentials.notAfter.ISO8601Format())"])
        } catch {
            log.error("A new certificate can't be asked for", metadata: ["error": "\(error)"])
        }
    }

    private func followAuthority() async {
        for await answer in state.certificates.cancelOnGracefulShutdown() {
            switch answer {
            case .refused(let reason):
                log.warning(
                    "The authority refuses a certificate", metadata: ["reason": "\(reason)"])
            case .issued(let chain): await take(chain)
            }
        }
    }

    /// What isn't for the key that was asked for is an answer to an older question.
    private func take(_ chain: [[UInt8]]) async {
        guard let key = renewal.pending else { return }
        do {
            let renewed = try key.credentials(chainDER: chain, mesh: configuration.mesh)
            _ = try PeerVerifier(store: links.security.trust).verify(
                presented: chain, now: Date())
            guard renewed.identity == credentials.identity else {
                throw TrustError.untrusted(
                    certificate: "\(renewed.identity)", reason: "it names another node")
            }
            try renewed.save(in: configuration.paths.trust)
            // Its file has changed: it is in use with the next look.
        } catch {
            log.error(
                "The authority's certificate can't be used", metadata: ["error": "\(error)"])
        }
    }

    /// Of all files that matter, the peers folder's among them.
    private var stamps: [String: FileStamp] {
        let folder = configuration.paths.peers
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        let files =
            TrustMaterial.files(of: configuration, peers: self.folder.peers)
            + names.map { folder + "/" + $0 }
        return Dictionary(files.map { ($0, FileStamp($0)) }) { first, _ in first }
    }

    /// What was in use stays when the files can't be.
    private func reload() async {
        do {
            let folder = PeerFolder(
                folder: configuration.paths.peers, own: configuration, former: folder)
            let known = Set(self.folder.problems.map(\.description))
            for problem in folder.problems where !known.contains(problem.description) {
                log.error("A peer's file can't be used", metadata: ["problem": "\(problem)"])
            }
            let material = try TrustMaterial(configuration, peers: folder.peers)
            try material.check()
            let security = material.security
            try links.reload(security)
            await state.setPeers(
                folder.peers,
                authorities: try security.ledgerAuthorities(denials: denials.book))
            await denials.reconsider()
            self.folder = folder
            if security.credentials.notAfter != credentials.notAfter {
                renewal = CertificateRenewal(of: security.credentials, draw: .random(in: 0...1))
            }
            credentials = security.credentials
            digests = try Self.digests(security)
            log.notice(
                "New certificates and peers are in use",
                metadata: [
                    "node": "\(security.credentials)", "peers": "\(folder.peers.count)",
                ])
        } catch {
            log.error(
                "New certificates or peers can't be used: the former stay in use",
                metadata: ["error": "\(error)"])
        }
    }
}

extension ExpiryWatch.Warning {
    fileprivate var hint: String {
        switch subject.kind {
        case .node: "see why its authority doesn't renew it, or run `weft ca issue`"
        case .intermediate:
            "the node with the authority renews it if it has the root's key, else `weft ca request`"
        case .root: "rotate the root in time: everything below it ends with it"
        }
    }
}

extension TrustService: CustomStringConvertible {
    /// What the log calls this service.
    nonisolated var description: String { "TrustService" }
}
