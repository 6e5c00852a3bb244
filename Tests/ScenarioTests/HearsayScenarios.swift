// SPDX-License-Identifier: Apache-2.0

import MeshModel
import Testing

@testable import MeshAgent

@Suite("A cluster falls silent: its path failed, or the cluster itself")
struct HearsayScenarios {
    private static let names = ["a", "b"]

    private func hearsay(in world: World, of number: UInt16) -> Set<Hearsay?> {
        Set(Self.names.map { world.health(1, $0).hearsay[cluster(number)] })
    }

    private func cut(_ world: World, _ left: UInt16, _ right: UInt16, isWhole: Bool = false) {
        for one in Self.names {
            for other in Self.names {
                let ends = (World.id(left, one), World.id(right, other))
                if isWhole { world.mend(ends.0, ends.1) } else { world.sever(ends.0, ends.1) }
            }
        }
    }

    @Test("a third cluster that still has its word knows that it lives, on every node")
    func path() throws {
        let world = try World(clusters: 3, seeds: Self.names)
        try world.run(for: .seconds(10))
        #expect(hearsay(in: world, of: 3) == [nil])
        cut(world, 1, 3)
        try world.run(for: .seconds(8))
        #expect(world.health(1, "a").verdict(of: cluster(3)) == .unreachable)
        #expect(hearsay(in: world, of: 3) == [.lives])
        // The verdict is this cluster's own, whatever others know.
        #expect(world.health(2, "a").verdict(of: cluster(3)) == .up)
        cut(world, 1, 3, isWhole: true)
        try world.run(for: .seconds(60))
        #expect(world.health(1, "a").verdict(of: cluster(3)) == .up)
        #expect(hearsay(in: world, of: 3) == [nil])
    }

    @Test("nobody has word of a cluster that died")
    func death() throws {
        let world = try World(clusters: 3, seeds: Self.names)
        try world.run(for: .seconds(10))
        for name in Self.names { world.kill(3, name) }
        try world.run(for: .seconds(4))
        #expect(hearsay(in: world, of: 3) == [nil], "it is too early to say")
        try world.run(for: .seconds(6))
        #expect(hearsay(in: world, of: 3) == [.unheard])
    }

    @Test("of two clusters neither can ask a third one")
    func alone() throws {
        let world = try World(clusters: 2, seeds: Self.names)
        try world.run(for: .seconds(10))
        for name in Self.names { world.kill(2, name) }
        try world.run(for: .seconds(10))
        #expect(hearsay(in: world, of: 2) == [.nobodyToAsk])
    }
}
