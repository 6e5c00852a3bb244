// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshSimulation

@testable import MeshReplication

/// What may go wrong in a story. Each story has some of it, for what is rare alone is seen only then.
struct Trouble: OptionSet {
    let rawValue: Int

    static let liar = Trouble(rawValue: 1 << 0)
    static let mangledLinks = Trouble(rawValue: 1 << 1)
    static let crashes = Trouble(rawValue: 1 << 2)
    static let fullDisks = Trouble(rawValue: 1 << 3)
    static let partitions = Trouble(rawValue: 1 << 4)
    static let slowLinks = Trouble(rawValue: 1 << 5)
    static let pauses = Trouble(rawValue: 1 << 6)
    static let clocks = Trouble(rawValue: 1 << 7)
    /// Two publishers of one epoch.
    static let twins = Trouble(rawValue: 1 << 8)
    /// A publisher of an old epoch beside that of a newer one.
    static let deposed = Trouble(rawValue: 1 << 9)
    static let filters = Trouble(rawValue: 1 << 10)
    static let rates = Trouble(rawValue: 1 << 11)
    /// A publisher of a later version.
    static let newer = Trouble(rawValue: 1 << 12)
    static let largeRecords = Trouble(rawValue: 1 << 13)
    static let breaks = Trouble(rawValue: 1 << 14)
    static let count = 15
}

/// Bugs of the shell that a story may have on purpose.
struct PlantedFlaws: OptionSet {
    let rawValue: Int

    static let releasedBeforeDurable = PlantedFlaws(rawValue: 1 << 0)
    static let checkpointLosesBucket = PlantedFlaws(rawValue: 1 << 1)
    static let journalSkipsBatches = PlantedFlaws(rawValue: 1 << 2)
    static let tablesKeepRecords = PlantedFlaws(rawValue: 1 << 3)
}

/// A world drawn from a seed.
struct StoryPlan {
    let seed: UInt64
    let trouble: Trouble
    let flaws: PlantedFlaws
    let coreFlaws: Flaws
    /// Whether the story is printed.
    let isTold: Bool
    /// The cluster of each node; the first of each cluster is its relay.
    let nodes: [ClusterID]
    let owners: [ClusterID]
    let pairs: [Mesh.Pair]
    let window: LogWindowLimit
    let latency: Duration
    let diskLatency: Duration
    let chaos: Duration

    func has(_ trouble: Trouble) -> Bool { self.trouble.contains(trouble) }

    /// Whether ages can be compared with the truth: nobody lies about them, clocks go on, and there
    /// is one publisher at a time that knows what is newest.
    var checksAges: Bool {
        trouble.isDisjoint(with: [.liar, .mangledLinks, .clocks, .twins, .deposed])
    }

    var relays: [Int] {
        nodes.indices.filter { $0 == 0 || nodes[$0] != nodes[$0 - 1] }
    }

    init(seed: UInt64, flaws: PlantedFlaws = [], coreFlaws: Flaws = [], isTold: Bool = false) {
        var random = SeededGenerator(seed: seed ^ 0x5707_1e5)
        self.seed = seed
        self.flaws = flaws
        self.coreFlaws = coreFlaws
        self.isTold = isTold
        var trouble = Trouble()
        for bit in 0..<Trouble.count where random.chance(0.3) {
            trouble.insert(Trouble(rawValue: 1 << bit))
        }
        self.trouble = trouble
        var nodes: [ClusterID] = []
        let clusters = (1...UInt16.random(in: 2...3, using: &random))
            .compactMap(ClusterID.init(rawValue:))
        for cluster in clusters {
            let count = Int.random(in: 1...(clusters.count == 3 ? 2 : 3), using: &random)
            nodes += Array(repeating: cluster, count: count)
        }
        self.nodes = nodes
        owners = clusters + (trouble.contains(.newer) ? [NewerPublisher.owner] : [])
        let relays = nodes.indices.filter { $0 == 0 || nodes[$0] != nodes[$0 - 1] }
        var pairs: [Mesh.Pair] = []
        for left in nodes.indices {
            for right in nodes.indices where right > left {
                if nodes[left] == nodes[right] || relays.contains(left) && relays.contains(right) {
                    pairs.append(Mesh.Pair(left, right))
                }
            }
        }
        if trouble.contains(.liar) { pairs += nodes.indices.map { Mesh.Pair($0, nodes.count) } }
        self.pairs = pairs
        window = LogWindowLimit(
            batches: .random(in: 1...12, using: &random), bytes: 200_000)
        latency = .milliseconds(Int.random(in: 1...40, using: &random))
        diskLatency = .milliseconds(Int.random(in: 1...30, using: &random))
        chaos = .seconds(Int.random(in: 4...8, using: &random))
    }
}
