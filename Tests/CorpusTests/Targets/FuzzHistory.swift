// SPDX-License-Identifier: Apache-2.0

import Crypto
import MeshModel

@testable import MeshReplication

/// A few owners with fixed keys, and the whole history of one of them, with a fork in it: every
/// message that says something true, or that a traitor with its key could say.
struct FuzzHistory: Sendable {
    /// Publishes ``messages``, and nothing else in its name is to be believed.
    let honest: ClusterID
    /// Signs whatever comes to its mind.
    let liar: ClusterID
    /// Published by the node under test.
    let own: ClusterID

    /// In the order in which an honest peer might send them.
    private(set) var messages: [[UInt8]] = []
    /// At each place of ``messages`` that is an offer, what is offered.
    private(set) var offers: [Int: OutgoingSnapshot] = [:]
    /// The place of a peer's word that it has nothing and wants all.
    private(set) var newcomer = 0
    /// The state behind each header that the honest owner ever signed.
    private(set) var states: [LedgerHead: LedgerContents] = [.origin: .empty]
    /// The only epoch with two histories.
    let forkedEpoch: UInt32 = 2
    /// Replicas of the honest owner at the end of either branch, for those who restore one.
    private(set) var replicas: [Replica] = []

    let authorities: [ClusterID: LedgerAuthority]
    /// The liar's, by epoch.
    let delegations: [UInt32: SignedDelegation]
    let ownLedger: Ledger

    static let shared = Result { try FuzzHistory() }

    private init() throws {
        let (honest, liar, own) = (try Self.cluster(7), try Self.cluster(8), try Self.cluster(9))
        (self.honest, self.liar, self.own) = (honest, liar, own)
        authorities = [
            honest: try Self.authority(of: honest), liar: try Self.authority(of: liar),
            own: try Self.authority(of: own),
        ]
        delegations = Dictionary(
            uniqueKeysWithValues: try Self.liarsEpochs.map {
                ($0, try Self.delegation(of: liar, epoch: $0))
            })
        ownLedger = try Self.ledger(of: own, epoch: 1)
        var replica = Replica(owner: honest, authority: try Self.authority(of: honest))
        var ledger = try Self.ledger(of: honest, epoch: 1)
        try commit(Self.changes, with: &ledger, to: &replica)
        try commit([.delete(Self.key("slice/default/echo-1"))], with: &ledger, to: &replica)
        try commit([.put(Self.key("node/b"), [0])], with: &ledger, to: &replica)
        offer(replica, shards: .base)
        ledger = try Self.ledger(of: honest, epoch: forkedEpoch)
        try commit([], with: &ledger, to: &replica)
        // Two publishers at once: one has another key, one has another idea of the next revision.
        var rival = replica
        var copy = ledger
        try commit([.put(Self.key("node/b"), [2])], with: &copy, to: &rival)
        replicas.append(rival)
        try commit([.put(Self.key("node/b"), [1, 1])], with: &ledger, to: &replica)
        ledger = try Self.ledger(of: honest, epoch: 3)
        try commit([.delete(Self.key("service/default/echo"))], with: &ledger, to: &replica)
        offer(replica, shards: .all)
        replicas.append(replica)
        newcomer = messages.count
        say(.heads([head(of: .origin, .all)]))
        say(.heads([head(of: .origin, .all), head(of: replica.head, .base)]))
        say(.acknowledge(200))
        say(.requestSnapshot(honest))
        say(.requestSnapshot(own))
        say(.ages([.init(owner: honest, position: replica.position, milliseconds: 20)]))
        say(.holds(own, Position(epoch: 1, revision: 1)))
    }

    static let liarsEpochs: [UInt32] = [1, 2, 3, .max]

    func delegation(toLieIn epoch: UInt32) throws -> SignedDelegation {
        guard let delegation = delegations[epoch] else { throw BrokenProperty("epoch \(epoch)") }
        return delegation
    }

    func authority(of owner: ClusterID) throws -> LedgerAuthority {
        guard let authority = authorities[owner] else { throw BrokenProperty("\(owner)") }
        return authority
    }

    private mutating func say(_ message: Message) { messages.append(message.encoded) }

    private func head(of head: LedgerHead, _ interest: ShardSet) -> Message.OwnerHead {
        Message.OwnerHead(owner: honest, head: head, interest: interest)
    }

    private mutating func commit(
        _ changes: [LedgerChange], with ledger: inout Ledger, to replica: inout Replica
    ) throws {
        for batch in try ledger.commit(changes, to: &replica).batches {
            states[batch.signed.head] = replica.contents
            say(.batch(batch))
            say(.batch(batch.keeping(.base)))
            say(.evidence(LedgerProof(signed: batch.signed, delegation: replica.delegation)))
        }
    }

    private mutating func offer(_ replica: Replica, shards: ShardSet) {
        guard let snapshot = OutgoingSnapshot(of: replica, shards: shards) else { return }
        offers[messages.count] = snapshot
        say(.offer(snapshot.offer))
        let wanted = (UInt8.min...UInt8.max).filter { replica.contents.buckets[Int($0)].count > 0 }
        say(.accept(.init(owner: replica.owner, position: replica.position, buckets: wanted)))
        var accepted = snapshot.accepting(wanted)
        while let chunk = accepted.nextChunk() { say(.chunk(chunk)) }
    }
}

// MARK: Keys

extension FuzzHistory {
    static func cluster(_ number: UInt16) throws -> ClusterID {
        guard let id = ClusterID(rawValue: number) else { throw BrokenProperty("no \(number)") }
        return id
    }

    static func authority(of owner: ClusterID) throws -> LedgerAuthority {
        LedgerAuthority([try authorityKey(of: owner).publicKey])
    }

    /// 2033-05-18.
    static let notAfter: UInt64 = 2_000_000_000

    static func delegation(of owner: ClusterID, epoch: UInt32) throws -> SignedDelegation {
        let authority = try authorityKey(of: owner)
        return try Delegation(
            owner: owner, epoch: epoch, key: try key(of: owner, epoch: epoch).publicKey,
            notAfter: notAfter
        ).signed { Array(try authority.signature(for: $0).rawRepresentation) }
    }

    static func ledger(of owner: ClusterID, epoch: UInt32) throws -> Ledger {
        Ledger(
            try delegation(of: owner, epoch: epoch), key: try key(of: owner, epoch: epoch))
    }

    /// Of one epoch.
    static func key(of owner: ClusterID, epoch: UInt32) throws -> Curve25519.Signing.PrivateKey {
        var seed = [UInt8](repeating: 0x5e, count: 32)
        seed[0] = UInt8(truncatingIfNeeded: owner.rawValue)
        seed[1] = UInt8(truncatingIfNeeded: epoch)
        return try Curve25519.Signing.PrivateKey(rawRepresentation: seed)
    }

    private static func authorityKey(of owner: ClusterID) throws -> P256.Signing.PrivateKey {
        var seed = [UInt8](repeating: 0x5e, count: 32)
        seed[0] = UInt8(truncatingIfNeeded: owner.rawValue)
        return try P256.Signing.PrivateKey(rawRepresentation: seed)
    }

    // MARK: Records

    static func key(_ text: String) -> RecordKey {
        RecordKey(text) ?? RecordKey(kind: .namespace, name: "default")
    }

    static let keys = [
        "namespace/default", "node/a", "node/b", "identity/7340288", "service/default/echo",
        "slice/default/echo-1", "endpoint/default/echo-0", "endpoint/default/echo-1",
    ]

    private static let changes = keys.enumerated().map { index, text in
        LedgerChange.put(key(text), [UInt8](repeating: UInt8(index), count: index * 5))
    }
}
