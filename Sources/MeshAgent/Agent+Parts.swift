// SPDX-License-Identifier: Apache-2.0

import Crypto
import FoundationEssentials
import Logging
import MeshDatapath
import MeshEtcd
import MeshLease
import MeshModel
import MeshReachability
import MeshReplication
import MeshTransport
import MeshTrust

// MARK: What an agent is made of, as its configuration has it

extension Agent {
    static func sender(
        inside beats: OverlayBeats, _ log: Logger
    ) -> @Sendable (_ datagram: [UInt8], _ remote: Address) -> Bool {
        { datagram, remote in
            do {
                try beats.send(datagram, to: remote)
                return true
            } catch {
                log.debug(
                    "A heartbeat wasn't sent inside the overlay", metadata: ["error": "\(error)"])
                return false
            }
        }
    }

    /// Those nodes that the kernel holds as live or dead from before a restart.
    static func judged(
        _ members: [AgentConfiguration.Member], of cluster: ClusterID, _ datapath: any Datapath
    ) -> [String: Bool] {
        var judged: [String: Bool] = [:]
        for member in members {
            guard let node = NodeID(cluster: cluster, name: member.name) else { continue }
            switch datapath.nodeWord(node).verdict {
            case .up, .draining: judged[member.name] = true
            case .unreachable: judged[member.name] = false
            default: break
            }
        }
        return judged
    }

    static func makeEtcd(
        _ configuration: AgentConfiguration, _ log: Logger
    ) throws -> EtcdClient? {
        guard case .etcd(let etcd) = configuration.publisher.lease,
            configuration.mayPublish || configuration.publisher.store == .etcd
        else { return nil }
        return try EtcdClient(etcd, logger: log)
    }

    static func makeLeaseStore(
        _ configuration: AgentConfiguration, _ etcd: EtcdClient?, _ kubernetes: KubernetesAccess?
    ) -> (any LeaseStore)? {
        guard configuration.mayPublish else { return nil }
        if configuration.publisher.lease == .kubernetes { return kubernetes?.leaseStore }
        if let etcd { return EtcdLeaseStore(client: etcd, cluster: configuration.clusterName) }
        let file = DurableFile(path: configuration.paths.state + "/lease")
        return StaticLeaseStore(
            load: { try file.read().map { $0.filter { !$0.isNewline } } },
            save: { try file.write($0 + "\n") })
    }

    static func makeCandidacy(
        _ configuration: AgentConfiguration, _ authority: AuthorityService?,
        _ leaseStore: (any LeaseStore)?, _ keeper: LeaseKeeper? = nil
    ) -> Candidacy? {
        guard let leaseStore, let authority, let first = authority.present else { return nil }
        let cluster = configuration.cluster
        // Read each time: the CA renews its certificate while the agent runs.
        let present: @Sendable () -> CertificateAuthority = { authority.present ?? first }
        let authorityEnds: @Sendable () -> UInt64 = {
            UInt64(max(0, present().statementsEnd.timeIntervalSince1970))
        }
        let root: @Sendable () -> String = { present().authorityKey(.root).keyIdentifier }
        return Candidacy(
            keeper: keeper
                ?? LeaseKeeper(
                    holder: LeaseHolder(
                        node: configuration.node.name, instance: .random(in: 1...(.max))),
                    parameters: leaseStore.parameters),
            seed: .random(in: 0...(.max)), authorityEnds: authorityEnds, root: root
        ) { epoch in
            let key = Curve25519.Signing.PrivateKey()
            let delegation = Delegation(
                owner: cluster, epoch: epoch, key: key.publicKey,
                notAfter: min(
                    realTimeNanoseconds() / 1_000_000_000 + Candidacy.delegationSeconds,
                    authorityEnds()))
            return Ledger(
                try delegation.signed {
                    try present().sign(statement: Statement(.ledgerDelegation, body: $0)).encoded
                }, key: key,
                batchChanges: configuration.publisher.store == .etcd ? EtcdLimit.changes : .max)
        }
    }

    /// Set on a home that takes service accounts' tokens.
    static func makeAttestations(
        _ configuration: AgentConfiguration, _ authority: AuthorityService?,
        _ kubernetes: KubernetesAccess?
    ) -> AttestationDesk? {
        guard configuration.isHome, let authority, let kubernetes,
            let account = configuration.join?.serviceAccount
        else { return nil }
        return AttestationDesk(
            attestor: ServiceAccountAttestor(account: account, ask: kubernetes.answer),
            authority: authority)
    }

    /// Set on the home; goes on with what was under way when the agent ended.
    static func makeRotation(
        _ configuration: AgentConfiguration, _ authority: AuthorityService?, _ mesh: MeshService,
        _ log: Logger
    ) throws -> RotationService? {
        guard configuration.isHome, let authority, let first = authority.present
        else { return nil }
        return try RotationService(
            folder: AuthorityService.folder(of: configuration),
            surroundings: RotationSurroundings(
                authority: { authority.present ?? first },
                use: { try authority.use($0, because: "its key was replaced") },
                sequence: { await mesh.announcedSequence },
                announce: { try await mesh.announce(roots: $0) },
                require: { await mesh.require($0) },
                reissue: { try await mesh.renewAdmissions() },
                peers: { await mesh.rotationPeers() },
                laggards: { await mesh.nodesNot(under: $0) },
                audit: { authority.note($0) }),
            log: log)
    }

    /// Set on the home, with its roster as it was when the agent ended.
    static func makeDesk(
        _ configuration: AgentConfiguration, _ authority: AuthorityService?, _ core: StateCore
    ) throws -> JoinDesk? {
        guard configuration.isHome, let authority, let first = authority.present
        else { return nil }
        return try JoinDesk(
            store: JoinFiles(folder: AuthorityService.folder(of: configuration)),
            authority: { authority.present ?? first }, audit: { authority.note($0) },
            now: unixSeconds(),
            describe: { former throws(TrustError) in
                try MeshService.description(
                    of: configuration, bundle: first.bundle,
                    relays: core.configuredRelays, store: core.store,
                    former: former)
            })
    }

    static func readDeparture(_ file: DurableFile) throws -> NodeDeparture {
        guard let text = try file.read() else { return NodeDeparture() }
        guard let departure = NodeDeparture(text) else {
            throw ConfigurationError(
                file.path, "is not a phase and a number of seconds; remove it to take flows again")
        }
        return departure
    }

    static func readDrain(_ file: DurableFile) throws -> DrainDeclaration {
        guard let text = try file.read() else { return .never }
        let fields = text.split(whereSeparator: \.isWhitespace)
        guard fields.count == 2, let generation = UInt64(fields[0]) else {
            throw ConfigurationError(
                file.path, "is not a generation and 0 or 1; remove it to start without a drain")
        }
        return DrainDeclaration(generation: generation, isDraining: fields[1] == "1")
    }
}
