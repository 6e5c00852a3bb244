// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import MeshModel
import MeshTransport
import MeshTrust
import Synchronization

/// Why an authority gave a node no certificate for its service account's token.
enum EnrolmentFault: Error, CustomStringConvertible {
    /// The kubelet hasn't put it there yet, or the authority hasn't said it yet.
    case missing(file: String)
    case unusable(file: String)
    /// Nobody holds the cluster's authority now, as far as the API server knows.
    case nobody

    var description: String {
        switch self {
        case .missing(let file): "\(file) isn't there yet"
        case .unusable(let file): "\(file) isn't what it should be"
        case .nobody: "the API server names no authority to ask"
        }
    }
}

extension NodeEnrolment {
    /// Asks the cluster's authority for a certificate with this pod's token, and writes key,
    /// certificates and roots into the node's folder of trust.
    ///
    /// - Parameters:
    ///   - addresses: asked one after the other, until one has an authority that takes the token.
    ///   - ask: see ``EnrolmentClient/ask(_:group:question:)``.
    /// - Throws: what the last one said; nothing is in use.
    static func attest(
        _ settings: JoinSettings.Node, of configuration: AgentConfiguration,
        at addresses: [ClusterAddress], now: @escaping @Sendable () -> Date = { Date() }
    ) async throws -> NodeCredentials {
        let folder = configuration.paths.trust
        let domain = try TrustDomain(
            cluster: configuration.clusterName, mesh: configuration.mesh)
        guard let identity = PeerIdentity(domain: domain, node: configuration.node.name) else {
            throw EnrolmentFault.unusable(file: "node.name")
        }
        let bundle = try TrustBundle(
            trustDomain: domain,
            pem: try text(settings.bundleFile, atMost: TrustBundle.bytesMaximum))
        guard
            let token = BearerToken(
                try text(settings.tokenFile, atMost: JoinLimit.bearerTokenBytes))
        else { throw EnrolmentFault.unusable(file: settings.tokenFile) }
        let key = try NodeKey.pending(in: folder)
        let authorities = Set(configuration.publisher.candidates)
        var failure: any Error = EnrolmentFault.nobody
        for address in addresses {
            let joiner = AttestedJoiner(
                identity: identity, cluster: configuration.cluster, bundle: bundle, key: key)
            let machine = Mutex(joiner)
            do {
                let answer = try await EnrolmentClient.ask(TransportAddress(address)) {
                    presented throws(TrustError) in
                    try machine.withLock { joiner throws(TrustError) in
                        let channel = try joiner.channel(
                            presented: presented, authorities: authorities, now: now())
                        return try joiner.request(
                            token: token, channel: channel, nonce: JoinExchange.nonce(),
                            now: UInt64(max(0, now().timeIntervalSince1970)))
                    }
                }
                let welcome = try machine.withLock { $0 }.receive(
                    answer, now: UInt64(max(0, now().timeIntervalSince1970)),
                    verify: verifyMeshStatement)
                return try save(welcome, key, in: folder)
            } catch {
                failure = error
            }
        }
        throw failure
    }

    private static func text(_ path: String, atMost bytes: Int) throws -> String {
        var file = DurableFile(path: path)
        file.maximumBytes = bytes + 1
        guard let text = try file.read() else { throw EnrolmentFault.missing(file: path) }
        guard text.utf8.count <= bytes else { throw EnrolmentFault.unusable(file: path) }
        return text
    }
}
