// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Logging
import MeshKubernetes
import MeshTrust
import ServiceLifecycle

/// Keeps a node of Kubernetes in possession of a certificate: gets its first one, and another one when
/// the node was away for longer than its certificate lasted. In between it is renewed over links.
struct AttestedJoining: Service, CustomStringConvertible {
    /// Between two looks at what is there.
    private static let interval = Duration.seconds(10)

    let configuration: AgentConfiguration
    let settings: JoinSettings.Node
    let kubernetes: KubernetesAccess?
    let log: Logger
    let description = "AttestedJoining"

    /// Nil where nothing is configured, and on the home, which certifies itself.
    init?(_ configuration: AgentConfiguration, _ kubernetes: KubernetesAccess?, _ log: Logger) {
        guard let settings = configuration.join?.node, !configuration.isHome else { return nil }
        self.configuration = configuration
        self.settings = settings
        self.kubernetes = kubernetes
        self.log = log
    }

    /// Returns when the node has a certificate that isn't over, however long that takes: without one
    /// there is nothing that an agent could do.
    ///
    /// - Throws: `CancellationError` alone.
    func obtainFirst() async throws {
        let path = "\(configuration.paths.trust)/\(NodeCredentials.fileName)"
        // One that is over is no reason to leave endpoints alone: see ``run()``.
        guard !FileManager.default.fileExists(atPath: path) else { return }
        try await obtain()
    }

    func run() async throws {
        for await _ in AsyncTimer(every: Self.interval).cancelOnGracefulShutdown() {
            guard let present = try? credentials, present.notAfter <= Date() else { continue }
            log.warning(
                "This node's certificate is over",
                metadata: ["not-after": "\(present.notAfter.ISO8601Format())"])
            try? await cancelWhenGracefulShutdown { try await obtain() }
        }
    }

    private var credentials: NodeCredentials {
        get throws {
            try NodeCredentials.load(mesh: configuration.mesh, from: configuration.paths.trust)
        }
    }

    private func obtain() async throws {
        var backoff = KubernetesBackoff(first: .seconds(1), longest: .seconds(60))
        var generator = SystemRandomNumberGenerator()
        var told = ""
        while true {
            do {
                let credentials = try await NodeEnrolment.attest(
                    settings, of: configuration, at: addresses())
                return log.notice(
                    "The authority gave this node a certificate",
                    metadata: ["node": "\(credentials)"])
            } catch let error as CancellationError {
                throw error
            } catch {
                let reason = "\(error)"
                log.log(
                    level: reason == told ? .debug : .warning,
                    "This node has no certificate yet: the authority is asked again",
                    metadata: ["error": "\(reason)"])
                told = reason
            }
            try await Task.sleep(for: backoff.next(using: &generator))
        }
    }

    private func addresses() async throws -> [ClusterAddress] {
        guard let service = settings.service, let kubernetes else { return settings.addresses }
        return settings.addresses
            + (try EnrolmentAddresses.read(
                await kubernetes.answer(to: EnrolmentAddresses.request(of: service))))
    }
}
