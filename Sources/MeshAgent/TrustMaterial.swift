// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import MeshModel
import MeshTransport
import MeshTrust

/// A node's keys and whom it believes, read from its trust folder and its peers' files.
struct TrustMaterial {
    /// Certificates of the own cluster's authority, PEM.
    static let bundleFile = "ca.pem"
    let security: LinkSecurity
    /// Set on nodes that may publish; those but the home may be without at first.
    let authority: CertificateAuthority?

    /// Whether others would believe this node now.
    ///
    /// - Throws: ``TrustError``: the certificate is foreign, expired or not yet valid.
    func check() throws {
        _ = try PeerVerifier(store: security.trust).verify(
            presented: security.credentials.chainDER(), now: Date())
    }

    /// What ``init(_:peers:)`` reads and an operator may replace.
    static func files(of configuration: AgentConfiguration, peers: [PeerCluster]) -> [String] {
        [NodeCredentials.fileName, bundleFile]
            .map { configuration.paths.trust + "/" + $0 }
            + peers.filter { !$0.hasInlineBundle }.map(\.bundle)
    }

    init(_ configuration: AgentConfiguration, peers: [PeerCluster]) throws {
        let folder = configuration.paths.trust
        let credentials = try NodeCredentials.load(mesh: configuration.mesh, from: folder)
        guard credentials.identity.cluster == configuration.clusterName,
            credentials.identity.node == configuration.node.name
        else {
            throw ConfigurationError(
                folder,
                "the certificate is of node '\(credentials.identity.node)' of cluster '\(credentials.identity.cluster)', not of '\(configuration.node.name)' of '\(configuration.clusterName)'; issue one with `weft ca issue`"
            )
        }
        var bundles = [
            try TrustBundle(
                trustDomain: TrustDomain(
                    cluster: configuration.clusterName, mesh: configuration.mesh),
                pem: try readText(folder + "/" + Self.bundleFile))
        ]
        var clusters = [configuration.clusterName: configuration.cluster]
        for peer in peers {
            let bundle = try TrustBundle(
                trustDomain: TrustDomain(cluster: peer.name, mesh: configuration.mesh),
                pem: peer.hasInlineBundle ? peer.bundle : try readText(peer.bundle))
            bundles.append(bundle)
            clusters[peer.name] = peer.id
        }
        security = LinkSecurity(
            credentials: credentials, trust: TrustStore(bundles), clusters: clusters)
        let authorityFolder = AuthorityService.folder(of: configuration)
        authority =
            try configuration.mayPublish
            && (configuration.isHome || CertificateAuthority.exists(in: authorityFolder))
            ? CertificateAuthority.load(
                cluster: configuration.clusterName, mesh: configuration.mesh,
                from: authorityFolder)
            : nil
    }
}

extension PeerCluster {
    fileprivate var hasInlineBundle: Bool { bundle.contains("-----BEGIN CERTIFICATE-----") }
}

private func readText(_ path: String) throws -> String {
    String(
        decoding: try readSetting(path, bytesMaximum: TrustBundle.bytesMaximum), as: UTF8.self)
}
