// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReplication
import MeshTransport
import Synchronization
import Testing

@testable import MeshAgent

@Suite("Denials travel with the ledger")
struct DenialScenarios {
    private let list = DenyListRecord(sealed: [1, 2, 3])

    /// Cluster 1's home, its node a, tells the list with its next report.
    private func tell(_ list: DenyListRecord, in world: World, _ endpoint: String) {
        world.act(World.id(1, "a")) { core, _ in core.trustRecords[list.key] = list.encoded }
        world.attach(1, "a", endpoint, endpoint == "one" ? "10.1.0.5" : "10.1.0.6")
    }

    private func lists(_ world: World) -> Set<[UInt8]?> {
        Set(world.everyNode.map { world.core($0.number, $0.name).tables.denyLists[cluster(1)] })
    }

    @Test("what the home tells is everywhere, and stays when the home starts anew and is silent")
    func spread() throws {
        let world = try World()
        try world.run(for: .seconds(2))
        tell(list, in: world, "one")
        try world.run(for: .seconds(1))
        #expect(lists(world) == [[1, 2, 3]])

        world.kill(1, "a")
        try world.run(for: .seconds(3))
        world.revive(1, "a")
        try world.run(for: .seconds(20))
        #expect(world.core(1, "a").isOpen && lists(world) == [[1, 2, 3]])

        tell(DenyListRecord(sealed: [4]), in: world, "two")
        try world.run(for: .seconds(1))
        #expect(lists(world) == [[4]])
    }

    @Test("another node of the cluster can't tell one")
    func forged() throws {
        let world = try World()
        try world.run(for: .seconds(2))
        let put = Message.Report.Put(
            key: DenyListRecord.onlyKey, since: 0, value: DenyListRecord(sealed: [6]).encoded)
        world.forge(
            .report(.init(opens: false, closes: false, puts: [put], deletes: [])),
            from: World.id(1, "b"), to: World.id(1, "a"))
        try world.run(for: .seconds(1))
        #expect(lists(world) == [nil])
        let said = world.node(1, "a").notes.contains { note in
            if case .outOfTurn(_, "deny/list") = note { true } else { false }
        }
        #expect(said)
    }

    @Test("a publisher whose delegation rests on a denied authority delegates anew, once")
    func redelegation() throws {
        let world = try World()
        try world.run(for: .seconds(2))
        let home = World.id(1, "a")
        let epoch = try #require(world.positions(of: 1).first?.epoch)
        // The first delegation that it is asked about is the denied one's.
        let denied = Mutex<[UInt8]?>(nil)
        let authority = LedgerAuthority(identity: [1]) { bytes, _, _ in
            denied.withLock { denied in
                denied = denied ?? bytes
                return denied != bytes
            }
        }
        for (number, name) in world.everyNode where number == 1 {
            world.act(World.id(number, name)) { core, effects in
                core.trust([cluster(1): authority], into: &effects)
            }
        }
        #expect(world.core(1, "a").delegationIsRefused)
        try world.run(for: .seconds(5))
        #expect(world.positions(of: 1).map(\.epoch) == [epoch + 1])
        #expect(world.core(home.cluster.rawValue, home.name).isOpen)
    }

    @Test("a node that isn't believed keeps its place, without keys, until its next link")
    func distrust() throws {
        let world = try World()
        try world.run(for: .seconds(2))
        let (home, other) = (World.id(1, "a"), World.id(1, "b"))
        let key = try #require(GossipKey(Array(repeating: 7, count: GossipKey.byteCount)))
        func keys() throws -> [GossipKey] {
            try #require(world.core(1, "a").healthPlan(inUse: []).members[other]).keys
        }
        world.act(other) { core, _ in core.gossipKeys = [key] }
        world.attach(1, "b", "one", "10.1.0.5")
        try world.run(for: .seconds(1))
        #expect(try keys() == [key])
        var told: [[GossipKey]?] = []
        func note(_ effects: [StateEffect]) {
            for case .health(.follow(let plan)) in effects {
                told.append(plan.members[other]?.keys)
            }
        }
        world.act(home) { core, effects in
            core.distrust(other, into: &effects)
            note(effects)
        }
        world.act(home) { core, effects in
            effects = []
            core.linkUp(LinkID(rawValue: 1_000), to: other, into: &effects)
            note(effects)
        }
        #expect(told == [[], [key]], "health is told both times, at once")
    }
}
