// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Logging
import MeshModel
import MeshTrust
import X509

/// What the home's records follow from.
struct ToldBasis: Equatable {
    let roster: MeshRoster
    let held: [ClusterName: UInt64]
    let required: [UInt8]
    let root: AuthorityKey
}

// MARK: Whose roots are in force where

extension MeshService {
    /// The sequence of each member's announcement whose roots every live node of this cluster holds:
    /// what its home publishes, so that the member's knows when a new root may be used.
    func held(_ view: TrustView) -> [ClusterName: UInt64] {
        guard let desk else { return [:] }
        let heard = desk.roster.heard
        var held: [ClusterName: UInt64] = [:]
        for member in desk.roster.members {
            guard let sequence = heard[member.name], let digest = digest(of: member.bundle),
                view.receipts.liveNodesHold(digest, of: member.description.id)
            else { continue }
            held[member.name] = sequence
        }
        return held
    }

    /// Who must hold this cluster's roots before a new one is used: its own nodes, every member of the
    /// mesh, and whoever is a peer by a file, which can't tell.
    func rotationPeers() async -> [RotationPeer] {
        let view = await state.trustView
        guard let desk else { return [] }
        let announcement = desk.roster.announcement.content
        let isHeld =
            digest(of: announcement.description.bundle)
            .map { view.receipts.allHold($0, ofOwn: configuration.cluster) } ?? false
        let own = RotationPeer(
            cluster: configuration.clusterName, isLive: true,
            acknowledged: isHeld ? announcement.sequence : 0)
        let members = Set(desk.roster.members.map(\.name))
        let linked = Set(view.peers.filter { view.linked.contains($0.id) }.map(\.name))
        return [own]
            + members.union(view.peers.map(\.name)).map { name in
                RotationPeer(
                    cluster: name, isLive: linked.contains(name),
                    acknowledged: holding[name] ?? 0)
            }
    }

    /// Nil for a bundle that can't be written, which none can be that was read.
    private func digest(of bundle: TrustBundle) -> UInt64? {
        if let known = digests[bundle.trustDomain.cluster], known.bundle == bundle {
            return known.digest
        }
        guard let digest = try? bundle.digest else { return nil }
        digests[bundle.trustDomain.cluster] = (bundle, digest)
        return digest
    }

    var announcedSequence: UInt64 { desk?.roster.announcement.content.sequence ?? 0 }

    /// Announces these roots to the own cluster's and all others' nodes.
    func announce(roots: [Certificate]) async throws {
        guard let former = desk?.roster.description else { return }
        try announce(
            ClusterDescription(
                id: former.id,
                bundle: TrustBundle(trustDomain: former.bundle.trustDomain, anchors: roots),
                addresses: former.addresses, charter: former.charter))
        await publish()
    }

    /// Own nodes whose certificates don't rest on this key, or which sign below another root than the
    /// home.
    func nodesNot(under key: AuthorityKey) async -> [String] {
        let view = await state.trustView
        return view.receipts.nodesNot(
            under: key.bytes, root: desk?.authority().authorityKey(.root).bytes ?? [])
    }

    /// Has the own nodes ask for certificates that rest on this key.
    func require(_ key: AuthorityKey) async {
        required = key.bytes
        await publish()
    }

    /// Signs this cluster's admissions again.
    func renewAdmissions() async throws {
        try desk?.renewAdmissions(now: unixSeconds())
        await publish()
    }
}

// MARK: The own cluster's roots

extension MeshService {
    /// Writes the roots that the home names into the node's folder of trust.
    func writeBundle(_ view: TrustView) {
        guard let record = view.authority, record.bundle != writtenBundle, view.isComplete
        else { return }
        let path = "\(configuration.paths.trust)/\(TrustMaterial.bundleFile)"
        do {
            let domain = try TrustDomain(
                cluster: configuration.clusterName, mesh: configuration.mesh)
            let bundle = try TrustBundle(trustDomain: domain, pem: record.bundle)
            let present = try? TrustBundle(
                trustDomain: domain,
                pem: String(decoding: Data(contentsOf: URL(filePath: path)), as: UTF8.self))
            if present?.anchors != bundle.anchors {
                try DurableFile(path: path).write(bundle.pem())
                log.notice(
                    "This cluster has other roots", metadata: ["count": "\(bundle.anchors.count)"])
            }
            writtenBundle = record.bundle
        } catch {
            log.error(
                "This cluster's roots can't be written down",
                metadata: ["path": "\(path)", "error": "\(error)"])
        }
    }
}
