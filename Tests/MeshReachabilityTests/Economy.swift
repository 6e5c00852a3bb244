// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshReachability
import MeshSimulation

/// Clusters whose load follows the weights that an engine gives them, and whose readings the engine
/// follows: the loop that production closes, in steps of a second.
struct Economy {
    struct Cluster {
        /// In units of work.
        var capacity: Double
        /// Its share of a service's new connections at equal weights: its backends.
        var backends = 1.0
        /// Work that no weight moves.
        var background = 0.0
    }

    /// Of the readings, as the agent smooths them.
    static let smoothing = 10.0

    let clusters: [Cluster]
    /// Work that new connections bring, if they all last.
    var demand: Double
    /// Mean life of a connection, in seconds: load follows weights by so much.
    let life: Double
    /// From a reading to the engine, in seconds.
    let delay: Int
    private(set) var engine: VerdictEngine
    private(set) var now = Instant(nanoseconds: 3_600_000_000_000)
    private(set) var seconds = 0
    /// Work in each cluster that came by weights.
    private(set) var moved: [Double]
    /// Stores, oldest first.
    private(set) var changes: [(second: Int, cluster: Int, weight: UInt8)] = []
    private var isAlive: [Bool]
    private var readings: [Double]
    private var told: [[Double]] = []
    private var generator: SeededGenerator
    var noise = 0.02
    /// Factors of clusters that count in another unit.
    var units: [Int: Double] = [:]
    /// Clusters that say nothing.
    var mute: Set<Int> = []

    static func id(_ index: Int) -> ClusterID { ClusterID(rawValue: UInt16(index + 1))! }

    init(_ clusters: [Cluster], demand: Double, life: Double, delay: Int = 1, seed: UInt64 = 1) {
        self.clusters = clusters
        self.demand = demand
        self.life = life
        self.delay = delay
        // Reports come once a second here.
        var parameters = ReachabilityParameters()
        parameters.relaySilence = .seconds(2)
        engine = VerdictEngine(own: Self.id(0), parameters: parameters)
        generator = SeededGenerator(seed: seed)
        isAlive = clusters.map { _ in true }
        moved = clusters.map { _ in 0 }
        readings = moved
        for index in clusters.indices { engine.add(Self.id(index), at: now) }
        moved = shares.map { $0 * demand }
        readings = clusters.indices.map { min(load($0), 1) }
    }

    /// 0...1 and beyond, of what a cluster can do.
    func load(_ index: Int) -> Double {
        (moved[index] + clusters[index].background) / clusters[index].capacity
    }

    func weight(_ index: Int) -> UInt8 { engine.word(of: Self.id(index))!.weight }

    /// Of new connections, as the datapath chooses.
    var shares: [Double] {
        let weights = clusters.indices.map { Double(weight($0)) * clusters[$0].backends }
        let total = weights.reduce(0, +)
        return weights.map { $0 / total }
    }

    mutating func kill(_ index: Int) { isAlive[index] = false }

    mutating func run(seconds count: Int, _ watch: (Economy) -> Void = { _ in }) {
        for _ in 0..<count {
            step()
            watch(self)
        }
    }

    private mutating func step() {
        seconds += 1
        now = now + .seconds(1)
        let ended = 1 / (1 + life)
        for (index, share) in shares.enumerated() {
            moved[index] += isAlive[index] ? (share * demand - moved[index]) * ended : -moved[index]
            let noisy = load(index) * (1 + noise * (Double(generator.next() % 2001) / 1000 - 1))
            readings[index] += (min(noisy, 1) - readings[index]) / (1 + Self.smoothing)
        }
        told.append(readings)
        if told.count > delay { told.removeFirst() }
        report()
    }

    private func workload(_ index: Int) -> Workload? {
        guard !mute.contains(index) else { return nil }
        let capacity = clusters[index].capacity * 8000 * (units[index] ?? 1)
        return Workload(capacity: UInt32(capacity), used: UInt32(told[0][index] * capacity))
    }

    private mutating func report() {
        let paths = clusters.indices.dropFirst().map { index in
            PathStatus(
                remote: NodeID(cluster: Self.id(index), name: "r")!,
                state: isAlive[index] ? .up : .down, missed: isAlive[index] ? 0 : 9,
                beats: isAlive[index] ? 20 : 0, silence: .zero, roundTrip: nil, drain: .never,
                head: .origin, relaySetGeneration: 0, workload: workload(index))
        }
        var effects = VerdictEffects()
        engine.receive(
            RelayReport(
                relay: "r", sequence: UInt64(seconds), instance: 1, isAbstaining: false,
                workload: workload(0), paths: paths),
            at: now, into: &effects)
        changes += effects.words.map {
            (seconds, Int($0.cluster.rawValue) - 1, $0.word.weight)
        }
    }

    /// How often a cluster's weight turned round since a second.
    func turns(_ index: Int, since second: Int) -> Int {
        let weights = changes.filter { $0.second >= second && $0.cluster == index }.map(\.weight)
        let rises = zip(weights, weights.dropFirst()).map { $0 < $1 }
        return zip(rises, rises.dropFirst()).count { $0 != $1 }
    }
}
