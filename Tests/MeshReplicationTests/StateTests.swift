// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshSimulation
import Testing

@testable import MeshReplication

@Suite("State is packed, hashed and compared by bucket")
struct StateTests {
    @Test("random changes give what a dictionary gives", arguments: 1...20 as ClosedRange<UInt64>)
    func model(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var contents = LedgerContents.empty
        var model: [String: [UInt8]] = [:]
        for _ in 0..<40 {
            var changes: [String: [UInt8]?] = [:]
            for _ in 0..<Int.random(in: 1...60, using: &random) {
                let name = "service/" + String(Int.random(in: 0..<400, using: &random))
                changes.updateValue(
                    random.once(in: 3)
                        ? nil : .init(repeating: 7, count: .random(in: 0...9, using: &random)),
                    forKey: name)
            }
            contents.apply(changes.map { LedgerChange(key: $0.key, value: $0.value) })
            for (key, value) in changes { model[key] = value }
        }
        #expect(
            Dictionary(uniqueKeysWithValues: contents.entries.map { ($0.key, $0.value) }) == model)
        #expect(contents.count == model.count)
        for (key, value) in model { #expect(contents.value(of: key).map(Array.init) == value) }
        #expect(contents.value(of: "service/none") == nil)

        // The same state by another way has the same root.
        var direct = LedgerContents.empty
        direct.apply(model.map { LedgerChange(key: $0.key, value: $0.value) })
        #expect(direct.root == contents.root)
        direct.apply([LedgerChange(key: "service/other", value: [])])
        #expect(direct.root != contents.root)
    }

    @Test("the difference of two buckets leads from one to the other")
    func difference() {
        let key = (0..<3000).map { "service/\($0)" }.filter {
            Placement.bucket(of: $0.utf8) == 16
        }
        func bucket(_ values: [Int: UInt8]) -> Bucket {
            Bucket.empty.applying(
                values.map { PackedChange(LedgerChange(key: key[$0.key], value: [$0.value])) }
                    .sorted(by: PackedChange.inOrder))
        }
        let old = bucket([0: 1, 1: 1, 2: 1, 5: 1])
        let new = bucket([1: 1, 2: 2, 3: 1, 6: 1])
        #expect(
            Set(old.changes(to: new)) == [
                LedgerReplacement(key: key[0], former: [1], value: nil),
                LedgerReplacement(key: key[2], former: [1], value: [2]),
                LedgerReplacement(key: key[3], former: nil, value: [1]),
                LedgerReplacement(key: key[5], former: [1], value: nil),
                LedgerReplacement(key: key[6], former: nil, value: [1]),
            ])
        #expect(old.changes(to: old).isEmpty)
        let patched = old.applying(
            old.changes(to: new).map { PackedChange(LedgerChange(key: $0.key, value: $0.value)) }
                .sorted(by: PackedChange.inOrder))
        #expect(patched.hash == new.hash)
    }

    @Test("an endpoint is found by the hash of its key")
    func endpointByHash() {
        var contents = LedgerContents.empty
        let keys = (0..<2_000).map { "endpoint/default/web-\($0)" }
        contents.apply(keys.map { LedgerChange(key: $0, value: Array($0.utf8)) })
        for key in keys {
            #expect(
                contents.endpoints(with: RecordHash(of: key.utf8))
                    == [LedgerEntry(key: key, value: Array(key.utf8))])
        }
        #expect(contents.endpoints(with: RecordHash(of: "endpoint/default/none".utf8)).isEmpty)
    }

    @Test("keys keep their bucket for ever, and spread")
    func placement() {
        #expect(Placement.bucket(of: "service/default/web".utf8) == 5 * 16 + 2)
        #expect(Placement.bucket(of: "endpoint/default/web".utf8) == 13 * 16 + 7)
        #expect(Placement.bucket(of: "gizmo/default/web".utf8) == 8)
        var counts = [Int](repeating: 0, count: ReplicationLimit.buckets)
        for index in 0..<12_800 { counts[Placement.bucket(of: "endpoint/a/\(index)".utf8)] += 1 }
        let shards = Placement.endpointShards
        #expect(counts[..<(shards.lowerBound * 16)].allSatisfy { $0 == 0 })
        #expect(counts[(shards.lowerBound * 16)...].allSatisfy { (60...150).contains($0) })
    }

    @Test("a namespace's services and slices share a shard; all but the many stand in the base")
    func shards() {
        let wanted = ShardSet.services(ofNamespace: "shop")
        for key in ["service/shop/web", "slice/shop/web-1", "service/shop/web/later"] {
            #expect(wanted.contains(shard: Placement.shard(ofKey: key.utf8)))
        }
        for key in ["node/a", "identity/7", "namespace/shop", "gizmo/shop/x", "services/shop/web"] {
            #expect(Placement.shard(ofKey: key.utf8) == Placement.baseShard)
        }
        for index in 0..<100 {
            let shard = Placement.shard(ofKey: "endpoint/shop/\(index)".utf8)
            #expect(ShardSet.endpoints.contains(shard: shard))
        }
        let namespaces = Set((0..<200).map { ShardSet.services(ofNamespace: "ns-\($0)") })
        #expect(namespaces.count == Placement.serviceShards.count)
        #expect(ShardSet.all.shards == Array(0..<16))
    }

    @Test("a log window keeps to its limits and knows what it still covers")
    func window() throws {
        var publisher = try Publisher(window: LogWindowLimit(batches: 3, bytes: 1 << 20))
        var heads: [LedgerHead] = [.origin]
        for index in 0..<6 {
            heads.append(try publisher.commitOne(put("a", "\(index)")).signed.head)
        }
        let log = publisher.replica.log
        #expect(log.count == 3)
        #expect(log.base == heads[3])
        #expect(log.entry(after: heads[3])?.head == heads[4])
        #expect(log.entry(after: heads[5])?.head == heads[6])
        #expect(log.entry(after: heads[6]) == nil)
        #expect(log.entry(after: heads[2]) == nil)
        #expect(log.entry(after: .origin) == nil)
        let otherHistory = LedgerHead(position: heads[4].position, hash: .zero)
        #expect(log.entry(after: otherHistory) == nil)
    }
}
