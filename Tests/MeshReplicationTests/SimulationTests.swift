// SPDX-License-Identifier: Apache-2.0

import MeshModel
import Testing

@testable import MeshReplication

@Suite("Whatever happens to links and nodes, replicas hold what was signed", .tags(.simulation))
struct SimulationTests {
    /// The last node lies, if there is a liar; all others form a ring, and all know the liar.
    @Test(
        "links break, nodes and publishers restart, a relay lies: views stay true and converge",
        arguments: 1...30 as ClosedRange<UInt64>)
    func chaos(seed: UInt64) throws {
        var random = SplitMix(seed: seed)
        let honest = Int.random(in: 3...5, using: &random)
        let liar = seed % 3 == 0 ? nil : honest
        var world = try World(
            owners: 3, nodes: honest + (liar == nil ? 0 : 1),
            window: LogWindowLimit(batches: .random(in: 1...12, using: &random), bytes: 200_000))
        if let liar { tell(lies: seed, from: liar, in: &world) }
        var pairs = (0..<honest).map { ($0, ($0 + 1) % honest) }
        if let liar { pairs += (0..<honest).map { ($0, liar) } }
        var epochs: [ClusterID: UInt32] = [:]
        for (node, id) in world.owners.enumerated() { try open(id, node, &epochs, &world) }

        for step in 0..<1500 {
            switch Int.random(in: 0..<100, using: &random) {
            case 0..<12:
                let pair = pairs[Int.random(in: 0..<pairs.count, using: &random)]
                world.connect(pair.0, pair.1)
            case 12..<15:
                let pair = pairs[Int.random(in: 0..<pairs.count, using: &random)]
                world.disconnect(pair.0, pair.1)
            case 15 where random.once(in: 6):
                // Restarted publishers come back with nothing, at an epoch nobody has seen.
                let node = Int.random(in: 0..<honest, using: &random)
                try world.restart(node)
                if node < world.owners.count { try open(world.owners[node], node, &epochs, &world) }
            case 16..<24:
                let node = Int.random(in: 0..<world.owners.count, using: &random)
                try publish(world.owners[node], node, &epochs, &world, &random)
            default: _ = world.deliver(using: &random)
            }
            if step % 10 == 0 { world.checkViews() }
        }

        for pair in pairs { world.connect(pair.0, pair.1) }
        for second in 0..<40 {
            world.settle(using: &random)
            world.tick(at: .zero + .seconds(second))
        }
        world.settle(using: &random)
        world.checkViews()
        for id in world.owners {
            let heads = (0..<honest).map { world.head(of: id, at: $0) }
            #expect(
                Set(heads).count == 1,
                "seed \(seed): owner \(id) stands at \(heads.map(\.position))")
        }
        #expect(world.nodes.flatMap(\.frozen).isEmpty, "seed \(seed)")
        if liar == nil {
            #expect(world.nodes.flatMap(\.rejections).isEmpty, "seed \(seed)")
        } else {
            #expect(!world.nodes.flatMap(\.rejections).isEmpty, "seed \(seed)")
        }
    }

    private func open(
        _ id: ClusterID, _ node: Int, _ epochs: inout [ClusterID: UInt32], _ world: inout World
    ) throws {
        epochs[id, default: 0] += 1
        try world.openLedger(of: id, at: node, epoch: epochs[id, default: 0])
    }

    private func publish(
        _ id: ClusterID, _ node: Int, _ epochs: inout [ClusterID: UInt32], _ world: inout World,
        _ random: inout SplitMix
    ) throws {
        let changes = (0..<Int.random(in: 0...6, using: &random)).map { _ in
            let name = "record-\(Int.random(in: 0..<40, using: &random))"
            let length = random.once(in: 12) ? 40_000 : Int.random(in: 0...50, using: &random)
            return random.once(in: 3)
                ? delete(name)
                : .put(
                    key(name), .init(repeating: .random(in: 0...255, using: &random), count: length)
                )
        }
        try world.publish(changes, of: id, at: node)
    }

    /// A relay that flips bits, drops, repeats and mixes up what it should pass on.
    private func tell(lies seed: UInt64, from liar: Int, in world: inout World) {
        var random = SplitMix(seed: ~seed)
        var memory: [[UInt8]] = []
        world.lie = { message, from in
            guard from == liar else { return [message] }
            memory.append(message)
            switch Int.random(in: 0..<10, using: &random) {
            case 0:
                var altered = message
                altered[.random(in: 0..<message.count, using: &random)] ^= 1
                return [altered]
            case 1: return []
            case 2: return [message, message]
            case 3: return [memory.randomElement(using: &random) ?? message, message]
            default: return [message]
            }
        }
    }
}
