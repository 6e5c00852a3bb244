// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Logging
import MeshModel
import MeshTransport
import MeshTrust
import ServiceLifecycle

/// On nodes that sign for their cluster beside its home: asks that one for an intermediate when the
/// node has none, when its own ends, and when the cluster's root has changed.
actor DelegateService: Service {
    private static let interval = Duration.seconds(1)
    /// Until the home is asked again.
    private static let retry = Duration.seconds(10)

    private let configuration: AgentConfiguration
    private let authority: AuthorityService
    private let state: StateService
    private let links: LinkService
    private let log: Logger
    /// Once there is an authority.
    private let candidacy: @Sendable () -> Candidacy?

    /// - Parameter candidacy: what the node may publish with, once it has an intermediate.
    init(
        configuration: AgentConfiguration, authority: AuthorityService, state: StateService,
        links: LinkService, log: Logger, candidacy: @escaping @Sendable () -> Candidacy?
    ) {
        self.configuration = configuration
        self.authority = authority
        self.state = state
        self.links = links
        self.log = log
        self.candidacy = candidacy
    }

    func run() async throws {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.followTime() }
            group.addTask { await self.followHome() }
        }
    }

    private func followTime() async {
        var quietFor = Duration.zero
        for await _ in AsyncTimer(every: Self.interval).cancelOnGracefulShutdown() {
            quietFor -= Self.interval
            guard quietFor <= .zero, await isNeeded(now: Date()) else { continue }
            do throws(TrustError) {
                let request = try request()
                guard await state.requestCertificate(.authority, request, attempt: 0) else {
                    log.debug("The home isn't linked", metadata: ["home": "\(configuration.home)"])
                    continue
                }
                log.notice(
                    "The home is asked for an intermediate",
                    metadata: ["home": "\(configuration.home)"])
            } catch {
                log.error("An intermediate can't be asked for", metadata: ["error": "\(error)"])
            }
            quietFor = Self.retry
        }
    }

    private var domain: TrustDomain { links.security.credentials.identity.domain }

    private func request() throws(TrustError) -> [UInt8] {
        if let present = authority.present { return try present.delegateRequest() }
        return try CertificateAuthority.delegateRequest(
            of: domain, in: AuthorityService.folder(of: configuration))
    }

    /// Whether there is none, the home signs below another root, or the intermediate ends and its
    /// root's key isn't here, as it need not be.
    private func isNeeded(now: Date) async -> Bool {
        guard let present = authority.present else { return true }
        if let told = await state.authorityRecord,
            told.root != present.authorityKey(.root).bytes
        {
            return true
        }
        return present.needsRenewal(now: now) && (try? present.hasRootKey) != true
    }

    private func followHome() async {
        for await answer in state.authorityCertificates.cancelOnGracefulShutdown() {
            switch answer {
            case .refused(let reason):
                log.warning(
                    "The home refuses an intermediate", metadata: ["reason": "\(reason)"])
            case .issued(let chain):
                do {
                    guard let bundle = links.security.trust[domain.name] else { continue }
                    try authority.use(
                        install(chain, under: bundle), because: "the home made it an intermediate")
                    if let candidacy = candidacy() { await state.stand(candidacy) }
                } catch {
                    log.error(
                        "The home's intermediate can't be used", metadata: ["error": "\(error)"])
                }
            }
        }
    }

    private func install(
        _ chain: [[UInt8]], under bundle: TrustBundle
    ) throws(TrustError) -> CertificateAuthority {
        if let present = authority.present {
            return try present.installed(delegate: chain, under: bundle)
        }
        return try CertificateAuthority.installed(
            delegate: chain, under: bundle, in: AuthorityService.folder(of: configuration))
    }
}

extension DelegateService: CustomStringConvertible {
    /// What the log calls this service.
    nonisolated var description: String { "DelegateService" }
}
