// SPDX-License-Identifier: Apache-2.0

import BPF
import MeshAdmin
import MeshLab
import MeshModel

/// Whom a word of liveness is about, by name: a lab has no two nodes of one.
enum Subject: Hashable, CustomStringConvertible {
    case cluster(String)
    case node(String)

    var description: String {
        switch self {
        case .cluster(let name): "cluster \(name)"
        case .node(let name): "node \(name)"
        }
    }
}

/// What one node's kernel holds of clusters and other nodes: loads of its pinned maps, whatever its
/// agent is doing.
final class HealthView {
    let observer: HealthWatch.Observer
    let subjects: [Subject]
    private let indexes: [Int]
    private let clusters: MappedArray<UInt64>
    private let nodes: MappedArray<UInt64>
    /// What the last call of ``news()`` showed.
    private var seen: [LivenessWord] = []

    /// - Throws: also if the agent, which knows the nodes' places in the map, doesn't answer.
    static func open(
        _ node: LabPlan.Node, in cluster: LabPlan.Cluster, lab: Lab
    ) async throws -> HealthView {
        let folder =
            "\(try BPFFileSystem.mountPoint())/weft-lab/\(lab.plan.name)/\(cluster.name)/"
            + "\(node.name)/maps"
        let others = try await lab.agent(of: node).nodes().filter { $0.name != node.name }
        let remote = lab.plan.clusters.filter { $0.name != cluster.name }
        return HealthView(
            HealthWatch.Observer(node: node.name, cluster: cluster.name),
            subjects: remote.map { .cluster($0.name) } + others.map { .node($0.name) },
            indexes: remote.map { Int($0.id) } + others.map { Int($0.index) },
            clusters: try MappedArray(BPFMap(pinnedAt: "\(folder)/weft_clusters")),
            nodes: try MappedArray(BPFMap(pinnedAt: "\(folder)/weft_nodes")))
    }

    private init(
        _ observer: HealthWatch.Observer, subjects: [Subject], indexes: [Int],
        clusters: consuming MappedArray<UInt64>, nodes: consuming MappedArray<UInt64>
    ) {
        self.observer = observer
        self.subjects = subjects
        self.indexes = indexes
        self.clusters = clusters
        self.nodes = nodes
        seen = subjects.indices.map { word($0) }
    }

    func word(_ number: Int) -> LivenessWord {
        switch subjects[number] {
        case .cluster: LivenessWord(rawValue: clusters.word(at: indexes[number]))
        case .node: LivenessWord(rawValue: nodes.word(at: indexes[number]))
        }
    }

    /// The words that aren't what they were at the last call, by the number of their subject.
    func news() -> [(number: Int, word: LivenessWord)] {
        subjects.indices.compactMap { number in
            let word = word(number)
            guard word != seen[number] else { return nil }
            seen[number] = word
            return (number, word)
        }
    }
}

extension LivenessWord {
    /// Whether it takes new flows, as far as health has a say in it.
    var isUsable: Bool {
        weight > 0 && (verdict == .up || verdict == .probation || verdict == .unknown)
    }
}
