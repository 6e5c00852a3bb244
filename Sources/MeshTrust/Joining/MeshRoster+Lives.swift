// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// What a name has stood for. Another life begins when somebody takes the name up again whom this
/// cluster, or an introducer of it, had forgotten, or who can't show that it is the one from before:
/// what was remembered of the former life doesn't bind the next.
struct ClusterLife: Hashable, Sendable, Codable {
    /// Rises with each life; 0 for the first.
    var number: UInt64 = 0
    var isForgotten = false
    /// Of the roots it had last.
    var pins: [KeyPin] = []
}

extension MeshRoster {
    /// Which of its lives a cluster is in; a leave, and coming back after it, are one life.
    func life(of name: ClusterName) -> UInt64 { durable.lives[name]?.number ?? 0 }

    mutating func followLives() {
        for member in clusters.values {
            var life = durable.lives[member.name] ?? ClusterLife()
            switch member.state {
            case .forgotten: life.isForgotten = true
            case .member:
                let known = pins(of: member)
                if life.isForgotten || !life.pins.isEmpty && known.isDisjoint(with: life.pins) {
                    // Above whatever a roster said that was lost since.
                    life.number = max(life.number + 1, durable.sequence)
                }
                life.isForgotten = false
                life.pins = member.description.pins
            case .pending, .conflicted, .left: continue
            }
            durable.lives[member.name] = life
        }
    }

    /// Of the roots that signatures connect with its present ones.
    private func pins(of member: RosterMember) -> Set<KeyPin> {
        let claim = durable.claims[member.name]?.first { $0.description == member.description }
        let announcements = claim.map { $0.history + [$0.announcement] } ?? []
        return Set(announcements.flatMap(\.content.description.pins))
    }
}

/// A member, as its peers' nodes have to know it.
public struct RosterPeer: Hashable, Sendable {
    /// With the charter in force.
    public let description: ClusterDescription
    /// Rises when another cluster, or one that was forgotten, has the name.
    public let life: UInt64

    /// For a record of the cluster's own ledger: the description, then 64 bits.
    ///
    /// - Throws: never for a description that was read or made.
    public func encoded() throws(TrustError) -> [UInt8] {
        var writer = ByteWriter()
        try description.encode(into: &writer)
        writer.write(life)
        return writer.bytes
    }

    /// Reads ``encoded()``; what a later version appended is ignored.
    public init(encoded: [UInt8]) throws(DecodingFault) {
        var reader = ByteReader(encoded)
        description = try ClusterDescription(from: &reader)
        life = try reader.read()
    }

    init(description: ClusterDescription, life: UInt64) {
        self.description = description
        self.life = life
    }
}

extension MeshRoster {
    /// Members as their peers shall see them.
    ///
    /// - Throws: never for a roster that was read or made.
    public func peers() throws(TrustError) -> [RosterPeer] {
        var peers: [RosterPeer] = []
        for member in members {
            peers.append(
                RosterPeer(
                    description: try ClusterDescription(
                        id: member.description.id, bundle: member.bundle,
                        addresses: member.description.addresses, charter: member.charter),
                    life: life(of: member.name)))
        }
        return peers
    }
}
