// SPDX-License-Identifier: Apache-2.0

import MeshJournal
import MeshModel

/// What a journal should hold: the plainest implementation of a transaction.
struct Picture: Hashable {
    var replicas: [ClusterID: StoredReplica] = [:]
    var notes: [String: [UInt8]] = [:]

    init() {}

    init(_ opening: Journal.Opening) {
        replicas = Dictionary(uniqueKeysWithValues: opening.replicas.map { ($0.owner, $0) })
        notes = opening.notes
    }

    mutating func apply(_ transaction: JournalTransaction) {
        for owner in transaction.removedOwners { replicas[owner] = nil }
        for checkpoint in transaction.checkpoints {
            var replica =
                replicas[checkpoint.owner]
                ?? StoredReplica(owner: checkpoint.owner, position: .origin, header: [])
            replica.position = checkpoint.position
            replica.header = checkpoint.header
            if checkpoint.replacesAll { replica.buckets = [] }
            for bucket in checkpoint.buckets {
                replica.buckets.removeAll { $0.index == bucket.index }
                if !bucket.bytes.isEmpty { replica.buckets.append(bucket) }
            }
            replica.buckets.sort { $0.index < $1.index }
            replica.log.removeAll { $0.position <= checkpoint.position }
            replicas[checkpoint.owner] = replica
        }
        for batch in transaction.batches { replicas[batch.owner]?.log.append(batch) }
        for note in transaction.notes { notes[note.key] = note.bytes }
    }

    /// Of `pictures`, the one that is this: each has the last note of another transaction.
    func number(in pictures: [Picture]) -> Int? {
        guard let number = pictures.firstIndex(where: { $0.notes["last"] == notes["last"] }) else {
            return nil
        }
        return pictures[number] == self ? number : nil
    }

    func head(_ owner: ClusterID) -> Position {
        replicas[owner]?.log.last?.position ?? replicas[owner]?.position ?? .origin
    }
}

/// `pictures[n]` is what the first `n` transactions make.
func pictures(_ transactions: [JournalTransaction]) -> [Picture] {
    var picture = Picture()
    return [picture]
        + transactions.map { transaction in
            picture.apply(transaction)
            return picture
        }
}
