// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import MeshAdmin
import MeshLab
import MeshModel
import MeshPolicy

/// Changes what policies go by, one thing after the other, and says from when to when each change
/// may have been half in force.
///
/// Nothing is waited for by the clock: a change is settled when every agent that it concerns has
/// reported it. A policy has a name that no other ever had, so a list of names says which texts are in
/// force. What is gone from a list may still be in force, so a policy that selects nobody follows
/// every change; once that one is reported as enforced, so is everything that was listed before.
struct ChurnWorld {
    private static let patience = Duration.seconds(20)
    private static let policiesMaximum = 6
    /// Slots of a cluster with somebody in them, at least.
    private static let endpointsMinimum = 3

    let clusters: [ClusterName]
    let slots: [ChurnSlot]
    /// All that endpoints may have, by node.
    let addresses: [String: [[Address]]]
    private(set) var history: ChurnHistory
    private(set) var counts: [String: Int] = [:]

    private let lab: Lab
    private let agents: [(cluster: Int, node: LabPlan.Node, client: AdminClient)]
    private var generator: SplitMix64
    private var policies: ChurnPolicies
    private var names = 0

    /// - Throws: ``LabError`` for a lab that isn't as ``ChurnLab/file`` has it.
    init(lab: Lab, seed: UInt64) async throws {
        self.lab = lab
        generator = SplitMix64(seed: seed)
        clusters = try lab.plan.clusters.map {
            guard let name = ClusterName(rawValue: $0.name) else {
                throw LabError(.failed, "\($0.name) is no cluster's name")
            }
            return name
        }
        var slots: [ChurnSlot] = []
        var endpoints: [ChurnEndpoint?] = []
        var addresses: [String: [[Address]]] = [:]
        for (index, cluster) in lab.plan.clusters.enumerated() {
            for endpoint in cluster.endpoints {
                let own = endpoint.addresses.compactMap { Address($0) }
                endpoints.append(
                    ChurnEndpoint(
                        name: endpoint.name, slot: slots.count, addresses: own,
                        labels: endpoint.labels))
                slots.append(
                    ChurnSlot(
                        cluster: index, node: endpoint.node,
                        objectNamespace: endpoint.objectNamespace,
                        path: "/run/netns/\(endpoint.namespace)"))
                addresses[endpoint.node, default: []].append(own)
            }
        }
        self.slots = slots
        self.addresses = addresses
        agents = lab.plan.clusters.enumerated().flatMap { index, cluster in
            cluster.nodes.map { (index, $0, lab.agent(of: $0)) }
        }
        policies = ChurnPolicies(
            prefixes: lab.plan.nodes.flatMap(\.podPrefixes), clusters: clusters.map(\.rawValue))
        let books = try clusters.map {
            try PolicyBook([], environment: PolicyEnvironment(cluster: $0))
        }
        history = ChurnHistory(
            ChurnState(
                policies: clusters.map { _ in [] }, books: Array(books.indices),
                endpoints: endpoints), books: books)
        for node in lab.plan.nodes { try writePods(of: node.name, in: history.state) }
        try await settleEndpoints(history.state)
    }

    /// One change, until it is settled.
    mutating func change() async throws {
        switch Int.random(in: 0..<8, using: &generator) {
        case 0...3: try await changePolicies()
        case 4...5: try await relabel()
        default: try await exchange()
        }
    }

    // MARK: Changes

    private mutating func changePolicies() async throws {
        let cluster = clusters.indices.randomElement(using: &generator)!
        var state = history.state
        let count = state.policies[cluster].count
        let removes =
            count > 0 && Int.random(in: 0..<Self.policiesMaximum, using: &generator) < count
        if removes {
            state.policies[cluster].remove(
                at: Int.random(in: 0..<count, using: &generator))
        }
        if !removes || Bool.random(using: &generator) {
            state.policies[cluster].append(try policies.draw(&generator))
        }
        state.books[cluster] = history.add(
            try PolicyBook(
                state.policies[cluster].map(\.policy),
                environment: PolicyEnvironment(cluster: clusters[cluster])))
        counts["policies", default: 0] += 1
        history.begin(state, at: monotonicNanoseconds())
        let path =
            "\(lab.plan.manifestFolder(of: lab.plan.clusters[cluster].first))/policies.yaml"
        for marker in [nil, try ChurnPolicies.marker(history.count)] {
            let written = state.policies[cluster] + (marker.map { [$0] } ?? [])
            try replace(path, written.map(\.text))
            try await settlePolicies(Set(written.map(\.name)), of: cluster)
        }
        history.settle(at: monotonicNanoseconds())
    }

    private mutating func relabel() async throws {
        var state = history.state
        let present = state.endpoints.indices.filter { state.endpoints[$0] != nil }
        let slot = present.randomElement(using: &generator)!
        state.endpoints[slot]?.labels = labels()
        counts["labels", default: 0] += 1
        history.begin(state, at: monotonicNanoseconds())
        try writePods(of: slots[slot].node, in: state)
        try await settleEndpoints(state)
        history.settle(at: monotonicNanoseconds())
    }

    /// Somebody goes, or somebody new comes: with another name, and perhaps with the address of one
    /// who is gone.
    private mutating func exchange() async throws {
        var state = history.state
        let empty = slots.indices.filter { state.endpoints[$0] == nil }
        let chosen = Bool.random(using: &generator) ? empty : Array(slots.indices)
        guard let slot = chosen.randomElement(using: &generator) else { return }
        let node = slots[slot].node
        let agent = agents.first { $0.node.name == node }!.client
        if let endpoint = state.endpoints[slot] {
            let others = slots.indices.filter {
                slots[$0].cluster == slots[slot].cluster && state.endpoints[$0] != nil
            }
            guard others.count > Self.endpointsMinimum else { return }
            state.endpoints[slot] = nil
            counts["removed", default: 0] += 1
            history.begin(state, at: monotonicNanoseconds())
            try await agent.detach(
                ObjectName(namespace: slots[slot].objectNamespace, name: endpoint.name))
        } else {
            let free = addresses[node, default: []].filter { state.owner(of: $0[0]) == nil }
            names += 1
            let endpoint = ChurnEndpoint(
                name: "new-\(names)", slot: slot,
                addresses: free.randomElement(using: &generator)!, labels: labels())
            state.endpoints[slot] = endpoint
            counts["added", default: 0] += 1
            history.begin(state, at: monotonicNanoseconds())
            _ = try await agent.attach(
                AttachRequest(
                    namespace: slots[slot].objectNamespace, name: endpoint.name,
                    labels: endpoint.labels, namespacePath: slots[slot].path,
                    addresses: endpoint.addresses.map(\.description)))
        }
        try writePods(of: node, in: state)
        try await settleEndpoints(state)
        history.settle(at: monotonicNanoseconds())
    }

    private mutating func labels() -> Labels {
        var labels: Labels = [:]
        for key in ChurnPolicies.values.keys.sorted() {
            labels[key] = ChurnPolicies.values[key]!.randomElement(using: &generator)
        }
        return labels
    }

    // MARK: Files

    private func writePods(of node: String, in state: ChurnState) throws {
        guard let place = lab.plan.nodes.first(where: { $0.name == node }) else { return }
        let pods = state.endpoints.compactMap { $0 }.filter { slots[$0.slot].node == node }
        try replace(
            "\(lab.plan.manifestFolder(of: place))/pods.yaml",
            pods.map { pod in
                let labels = pod.labels.sorted { $0.key < $1.key }
                    .map { "\($0.key): \($0.value)" }.joined(separator: ", ")
                return """
                    apiVersion: v1
                    kind: Pod
                    metadata:
                      name: \(pod.name)
                      namespace: \(slots[pod.slot].objectNamespace)
                      labels: {\(labels)}
                    spec: {nodeName: \(node)}
                    status: {podIP: \(pod.addresses[0])}

                    """
            })
    }

    private func replace(_ path: String, _ documents: [String]) throws {
        try Data(documents.joined(separator: "---\n").utf8)
            .write(to: URL(filePath: path), options: .atomic)
    }

    // MARK: Reports

    /// Until every node of the cluster lists these policies, no others, and all as enforced.
    private func settlePolicies(_ wanted: Set<PolicyName>, of cluster: Int) async throws {
        for agent in agents where agent.cluster == cluster {
            _ = try await awaiting(
                "\(agent.node.name)'s word on policies", atMost: Self.patience,
                every: .milliseconds(5)
            ) {
                let list = try await agent.client.policies()
                let names = list.compactMap { status in
                    PolicyKind(rawValue: status.kind).map {
                        PolicyName(kind: $0, namespace: status.namespace ?? "", name: status.name)
                    }
                }
                return Set(names) == wanted && list.allSatisfy { $0.state == .enforced }
                    ? true : nil
            }
        }
    }

    /// Until every node of every cluster has these endpoints, no others, each with an identity that
    /// stands for its labels, and holds them in its kernel: an endpoint's row follows what policies
    /// say to its identity.
    private func settleEndpoints(_ state: ChurnState) async throws {
        let wanted = Set(
            state.endpoints.compactMap { $0 }.map { endpoint in
                Known(
                    cluster: clusters[slots[endpoint.slot].cluster].rawValue, name: endpoint.name,
                    addresses: Set(endpoint.addresses.map(\.description)), labels: endpoint.labels)
            })
        for agent in agents {
            _ = try await awaiting(
                "\(agent.node.name)'s word on endpoints", atMost: Self.patience,
                every: .milliseconds(5)
            ) {
                let list = try await agent.client.endpoints()
                let found = list.map { status in
                    Known(
                        cluster: status.cluster.name, name: status.name,
                        addresses: Set(status.addresses),
                        labels: status.labels.filter { ChurnPolicies.values[$0.key] != nil })
                }
                return Set(found) == wanted && list.allSatisfy { $0.state == .done } ? true : nil
            }
        }
    }

    private struct Known: Hashable {
        let cluster: String
        let name: String
        let addresses: Set<String>
        let labels: Labels
    }
}
