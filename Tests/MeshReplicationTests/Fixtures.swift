// SPDX-License-Identifier: Apache-2.0

import Crypto
import MeshModel
import MeshSimulation
import Testing

@testable import MeshReplication

func owner(_ number: UInt16) throws -> ClusterID { try #require(ClusterID(rawValue: number)) }

/// The CA of an owner, told from others by its first byte.
func authorityKey(_ number: UInt16) throws -> P256.Signing.PrivateKey {
    var seed = [UInt8](repeating: 0x5e, count: 32)
    seed[0] = UInt8(truncatingIfNeeded: number)
    return try P256.Signing.PrivateKey(rawRepresentation: seed)
}

func authority(_ number: UInt16) throws -> LedgerAuthority {
    LedgerAuthority([try authorityKey(number).publicKey])
}

/// The key of one epoch of an owner; `writer` tells those apart that have the same epoch.
func signingKey(
    _ number: UInt16, epoch: UInt32 = 1, writer: UInt8 = 0
) throws -> Curve25519.Signing.PrivateKey {
    var seed = [UInt8](repeating: 0x5e, count: 32)
    seed[0] = UInt8(truncatingIfNeeded: number)
    seed[1] = UInt8(truncatingIfNeeded: epoch)
    seed[2] = writer
    return try Curve25519.Signing.PrivateKey(rawRepresentation: seed)
}

/// 2033-05-18: after everything that these tests call now.
let farFuture: UInt64 = 2_000_000_000

func delegation(
    of number: UInt16, epoch: UInt32 = 1, writer: UInt8 = 0, notAfter: UInt64 = farFuture,
    by ca: UInt16? = nil
) throws -> SignedDelegation {
    let delegation = Delegation(
        owner: try owner(number), epoch: epoch,
        key: try signingKey(number, epoch: epoch, writer: writer).publicKey, notAfter: notAfter)
    let key = try authorityKey(ca ?? number)
    return try delegation.signed { Array(try key.signature(for: $0).rawRepresentation) }
}

func ledger(
    of number: UInt16, epoch: UInt32 = 1, writer: UInt8 = 0, notAfter: UInt64 = farFuture
) throws -> Ledger {
    Ledger(
        try delegation(of: number, epoch: epoch, writer: writer, notAfter: notAfter),
        key: try signingKey(number, epoch: epoch, writer: writer))
}

func key(_ name: String) -> RecordKey { RecordKey(kind: .service, name: name) }

func put(_ name: String, _ value: String) -> LedgerChange { .put(key(name), Array(value.utf8)) }

func delete(_ name: String) -> LedgerChange { .delete(key(name)) }

/// A publisher with the replica it writes to.
struct Publisher {
    var ledger: Ledger
    var replica: Replica

    init(
        _ number: UInt16 = 7, epoch: UInt32 = 1, writer: UInt8 = 0,
        window: LogWindowLimit = .standard
    ) throws {
        ledger = try MeshReplicationTests.ledger(of: number, epoch: epoch, writer: writer)
        replica = Replica(
            owner: try owner(number), authority: try authority(number), window: window)
    }

    /// Goes on as the publisher of another epoch.
    mutating func open(epoch: UInt32, writer: UInt8 = 0) throws {
        ledger = try MeshReplicationTests.ledger(
            of: ledger.owner.rawValue, epoch: epoch, writer: writer)
    }

    mutating func commit(_ changes: LedgerChange...) throws -> [Batch] {
        try ledger.commit(changes, to: &replica).batches
    }

    mutating func commitOne(_ changes: LedgerChange...) throws -> Batch {
        let batches = try ledger.commit(changes, to: &replica).batches
        try #require(batches.count == 1)
        return batches[0]
    }

    /// A replica of the same owner that has heard nothing.
    var newcomer: Replica { newcomer(wanting: .all) }

    func newcomer(wanting interest: ShardSet) -> Replica {
        Replica(owner: replica.owner, authority: replica.authority, interest: interest)
    }
}

extension Replica {
    /// Applies a batch as if it had come over a link.
    @discardableResult
    mutating func apply(_ batch: Batch) throws -> Application {
        try apply(batch, message: Message.batch(batch).encoded, realTime: 0)
    }

    var state: [String: [UInt8]] {
        Dictionary(uniqueKeysWithValues: entries.map { ($0.key, $0.value) })
    }
}

extension Batch {
    /// The same batch with other parts, as a liar would send it.
    func with(
        header: BatchHeader? = nil, bodies: [Body]? = nil, delegation: SignedDelegation? = nil
    ) throws -> Batch {
        var signed = self.signed
        if let header {
            var writer = ByteWriter()
            writer.write(field: header.encoded)
            writer.write(raw: signed.signature)
            var reader = ByteReader(writer.bytes)
            signed = try SignedHeader(from: &reader)
        }
        return Batch(
            signed: signed, delegation: delegation ?? self.delegation,
            bodies: bodies ?? self.bodies)
    }
}

extension LedgerReplacement {
    static func put(_ name: String, _ value: String, former: String? = nil) -> LedgerReplacement {
        LedgerReplacement(
            key: MeshReplicationTests.key(name).description, former: former.map { Array($0.utf8) },
            value: Array(value.utf8))
    }

    static func delete(_ name: String, former: String) -> LedgerReplacement {
        LedgerReplacement(
            key: MeshReplicationTests.key(name).description, former: Array(former.utf8), value: nil)
    }
}

extension SeededGenerator {
    /// True once in `count` times.
    mutating func once(in count: Int) -> Bool { Int.random(in: 0..<count, using: &self) == 0 }
}

/// Bytes from annotated hex: what follows `#` on a line is a comment.
func bytes(hex text: String) throws -> [UInt8] {
    let digits = text.split(separator: "\n").flatMap {
        $0.prefix { $0 != "#" }.filter(\.isHexDigit)
    }
    try #require(digits.count % 2 == 0)
    return stride(from: 0, to: digits.count, by: 2).map {
        UInt8(String(digits[$0...$0 + 1]), radix: 16) ?? 0
    }
}
