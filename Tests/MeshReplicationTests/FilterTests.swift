// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshSimulation
import Testing

@testable import MeshReplication

@Suite("A replica may hold some shards, and follows the whole history all the same")
struct FilterTests {
    static let shop = ShardSet.base.union(.services(ofNamespace: "shop"))

    private func record(_ key: String, _ value: String?) -> LedgerChange {
        LedgerChange(key: key, value: value.map { Array($0.utf8) })
    }

    /// A change in each of three shards.
    private func everywhere(_ value: String?) -> [LedgerChange] {
        ["service/shop/web", "service/bank/web", "endpoint/shop/web-1"].map { record($0, value) }
    }

    @Test("it holds exactly the owner's records of its shards, at the owner's position")
    func holds() throws {
        var publisher = try Publisher()
        var replica = publisher.newcomer(wanting: Self.shop)
        for value in ["1", "2", nil, "4"] {
            let commit = try publisher.ledger.commit(everywhere(value), to: &publisher.replica)
            for batch in commit.batches {
                let filtered = batch.keeping(Self.shop)
                guard case .applied(let changes) = try replica.apply(filtered) else {
                    Issue.record("revision \(batch.position) was not applied")
                    return
                }
                #expect(changes.map(\.key) == ["service/shop/web"])
            }
            #expect(replica.head == publisher.replica.head)
            #expect(replica.contents.root == publisher.replica.contents.root)
            #expect(replica.state == publisher.replica.state.restricted(to: Self.shop))
        }
    }

    @Test("a wanted shard that was left out, or an altered one that wasn't wanted, is refused")
    func refuses() throws {
        var publisher = try Publisher()
        let batch = try publisher.ledger.commit(everywhere("1"), to: &publisher.replica).batches[0]
        let shard = Placement.shard(ofKey: "service/shop/web".utf8)
        var replica = publisher.newcomer(wanting: Self.shop)
        #expect(throws: RejectionReason.missingShard(batch.owner, shard: shard)) {
            try replica.apply(batch.keeping(.endpoints))
        }
        // It would be passed on to whoever wants it, who would blame the wrong one.
        for body in batch.bodies where body.shard != shard {
            var bytes = body.bytes
            bytes[bytes.count - 1] ^= 1
            let altered = batch.bodies.map {
                $0.shard == body.shard ? Batch.Body(shard: $0.shard, bytes: bytes) : $0
            }
            #expect(throws: RejectionReason.bodyMismatch(batch.owner, shard: body.shard)) {
                try replica.apply(batch.with(bodies: altered))
            }
        }
        #expect(replica.position == .origin)
    }

    /// A publisher, a filtered node behind it, and a node behind that one that wants `far`.
    private func chain(far: ShardSet) throws -> World {
        var random = SeededGenerator(seed: 11)
        var world = try World(
            owners: 1, nodes: 3, interests: [.all, Self.shop, far],
            window: LogWindowLimit(batches: 3, bytes: 1 << 20))
        try world.openLedger(of: world.owners[0], at: 0, epoch: 1)
        for value in ["1", "2", "3", "4", "5"] {
            try world.publish(everywhere(value), of: world.owners[0], at: 0)
        }
        world.connect(0, 1)
        world.connect(1, 2)
        world.settle(using: &random)
        return world
    }

    @Test("it serves what it has, and offers nothing else")
    func serves() throws {
        var random = SeededGenerator(seed: 12)
        var near = try chain(far: .base.union(Self.shop))
        let id = near.owners[0]
        try near.publish(everywhere("6"), of: id, at: 0)
        near.settle(using: &random)
        near.checkViews()
        #expect(near.head(of: id, at: 2) == near.head(of: id, at: 0))
        #expect(near.nodes[2].views[id] == ["service/shop/web": [0x36]])

        var far = try chain(far: .all)
        far.settle(using: &random)
        #expect(far.head(of: id, at: 2) == .origin)
        far.connect(0, 2)
        far.settle(using: &random)
        far.checkViews()
        #expect(far.head(of: id, at: 2) == far.head(of: id, at: 0))
        #expect(far.nodes.flatMap(\.rejections).filter(\.isViolation).isEmpty)
    }

    @Test("a narrowed interest sweeps at once; a widened one fetches what is missing")
    func interests() throws {
        var random = SeededGenerator(seed: 13)
        var world = try chain(far: Self.shop)
        let id = world.owners[0]
        world.setInterest(.base, in: id, at: 1)
        #expect(world.nodes[1].views[id]?.isEmpty == true)
        world.setInterest(.all, in: id, at: 1)
        world.settle(using: &random)
        #expect(world.nodes[1].synchroniser.replica(of: id)?.lacksShards == false)
        #expect(world.nodes[1].views[id]?.count == 3)
        world.checkViews()
        try world.publish(everywhere("7"), of: id, at: 0)
        world.settle(using: &random)
        world.checkViews()
        #expect(world.nodes[1].views[id]?.count == 3)
    }

    @Test("whoever asks in vain for shards still gets the changes of those it has")
    func inVain() throws {
        var random = SeededGenerator(seed: 14)
        var world = try chain(far: Self.shop)
        let id = world.owners[0]
        world.setInterest(.all, in: id, at: 2)
        for second in 1...3 {
            world.tick(at: .zero + .seconds(second))
            world.settle(using: &random)
        }
        try world.publish(everywhere("8"), of: id, at: 0)
        world.settle(using: &random)
        #expect(world.nodes[2].synchroniser.replica(of: id)?.lacksShards == true)
        #expect(world.nodes[2].views[id] == ["service/shop/web": [0x38]])
    }

    @Test("a shard that is wanted anew and has become empty meanwhile is no obstacle")
    func emptied() throws {
        var publisher = try Publisher()
        var replica = publisher.newcomer(wanting: Self.shop)
        let first = try publisher.ledger.commit(everywhere("1"), to: &publisher.replica).batches[0]
        try replica.apply(first.keeping(Self.shop))
        _ = try publisher.ledger.commit(
            [record("service/bank/web", nil)], to: &publisher.replica)
        _ = replica.setInterest(Self.shop.union(.services(ofNamespace: "bank")))
        let offer = try #require(OutgoingSnapshot(of: publisher.replica, shards: .all)).offer
        #expect(try replica.examine(offer, realTime: 0) == .wanted([]))
        let changes = replica.install(offer, [])
        #expect(changes == [])
        #expect(replica.head == publisher.replica.head)
    }
}
