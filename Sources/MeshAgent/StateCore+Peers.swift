// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReplication
import MeshStore

// MARK: Clusters that come, change and go

extension StateCore {
    /// These are the peers from now on.
    ///
    /// What one of them announced stays as far as its charter still allows it; of one that is no
    /// longer named everything goes. One that has another name, or life, under its ID is another
    /// cluster.
    /// - Parameter authorities: CAs that vouch for the clusters' ledgers; of one without, nothing more
    ///   is believed.
    mutating func setPeers(
        _ wanted: [PeerCluster], authorities: [ClusterID: LedgerAuthority],
        into effects: inout [StateEffect]
    ) {
        let former = Dictionary(peers.map { ($0.id, $0) }) { first, _ in first }
        let named = Set(wanted.map(\.identity))
        for peer in peers where !named.contains(peer.identity) {
            remove(peer, into: &effects)
        }
        peers = wanted
        trust(authorities, into: &effects)
        for peer in wanted {
            if let known = former[peer.id], known.identity == peer.identity {
                adapt(to: peer, from: known, into: &effects)
            } else {
                add(peer, authorities[peer.id] ?? LedgerAuthority([]), into: &effects)
            }
        }
        hasMoved = true
    }

    private mutating func add(
        _ peer: PeerCluster, _ authority: LedgerAuthority, into effects: inout [StateEffect]
    ) {
        gate.set(peer.charter, of: peer.id)
        writeRow(of: peer)
        perform(&effects) { core, replication -> Void in
            core.synchroniser.add(
                owner: peer.id, authority: authority, interest: core.interest,
                rate: peer.charter.rate, window: .shared(among: core.peers.count),
                into: &replication)
        }
    }

    private mutating func remove(_ peer: PeerCluster, into effects: inout [StateEffect]) {
        perform(&effects) { core, replication -> Void in
            core.synchroniser.remove(owner: peer.id, into: &replication)
        }
        gate.set(nil, of: peer.id)
        tables.forget(peer.id)
        refusals[peer.id] = nil
        frozen.remove(peer.id)
        wasUp.remove(peer.id)
        distrusted = distrusted.filter { $0.cluster != peer.id }
        claims = claims.filter { $0.key.cluster != peer.id }
        store.write { _ = $0.clusters.delete(peer.id) }
        effects.append(.forget(peer.id))
    }

    private mutating func adapt(
        to peer: PeerCluster, from former: PeerCluster, into effects: inout [StateEffect]
    ) {
        guard peer.charter != former.charter else { return }
        writeRow(of: peer)
        synchroniser.limit(peer.charter.rate, of: peer.id)
        gate.set(peer.charter, of: peer.id)
        refusals[peer.id] = nil
        let entries = synchroniser.entries(of: peer.id).sorted { $0.key < $1.key }
        guard !entries.isEmpty else { return }
        importRecords(
            entries.map { LedgerReplacement(key: $0.key, former: $0.value, value: $0.value) },
            of: peer.id, into: &effects)
        settle(into: &effects)
    }

    private func writeRow(of peer: PeerCluster) {
        let row = ClusterRow(
            id: peer.id, name: peer.name, podPrefixes: peer.podPrefixes, sourceCheck: .node,
            isLocal: false)
        store.write { _ = $0.clusters.upsert(row) }
    }
}

extension PeerCluster {
    /// What makes it another cluster when it changes.
    fileprivate var identity: [String] { [id.description, name.rawValue, "\(life)"] }
}
