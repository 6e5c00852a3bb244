// SPDX-License-Identifier: Apache-2.0

import Crypto
import MeshModel
import Testing

@testable import MeshTransport

/// A node of the first cluster.
func node(_ name: String, in cluster: UInt16 = 1) -> NodeID {
    NodeID(cluster: ClusterID(rawValue: cluster)!, name: name)!
}

/// A key from a number, so that a failure can be repeated. Not in the first byte: X25519 clears its
/// lowest bits.
func key(_ number: UInt8) -> Curve25519.KeyAgreement.PrivateKey {
    try! Curve25519.KeyAgreement.PrivateKey(
        rawRepresentation: [7, number] + [UInt8](repeating: 7, count: 30))
}

/// Processes that gossip with each other, and the time they share.
final class GossipCluster {
    var now = Instant(nanoseconds: 1_000)
    private(set) var sessions: [NodeID: GossipSessions] = [:]
    private var keysMade: UInt8 = 0

    init(_ names: String...) {
        for name in names { start(node(name)) }
        publish()
    }

    /// Starts a process, or starts it anew: nothing of its former life is left.
    func start(_ node: NodeID) {
        keysMade += 1
        sessions[node] = GossipSessions(own: node, key: key(keysMade), at: now)
    }

    /// What all announce at this moment.
    var roster: [NodeID: [GossipKey]] { sessions.mapValues(\.announced) }

    /// Gives a roster to some nodes, by default the true one to all.
    func publish(_ roster: [NodeID: [GossipKey]]? = nil, to names: [String]? = nil) {
        let roster = roster ?? self.roster
        for node in names?.map({ MeshTransportTests.node($0) }) ?? Array(sessions.keys) {
            let excess = sessions[node]!.install(roster, at: now)
            #expect(excess == 0)
        }
    }

    func rotate(_ name: String) -> Bool {
        let made = keysMade + 1
        keysMade += 1
        return sessions[node(name)]!.rotate(at: now) { key(made) }
    }

    /// As the operator wishes it.
    func succeed(_ name: String) -> Bool {
        keysMade += 1
        return sessions[node(name)]!.succeed(with: key(keysMade), at: now)
    }

    func uses(_ name: String) -> [GossipKeyUse] { sessions[node(name)]!.uses }

    func seal(
        _ plaintext: [UInt8] = [1], from sender: String, to receiver: String
    ) throws(TransportRejection) -> [UInt8] {
        try sessions[node(sender)]!.seal(plaintext, for: node(receiver))
    }

    @discardableResult
    func open(
        _ datagram: [UInt8], at receiver: String
    ) throws(TransportRejection) -> (peer: NodeID, plaintext: [UInt8]) {
        try sessions[node(receiver)]!.open(datagram, at: now)
    }

    /// Whether something from one node gets to another.
    func reaches(_ sender: String, _ receiver: String) -> Bool {
        guard let datagram = try? seal([9], from: sender, to: receiver),
            let arrived = try? open(datagram, at: receiver)
        else { return false }
        return arrived.peer == node(sender) && arrived.plaintext == [9]
    }

    /// Why a datagram isn't taken; nil if it is.
    func rejection(of datagram: [UInt8], at receiver: String) -> TransportRejection? {
        do {
            try open(datagram, at: receiver)
            return nil
        } catch {
            return error
        }
    }
}
