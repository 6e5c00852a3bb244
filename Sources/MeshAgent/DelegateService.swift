// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Logging
import MeshModel
import MeshTransport
import MeshTrust
import ServiceLifecycle

/// On nodes that sign for their cluster beside its home: asks that one for another intermediate when
/// theirs ends, and when the cluster's root has changed.
actor DelegateService: Service {
    private static let interval = Duration.seconds(1)
    /// Until the home is asked again.
    private static let retry = Duration.seconds(10)

    private let configuration: AgentConfiguration
    private let authority: AuthorityService
    private let state: StateService
    private let links: LinkService
    private let log: Logger

    init(
        configuration: AgentConfiguration, authority: AuthorityService, state: StateService,
        links: LinkService, log: Logger
    ) {
        self.configuration = configuration
        self.authority = authority
        self.state = state
        self.links = links
        self.log = log
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
            quietFor = Self.retry
            do throws(TrustError) {
                let request = try authority.authority.delegateRequest()
                let isAsked = await state.requestCertificate(.authority, request, attempt: 0)
                log.log(
                    level: isAsked ? .notice : .warning,
                    isAsked
                        ? "The home is asked for an intermediate" : "The home isn't linked",
                    metadata: ["home": "\(configuration.home)"])
            } catch {
                log.error("An intermediate can't be asked for", metadata: ["error": "\(error)"])
            }
        }
    }

    /// Whether the home signs below another root, or the intermediate ends and its root's key isn't
    /// here, as it need not be.
    private func isNeeded(now: Date) async -> Bool {
        let present = authority.authority
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
                    let present = authority.authority
                    guard let bundle = links.security.trust[present.trustDomain.name]
                    else { continue }
                    try authority.use(
                        try present.installed(delegate: chain, under: bundle),
                        because: "the home made it an intermediate")
                } catch {
                    log.error(
                        "The home's intermediate can't be used", metadata: ["error": "\(error)"])
                }
            }
        }
    }
}

extension DelegateService: CustomStringConvertible {
    /// What the log calls this service.
    nonisolated var description: String { "DelegateService" }
}
