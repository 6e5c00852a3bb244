// SPDX-License-Identifier: Apache-2.0

import Crypto
import MeshModel
import Testing

@testable import MeshReplication

/// SplitMix64: the same seed, the same story.
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
        return mixed ^ mixed >> 31
    }

    /// True once in `count` times.
    mutating func once(in count: Int) -> Bool { Int.random(in: 0..<count, using: &self) == 0 }
}

func owner(_ number: UInt16) throws -> ClusterID { try #require(ClusterID(rawValue: number)) }

/// The key of an owner, told from others by its first byte.
func signingKey(_ number: UInt16) throws -> Curve25519.Signing.PrivateKey {
    var seed = [UInt8](repeating: 0x5e, count: 32)
    seed[0] = UInt8(truncatingIfNeeded: number)
    return try Curve25519.Signing.PrivateKey(rawRepresentation: seed)
}

func key(_ name: String) -> RecordKey { RecordKey(kind: .service, name: name) }

func put(_ name: String, _ value: String) -> LedgerChange { .put(key(name), Array(value.utf8)) }

func delete(_ name: String) -> LedgerChange { .delete(key(name)) }

/// A publisher with the replica it writes to.
struct Publisher {
    var ledger: Ledger
    var replica: Replica

    init(_ number: UInt16 = 7, epoch: UInt32 = 1, window: LogWindowLimit = .standard) throws {
        let signing = try signingKey(number)
        ledger = Ledger(owner: try owner(number), epoch: epoch, key: signing)
        replica = Replica(owner: try owner(number), key: signing.publicKey, window: window)
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
    var newcomer: Replica { Replica(owner: replica.owner, key: replica.key) }
}

extension Replica {
    /// Applies a batch as if it had come over a link.
    @discardableResult
    mutating func apply(_ batch: Batch) throws -> Application {
        try apply(batch, message: Message.batch(batch).encoded)
    }

    var state: [String: [UInt8]] {
        Dictionary(uniqueKeysWithValues: entries.map { ($0.key, $0.value) })
    }
}

extension Batch {
    /// The same batch with other parts, as a liar would send it.
    func with(header: BatchHeader? = nil, bodies: [Body]? = nil) throws -> Batch {
        var signed = self.signed
        if let header {
            var writer = ByteWriter()
            writer.write(field: header.encoded)
            writer.write(raw: signed.signature)
            var reader = ByteReader(writer.bytes)
            signed = try SignedHeader(from: &reader)
        }
        return Batch(signed: signed, bodies: bodies ?? self.bodies)
    }
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
