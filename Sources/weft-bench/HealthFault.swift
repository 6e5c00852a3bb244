// SPDX-License-Identifier: Apache-2.0

import MeshLab

/// What is done to a lab.
enum HealthKind: String, CaseIterable {
    /// A node that is no relay loses power.
    case node
    case relay
    case cluster
    /// A cluster's packets don't reach another one; those of the other do arrive.
    case link
    /// A node's agent stands still, its cable and its workloads don't.
    case frozen
}

/// One fault: who is hit, who must notice, and what nobody may conclude.
struct HealthFault: CustomStringConvertible {
    /// Where an observer stands that has to notice.
    enum Place: String, CaseIterable {
        case local
        case remote
        /// Doesn't hear the other end of a link any more.
        case deaf
        /// Hears the other end, and isn't heard.
        case mute
    }

    let kind: HealthKind
    /// The cluster that is hit; of a link, the one that isn't heard.
    let cluster: String
    /// The node, unless a whole cluster is meant.
    var node: String?
    /// Of a link, the cluster that doesn't hear.
    var receiver: String?
    /// The cluster whose client asks meanwhile.
    let client: String

    var target: String { node.map { "\(cluster)/\($0)" } ?? cluster }
    var description: String {
        "\(kind.rawValue) \(target)" + (receiver.map { " to \($0)" } ?? "")
    }

    /// Where the observer stands, if it has to hold the subject for unreachable.
    func place(_ observer: HealthWatch.Observer, _ subject: Subject) -> Place? {
        guard !isBlind(observer) else { return nil }
        switch kind {
        case .node, .relay:
            guard case .node(node) = subject else { return nil }
            return observer.cluster == cluster ? .local : .remote
        case .cluster: return subject == .cluster(cluster) ? .remote : nil
        case .link:
            if observer.cluster == receiver, subject == .cluster(cluster) { return .deaf }
            guard let receiver else { return nil }
            return observer.cluster == cluster && subject == .cluster(receiver) ? .mute : nil
        case .frozen: return nil
        }
    }

    /// Whether nothing was done that could make the observer hold the subject for unreachable.
    func isUntouched(
        _ observer: HealthWatch.Observer, _ subject: Subject, home: (String) -> String?
    ) -> Bool {
        guard !isBlind(observer) else { return false }
        let owner =
            switch subject {
            case .cluster(let name): name
            case .node(let name): home(name)
            }
        switch kind {
        case .node, .relay: return subject != node.map { .node($0) }
        case .cluster: return owner != cluster
        case .link: return Set([observer.cluster, owner]) != Set([cluster, receiver])
        case .frozen: return true
        }
    }

    /// Whether its agent is dead: its words are nobody's opinion.
    private func isBlind(_ observer: HealthWatch.Observer) -> Bool {
        switch kind {
        case .node, .relay: observer.node == node
        case .cluster: observer.cluster == cluster
        case .link, .frozen: false
        }
    }
}

/// Who is hit when: a different cluster in each round, and over time everybody.
struct HealthVictims {
    /// From whom to whom: every direction once in six rounds, each cluster once in three.
    private static let directions = [(0, 1), (1, 2), (2, 0), (1, 0), (2, 1), (0, 2)]

    let clusters: [LabPlan.Cluster]
    /// Names of the nodes that relay.
    let relays: Set<String>

    /// - Throws: ``LabError`` if no node of the cluster is of the kind.
    func fault(_ kind: HealthKind, round: Int) throws -> HealthFault {
        let turn = round / clusters.count
        let victim = clusters[round % clusters.count]
        let client = clusters[(round + 1) % clusters.count].name
        switch kind {
        case .cluster: return HealthFault(kind: kind, cluster: victim.name, client: client)
        case .link:
            let (from, to) = Self.directions[round % Self.directions.count]
            return HealthFault(
                kind: kind, cluster: clusters[from].name, receiver: clusters[to].name,
                client: clusters[to].name)
        case .node, .relay, .frozen:
            let nodes = victim.nodes.map(\.name).filter {
                kind == .frozen || relays.contains($0) == (kind == .relay)
            }
            guard !nodes.isEmpty else {
                throw LabError(.failed, "\(victim.name) has no \(kind.rawValue) to hit")
            }
            return HealthFault(
                kind: kind, cluster: victim.name, node: nodes[turn % nodes.count], client: client)
        }
    }
}
