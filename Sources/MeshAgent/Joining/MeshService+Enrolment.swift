// SPDX-License-Identifier: Apache-2.0

import Logging
import MeshModel
import MeshTransport
import MeshTrust
import ServiceLifecycle

// MARK: Those who join

extension MeshService {
    private static let listenRetry = Duration.seconds(5)

    /// Listens until shutdown. A port that somebody else has ends no agent.
    func listen() async {
        let address = TransportAddress(
            address: configuration.underlay, port: configuration.ports.enrolment)
        while !Task.isCancelled, !Task.isShuttingDownGracefully {
            do {
                try await serve(at: address)
                return
            } catch {
                server = nil
                log.error(
                    "Nobody can join: nothing listens for them",
                    metadata: ["address": "\(address)", "error": "\(error)"])
            }
            for await _ in AsyncTimer(every: Self.listenRetry).cancelOnGracefulShutdown() { break }
        }
    }

    private func serve(at address: TransportAddress) async throws {
        guard let desk else { return }
        let credentials = links.security.credentials
        let server = try EnrolmentServer(
            listen: address, credentials: credentials, root: try root(of: desk),
            statistics: statistics
        ) { [weak self] request, source in await self?.answer(request, to: source) ?? [] }
        self.server = (server, credentials)
        try await server.run()
    }

    private func root(of desk: JoinDesk) throws -> [UInt8] {
        try desk.authority().bundle.anchorsDER()[0]
    }

    /// After a renewal others are presented the new certificate.
    func presentNewCertificate() {
        let credentials = links.security.credentials
        guard let desk, let server, server.credentials.notAfter != credentials.notAfter
        else { return }
        do {
            try server.server.reload(credentials: credentials, root: try root(of: desk))
            self.server = (server.server, credentials)
        } catch {
            log.error(
                "Those who join are presented the former certificate",
                metadata: ["error": "\(error)"])
        }
    }

    private func answer(_ request: [UInt8], to source: Address) async -> [UInt8] {
        guard let leaf = try? server?.credentials.chainDER().first else { return [] }
        if NodeAttestation.isOne(request) {
            let answer = await self.answer(attested: request, presenting: leaf, to: source)
            note(answer, to: source)
            return answer.bytes
        }
        do { try await describe() } catch {
            log.error(
                "This cluster's description isn't up to date", metadata: ["error": "\(error)"])
        }
        guard
            let answer = desk?.answer(
                request, presenting: leaf, to: source, clock: Instant.monotonicNow.seconds,
                now: unixSeconds(), beside: { filed })
        else { return [] }
        do { try await settle() } catch {
            log.error("Nobody is let in: that can't be kept", metadata: ["error": "\(error)"])
            return JoinIntroduction.refusal(.failed("\(error)"))
        }
        note(answer, to: source)
        note(answer.events)
        await publish()
        return answer.bytes
    }

    private func note(_ answer: DeskAnswer, to source: Address) {
        if let refusal = answer.refusal {
            // Who tries too often must not fill the log.
            let isFlood = if case .tooManyTries = refusal { true } else { false }
            log.log(
                level: isFlood ? .debug : .warning,
                "Somebody who wants to join is refused",
                metadata: ["address": "\(source)", "reason": "\(refusal)"])
        }
        if let node = answer.node {
            log.notice("A node has its first certificate", metadata: ["peer.node": "\(node)"])
        }
    }
}

extension Instant {
    fileprivate var seconds: UInt64 { nanoseconds / 1_000_000_000 }
}
