// SPDX-License-Identifier: Apache-2.0

import MeshJournal
import MeshModel
import MeshSimulation

func cluster(_ number: UInt16) -> ClusterID { ClusterID(rawValue: number)! }

/// Transactions of every kind, in sizes from nothing to several pages.
struct Workload {
    private var random: SeededGenerator
    private var picture = Picture()
    private var number: UInt8 = 0

    init(seed: UInt64) { random = SeededGenerator(seed: seed) }

    static func script(seed: UInt64, count: Int) -> [JournalTransaction] {
        var workload = Workload(seed: seed)
        return (0..<count).map { _ in workload.next() }
    }

    mutating func next() -> JournalTransaction {
        number &+= 1
        // Every transaction leaves a mark of its own, so that no two pictures are alike.
        var transaction = JournalTransaction(notes: [JournalNote("last", [number])])
        let owner = cluster(.random(in: 1...3, using: &random))
        switch Int.random(in: 0..<10, using: &random) {
        case _ where picture.replicas[owner] == nil:
            let start = Position(epoch: 1, revision: .random(in: 0...5, using: &random))
            transaction.checkpoints = [checkpoint(owner, start, buckets: 0...3, replacesAll: true)]
        case 0:
            transaction.checkpoints = [
                checkpoint(owner, picture.head(owner), buckets: 1...4, replacesAll: false)
            ]
        case 1:
            let log = picture.replicas[owner]?.log ?? []
            let position = log.randomElement(using: &random)?.position ?? picture.head(owner)
            transaction.checkpoints = [
                checkpoint(owner, position, buckets: 1...2, replacesAll: random.chance(0.5))
            ]
        case 2 where random.chance(0.3):
            transaction.removedOwners = [owner]
        case 3:
            let key = "note-\(Int.random(in: 0..<3, using: &random))"
            transaction.notes.append(JournalNote(key, random.chance(0.3) ? nil : bytes(0...2000)))
        default:
            var position = picture.head(owner)
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                position =
                    random.chance(0.1)
                    ? Position(epoch: position.epoch + 1, revision: 1) : position.next
                transaction.batches.append(
                    JournalBatch(owner: owner, position: position, message: bytes(0...3000)))
            }
        }
        picture.apply(transaction)
        return transaction
    }

    private mutating func checkpoint(
        _ owner: ClusterID, _ position: Position, buckets: ClosedRange<Int>, replacesAll: Bool
    ) -> JournalCheckpoint {
        let indices = Set(
            (0..<Int.random(in: buckets, using: &random)).map { _ in
                UInt8.random(in: 0...9, using: &random)
            })
        return JournalCheckpoint(
            owner: owner, position: position, header: bytes(0...300),
            buckets: indices.sorted().map { index in
                JournalBucket(index: index, bytes: random.chance(0.1) ? [] : bytes(1...9000))
            },
            replacesAll: replacesAll)
    }

    private mutating func bytes(_ count: ClosedRange<Int>) -> [UInt8] {
        let first = UInt8.random(in: 0...255, using: &random)
        return (0..<Int.random(in: count, using: &random)).map {
            first &+ UInt8(truncatingIfNeeded: $0)
        }
    }
}
