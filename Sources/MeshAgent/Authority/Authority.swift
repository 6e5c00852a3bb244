// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Logging
import MeshAdmin
import MeshDatapath
import MeshEndpoints
import MeshKubernetes
import MeshLease
import MeshModel
import MeshTrust
import ServiceLifecycle
import X509

/// The authority of a cluster apart from its nodes: `weftd --authority`. Puts the agent's parts together
/// without a datapath, endpoints and gossip.
///
/// Several replicas share a name, the lease and the Secret with the authority's files. One holds the
/// lease; the others wait for it and do nothing else.
public enum Authority {
    /// Runs until SIGTERM or SIGINT.
    ///
    /// - Throws: whatever keeps it from starting, or from taking the authority's files into use.
    public static func run(
        _ readConfiguration: @escaping @Sendable () throws -> ConfigurationLayers
    ) async throws {
        while try await lead(readConfiguration) {}
    }

    /// - Returns: false when the process shall end; true when it lost its place, and waits for it again.
    private static func lead(
        _ readConfiguration: @escaping @Sendable () throws -> ConfigurationLayers
    ) async throws -> Bool {
        let layers = try readConfiguration()
        let configuration = try AgentConfiguration(layers, as: .authority)
        let (log, level) = Agent.makeLogger(configuration)
        guard let settings = configuration.kubernetes else {
            throw ConfigurationError(layers.file, "kubernetes is missing; --authority needs it")
        }
        let kubernetes = try KubernetesAccess(settings)
        let vault = AuthorityVault(
            configuration, namespace: kubernetes.namespace, ask: kubernetes.answer)
        let leadership = Leadership(
            store: kubernetes.leaseStore,
            holder: LeaseHolder(
                node: configuration.node.name, instance: .random(in: 1...(.max))), log: log)
        log.notice(
            "weftd waits to be the cluster's authority", metadata: ["version": "\(weftVersion)"])
        let acquired = try await untilSignal {
            try await leadership.acquire { try await prepare(configuration, vault, log) }
        }
        guard let (keeper, (trust, peers)) = acquired else {
            kubernetes.close()
            return false
        }
        log.notice("This replica is the cluster's authority")
        let roots = RootsMap(configuration, namespace: kubernetes.namespace, kubernetes, log)
        let lost = LostFlag()
        let ground = AgentGround(
            datapath: try MemoryDatapath(node: configuration.node), beats: nil,
            endpoints: try EndpointManager(
                EndpointManager.Configuration(
                    podPrefixes: [], stateFile: configuration.paths.state + "/endpoints.json")),
            kubernetes: kubernetes,
            lead: AgentGround.Lead(keeper: keeper, vault: vault, roots: roots, lost: lost))
        let (file, said) = (layers.file, layers.settings)
        try await Agent.serve(
            configuration, peers, trust, ground,
            FolderWatcher(path: configuration.paths.manifests), log
        ) { apply in
            ConfigurationService(
                file: file, said, as: .authority, log: log, read: readConfiguration
            ) {
                configuration in
                level.level = configuration.logLevel
                await apply(configuration)
            }
        }
        return lost.isSet
    }

    /// With the lease in hand: takes what the Secret holds, or makes the cluster's first keys, and
    /// certifies this process.
    private static func prepare(
        _ configuration: AgentConfiguration, _ vault: AuthorityVault, _ log: Logger
    ) async throws -> (TrustMaterial, PeerFolder) {
        for folder in [
            configuration.paths.state, configuration.paths.peers, configuration.paths.manifests,
            configuration.paths.run,
        ] {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true)
        }
        try FileManager.default.createDirectory(
            atPath: configuration.paths.trust, withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700])
        try await vault.load()
        let folder = AuthorityService.folder(of: configuration)
        let authority: CertificateAuthority
        if await vault.isEmpty {
            authority = try CertificateAuthority.create(
                cluster: configuration.clusterName, mesh: configuration.mesh, in: folder)
            try DurableFile(path: "\(configuration.paths.trust)/\(TrustMaterial.bundleFile)")
                .write(authority.bundle.pem())
            // Nobody may learn of a root that a crash takes away.
            try await vault.settle()
            try record(authority.chain[0], of: .cluster(configuration.clusterName), in: folder)
            log.notice("The cluster's authority is made", metadata: ["ca": "\(authority)"])
        } else {
            authority = try CertificateAuthority.load(
                cluster: configuration.clusterName, mesh: configuration.mesh, from: folder)
        }
        let own = try NodeCredentials.issue(node: configuration.node.name, by: authority)
        try record(own.chain[0], of: .identity(own.identity.spiffeID), in: folder)
        try own.save(in: configuration.paths.trust)
        let peers = PeerFolder(folder: configuration.paths.peers, own: configuration)
        return (try TrustMaterial(configuration, peers: peers.peers), peers)
    }
}

extension Authority {
    /// Nothing is released that doesn't stand in the log.
    private static func record(
        _ certificate: Certificate, of subject: AuditSubject, in folder: String
    ) throws {
        try AuditLog(
            directory: AuthorityAudit.folder(of: folder), copy: AuthorityAudit.standardOutput
        ).append([
            AuditEntry(
                .issue, .granted, by: .agent, subject: subject, certificate: certificate,
                reason: "this replica is the authority")
        ])
    }
}
