// SPDX-License-Identifier: Apache-2.0

public import MeshModel

extension Replica {
    /// The endpoint records whose key has this hash: one, as a rule. The agent keeps no names of
    /// other clusters' endpoints, so whoever shows them asks here.
    ///
    /// - Complexity: reads the keys of 1/128 of the endpoints.
    public func endpoints(with hash: RecordHash) -> [LedgerEntry] {
        contents.endpoints(with: hash)
    }

    /// Calls `body` with every endpoint record, bucket by bucket.
    public func forEachEndpoint(_ body: (LedgerEntry) -> Void) {
        for shard in Placement.endpointShards {
            for bucket in contents.buckets[Placement.buckets(ofShard: shard)] {
                for entry in bucket { body(entry) }
            }
        }
    }
}

extension LedgerContents {
    func endpoints(with hash: RecordHash) -> [LedgerEntry] {
        buckets[Placement.bucket(ofEndpoint: hash)].entries {
            RecordHash(of: $0) == hash
        }
    }
}
