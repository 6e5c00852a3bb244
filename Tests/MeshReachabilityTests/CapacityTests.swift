// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshSimulation
import Testing

@testable import MeshReachability

@Suite("Weights that follow spare capacity")
struct CapacityTests {
    static let start = Instant(nanoseconds: 3_600_000_000_000)
    static let parameters = CapacityParameters()

    @Test(
        "up to 71 % of its capacity a cluster has its full weight, then what it has to spare",
        arguments: [
            (0, 1), (0.5, 1), (0.714, 1), (0.75, 0.875), (0.8, 0.7), (0.9, 0.35), (0.95, 0.175),
            (0.98, 0.1), (1, 0.1),
        ])
    func law(use: Double, share: Double) {
        #expect(abs(Self.parameters.target(use: use) - share) < 1e-9)
    }

    @Test(
        "a step goes to where it would rest, so that repeating it changes nothing", arguments: 1...9
    )
    func rest(tenths: Int) {
        let share = Double(tenths) / 10
        for use in stride(from: 0.72, to: 1, by: 0.02) {
            let rest = Self.parameters.rest(from: share, use: use)
            // As if all of the load had moved with the weight.
            let moved = use * rest / share
            let wanted = Self.parameters.target(use: min(moved, 1))
            #expect(abs(wanted - rest) < 1e-6 || rest == 1 && wanted == 1 || rest == 0.1)
        }
    }

    /// Seconds until a share of 1 has come down to what the law wants, or of 0.1 up again.
    @Test("it falls within seconds, and rises no faster than a cluster that returns")
    func pace() {
        var share = CapacityShare(at: Self.start, Self.parameters)
        let full = Workload(capacity: 1000, used: 1000)
        var now = Self.start
        var falling = 0
        while share.value > Self.parameters.floor + Self.parameters.deadBand {
            now = now + .seconds(1)
            share.follow(full, at: now)
            falling += 1
        }
        #expect(falling <= 15)
        let bottom = share.value
        var rising = 0
        while share.value < 1 {
            now = now + .seconds(1)
            share.follow(Workload(capacity: 1000, used: 300), at: now)
            rising += 1
        }
        // The one turn has halved its stride.
        #expect(Double(rising) >= (1 - bottom) / 0.03 * 2 - 2)
        #expect(rising < 60)
    }

    @Test("at most one step a second, and none for less than an eighth of full weight")
    func hysteresis() {
        var share = CapacityShare(at: Self.start, Self.parameters)
        share.follow(Workload(capacity: 100, used: 90), at: Self.start + .milliseconds(999))
        #expect(share.value == 1)
        share.follow(Workload(capacity: 1000, used: 749), at: Self.start + .seconds(1))
        #expect(share.value == 1, "the law says 0.8785")
        share.follow(Workload(capacity: 1000, used: 751), at: Self.start + .seconds(1))
        #expect(share.value < 1)
        let first = share.value
        share.follow(Workload(capacity: 100, used: 100), at: Self.start + .milliseconds(1999))
        #expect(share.value == first)
    }

    @Test("who doesn't say how much it has keeps its full weight, and gets it back")
    func unknown() {
        var share = CapacityShare(0.3, at: Self.start, Self.parameters)
        var now = Self.start
        for _ in 0..<60 {
            now = now + .seconds(1)
            share.follow(nil, at: now)
        }
        #expect(share.value == 1)
    }

    // MARK: The loop

    /// Capacity, backends, background of each cluster.
    static let meshes: [[Economy.Cluster]] = [
        [.init(capacity: 1), .init(capacity: 1)],
        [.init(capacity: 1, background: 0.5), .init(capacity: 1)],
        [.init(capacity: 1), .init(capacity: 2), .init(capacity: 4)],
        [
            .init(capacity: 1, background: 0.3), .init(capacity: 1, background: 0.1),
            .init(capacity: 1),
        ],
        [.init(capacity: 1), .init(capacity: 10)],
        [
            .init(capacity: 1, backends: 4), .init(capacity: 1), .init(capacity: 1),
            .init(capacity: 1),
        ],
    ]

    @Test(
        "clusters that follow each other's load settle, however late load follows weights",
        .tags(.simulation), arguments: meshes.indices, [0, 3, 10, 60, 600])
    func settles(mesh: Int, life: Int) {
        let clusters = Self.meshes[mesh]
        let capacity = clusters.map(\.capacity).reduce(0, +)
        let background = clusters.map(\.background).reduce(0, +)
        for use in [0.5, 0.7, 0.8, 0.9, 0.95, 1.1] {
            for delay in [1, 10] {
                var economy = Economy(
                    clusters, demand: use * capacity - background, life: Double(life), delay: delay)
                economy.run(seconds: 2400)
                let story: Comment = "\(use) of capacity, \(delay) s late"
                for index in clusters.indices {
                    #expect(economy.turns(index, since: 1200) <= 1, story)
                    #expect(economy.weight(index) >= 25, story)
                }
                #expect(economy.changes.count < 1600, story)
                // Where there is room for all, nobody is left much above what it can do, unless it has
                // ten times the backends that it can serve: the floor feeds those.
                guard use <= 0.9, mesh != 4 else { continue }
                let worst = clusters.indices.map { economy.load($0) }.max() ?? 0
                #expect(worst < 1.3, story)
            }
        }
    }

    // MARK: A cluster leaves

    /// Loads at equal weights of clusters that can do 1; the last one dies.
    static let deaths: [[Double]] = [
        [0.9, 0.3, 0.3], [0.6, 0.6, 0.3], [0.95, 0.2, 0.5], [0.8, 0.8, 0.5, 0.3], [0.7, 0.7, 0.7],
        [0.9, 0.9, 0.2, 0.6], [1.0, 0.2, 0.3],
    ]

    @Test(
        "what a dead cluster leaves goes where there is room, and nobody is pushed above what it can do",
        .tags(.simulation), arguments: deaths, [0, 10, 60])
    func death(loads: [Double], life: Int) {
        let total = loads.reduce(0, +)
        var economy = Economy(
            loads.map { Economy.Cluster(capacity: 1, backends: $0 / total) }, demand: total,
            life: Double(life))
        economy.run(seconds: 600)
        economy.kill(loads.count - 1)
        var peaks = loads.map { _ in 0.0 }
        economy.run(seconds: 900) { economy in
            for index in peaks.indices { peaks[index] = max(peaks[index], economy.load(index)) }
        }
        // Where the survivors lack room, all of them have too much, by the same factor.
        let cap = max(1, total / Double(loads.count - 1))
        #expect(peaks.allSatisfy { $0 <= cap * 1.03 }, "\(peaks) above \(cap)")
        #expect(loads.indices.dropLast().allSatisfy { economy.weight($0) > 0 })
    }

    @Test("with weights as they were, the fullest survivor would have been overrun")
    func stampede() {
        let loads = [0.95, 0.2, 0.5]
        var economy = Economy(
            loads.map { Economy.Cluster(capacity: 1, backends: $0) }, demand: 1.65, life: 0)
        economy.run(seconds: 600)
        let before = economy.shares[0] / (economy.shares[0] + economy.shares[1])
        economy.kill(2)
        economy.run(seconds: 2)
        let after = economy.shares[0] / (economy.shares[0] + economy.shares[1])
        #expect(before * 1.65 > 1.2)
        #expect(after * 1.65 < 1)
    }

    @Test("clusters that count in other units, or don't say, are taken away from nobody")
    func units() {
        for units in [[0: 1000.0], [1: 1000], [2: 1000], [0: 0.01], [2: 0.01]] {
            var economy = Economy(
                [0.9, 0.3, 0.5].map { Economy.Cluster(capacity: 1, backends: $0) }, demand: 1.7,
                life: 10)
            economy.units = units
            economy.run(seconds: 600)
            economy.kill(2)
            economy.run(seconds: 900)
            #expect(economy.load(0) < 1.03 && economy.load(1) < 1.03)
        }
        var silent = Economy(
            [Economy.Cluster(capacity: 1), .init(capacity: 1), .init(capacity: 1)], demand: 2.4,
            life: 10)
        silent.mute = [0, 1, 2]
        silent.run(seconds: 60)
        silent.kill(2)
        silent.run(seconds: 60)
        #expect(silent.weight(0) == 255 && silent.weight(1) == 255)
        #expect(silent.engine.capacity(of: Economy.id(0)) == nil)
    }
}
