// SPDX-License-Identifier: Apache-2.0

import MeshDatapath
import MeshKubernetes
import MeshModel
import MeshPolicy
import MeshReconciler
import MeshStore
import Testing

@testable import MeshAgent

@Suite("Policies on their way into the datapath")
struct PolicyReconcilerTests {
    @Test("an endpoint has no row before its cluster's policies are known, then one with its set")
    func isolation() throws {
        var node = try PolicyNode()
        node.attach("web", "10.1.0.1", ["app": "web"])
        node.pass()
        #expect(try node.datapath.endpointAddresses().isEmpty)
        #expect(node.status("10.1.0.1") == .error("it waits for its policies"))
        node.store.write { $0.policies.declareComplete() }
        node.pass()
        #expect(try node.datapath.endpointAddresses() == [Address("10.1.0.1")!])
        #expect(try node.judge(.ingress, "10.1.0.1", peer: .world).outcome == .allowed)
    }

    @Test("a changed policy touches a word a set, and no endpoint's row")
    func swap() throws {
        var node = try PolicyNode()
        node.know()
        for number in 1...5 { node.attach("web-\(number)", "10.1.0.\(number)", ["app": "web"]) }
        node.attach("db", "10.1.0.9", ["app": "db"])
        node.pass()
        let sets = node.reconciler.placements
        #expect(Set(sets.values).count == 2)
        node.apply("deny", Self.isolating("web"))
        let writes = node.datapath.writeCount
        node.pass()
        #expect(node.reconciler.placements == sets)
        let since = node.datapath.writeCount.since(writes)
        #expect(since.byMap["weft_endpoints"] == nil)
        #expect(since.byMap["weft_policy_sets"] == 1)
        for number in 1...5 {
            #expect(try node.judge(.ingress, "10.1.0.\(number)", peer: .world).outcome == .denied)
        }
        #expect(try node.judge(.ingress, "10.1.0.9", peer: .world).outcome == .allowed)
        node.remove("deny")
        node.pass()
        #expect(try node.judge(.ingress, "10.1.0.1", peer: .world).outcome == .allowed)
    }

    @Test("endpoints that a policy parts don't share lists any more, though it changes none yet")
    func parting() throws {
        var node = try PolicyNode()
        node.know()
        node.attach("web", "10.1.0.1", ["app": "web"])
        node.attach("db", "10.1.0.2", ["app": "db"])
        node.apply("all", "spec: {podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}")
        let client = identity(300)
        node.identify(client, ["app": "client"], in: "pay")
        node.pass()
        #expect(Set(node.datapath.policySets().values).count == 1)
        node.apply(
            "some",
            """
            spec:
              podSelector: {matchLabels: {app: db}}
              ingress: [{from: [{namespaceSelector: {matchLabels: {team: red}}}]}]
            """)
        node.pass()
        #expect(try node.judge(.ingress, "10.1.0.2", peer: client).outcome == .denied)
        node.store.write {
            _ = $0.namespaces.upsert(
                NamespaceRow(
                    key: NamespaceName(cluster: cluster(1), name: "pay"), labels: ["team": "red"]))
        }
        node.pass()
        #expect(try node.judge(.ingress, "10.1.0.1", peer: client).outcome == .denied)
        #expect(try node.judge(.ingress, "10.1.0.2", peer: client).outcome == .allowed)
    }

    @Test("a policy that is changed writes the lists of those whom it means, in the sets it is in")
    func difference() throws {
        var node = try PolicyNode()
        node.know()
        node.attach("web", "10.1.0.1", ["app": "web"])
        node.attach("db", "10.1.0.2", ["app": "db"])
        let blocks = (0..<100).map { "{ipBlock: {cidr: 198.18.0.\($0)/32}}" }
        node.apply(
            "large",
            "spec: {podSelector: {}, ingress: [{from: [\(blocks.joined(separator: ", "))]}]}")
        func some(_ port: Int) -> String {
            """
            spec:
              podSelector: {matchLabels: {app: db}}
              ingress: [{from: [{podSelector: {}}], ports: [{port: \(port)}]}]
            """
        }
        node.apply("some", some(80))
        node.identify(identity(300), ["app": "client"])
        node.pass()
        let web = try node.judge(.ingress, "10.1.0.1", peer: .world).version
        let before = node.datapath.writeCount
        node.apply("some", some(81))
        node.pass()
        let writes = node.datapath.writeCount.since(before).byMap
        #expect(writes["weft_policy_sets"] == 1)
        // The list of those who may: its length, until the port, the port, behind it.
        #expect((writes["weft_policy_intervals"] ?? 0) <= 2 * 4)
        #expect(try node.judge(.ingress, "10.1.0.1", peer: .world).version == web)
        let client = identity(300)
        #expect(try node.judge(.ingress, "10.1.0.2", peer: client).outcome == .denied)
        #expect(
            try node.judge(.ingress, "10.1.0.2", peer: client, PolicyTraffic(.tcp, 81)).outcome
                == .allowed)
        let known = try node.judge(
            .ingress, "10.1.0.1", peer: .world, at: "198.18.0.7", PolicyTraffic(.tcp, 9))
        #expect(known.outcome == .allowed)
        #expect(
            node.reconciler.history.reason(version: known.version, code: known.rule).map { "\($0)" }
                == "NetworkPolicy shop/large, spec.ingress[0]")
    }

    @Test("policies that don't fit leave in force what was, all of it, and status says so")
    func overflow() throws {
        var capacities = MapCapacities()
        capacities.policyIntervals = 64
        var node = try PolicyNode(capacities: capacities)
        node.know()
        node.attach("web", "10.1.0.1", ["app": "web"])
        node.attach("db", "10.1.0.2", ["app": "db"])
        node.apply("deny", Self.isolating("web"))
        node.pass()
        #expect(node.reconciler.failure == nil)
        node.apply("ports", Self.large)
        node.pass()
        #expect(node.reconciler.failure?.contains("weft_policy_intervals") == true)
        #expect(node.reconciler.isRetryDue)
        #expect(node.policyStatus("ports") == .error(try #require(node.reconciler.failure)))
        #expect(try node.judge(.ingress, "10.1.0.1", peer: .world).outcome == .denied)
        #expect(try node.judge(.ingress, "10.1.0.2", peer: .world).outcome == .allowed)
        node.remove("ports")
        node.pass()
        #expect(node.reconciler.failure == nil && node.policyStatus("deny") == .done)
    }

    @Test("an endpoint whose policies don't fit keeps those it had, and no number is lost")
    func noRoom() throws {
        var capacities = MapCapacities()
        capacities.policyIntervals = 64
        var node = try PolicyNode(capacities: capacities)
        node.know()
        node.attach("web", "10.1.0.1", ["app": "web"])
        node.apply("deny", Self.isolating("web"))
        node.apply("ports", Self.large)
        node.pass()
        #expect(node.reconciler.failure == nil)
        node.attach("web", "10.1.0.1", ["app": "db"])
        node.attach("db", "10.1.0.2", ["app": "db"])
        for _ in 0..<5 { node.pass() }
        #expect(node.reconciler.failure?.contains("weft_policy_intervals") == true)
        #expect(try node.judge(.ingress, "10.1.0.1", peer: .world).outcome == .denied)
        #expect(try node.judge(.ingress, "10.1.0.1", peer: .world).version != 0)
        #expect(try node.datapath.endpointAddresses() == [Address("10.1.0.1")!])
        #expect(node.datapath.policySets().count == 1)
        node.remove("ports")
        node.pass()
        #expect(node.reconciler.failure == nil)
        #expect(try node.judge(.ingress, "10.1.0.2", peer: .world).outcome == .allowed)
    }

    @Test("nobody is the world: an identity that isn't known yet is denied for a reason of its own")
    func unknownIdentity() throws {
        var node = try PolicyNode()
        node.know()
        node.attach("web", "10.1.0.1", ["app": "web"])
        node.apply(
            "some",
            """
            spec:
              podSelector: {}
              ingress: [{from: [{podSelector: {matchLabels: {app: client}}}]}]
            """)
        node.pass()
        let client = identity(300)
        #expect(try node.judge(.ingress, "10.1.0.1", peer: client).outcome == .unknownIdentity)
        node.identify(client, ["app": "client"])
        node.pass()
        #expect(try node.judge(.ingress, "10.1.0.1", peer: client).outcome == .allowed)
        let other = identity(301)
        node.identify(other, ["app": "other"])
        node.pass()
        let denied = try node.judge(.ingress, "10.1.0.1", peer: other)
        #expect(denied.outcome == .denied)
        #expect(
            node.reconciler.history.reason(version: denied.version, code: denied.rule)
                == .isolated(by: PolicyNode.name("some")))
        node.store.write { _ = $0.identities.delete(client) }
        node.pass()
        #expect(try node.judge(.ingress, "10.1.0.1", peer: client).outcome == .unknownIdentity)
        let own = Identity(cluster: cluster(1), reserved: .initializing)
        #expect(try node.judge(.ingress, "10.1.0.1", peer: own).outcome == .unknownIdentity)
    }

    @Test(
        "whatever comes, goes and changes, the kernel says what the engine says of the tables",
        arguments: 0..<8 as Range<UInt64>)
    func churn(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        var node = try PolicyNode()
        node.know()
        var answers: [MemoryDatapath.Judgement.Outcome: Int] = [:]
        for step in 0..<120 {
            for _ in 0..<Int.random(in: 1...3, using: &random) { node.change(using: &random) }
            node.pass()
            try #require(node.reconciler.failure == nil)
            for _ in 0..<40 {
                guard let difference = try node.compare(&answers, using: &random) else { continue }
                Issue.record("seed \(seed), step \(step): \(difference)")
                return
            }
        }
        #expect(answers.count == 3 && answers.values.allSatisfy { $0 > 10 }, "\(answers)")
        // Nothing is left of what was replaced.
        #expect(node.datapath.policySets().count <= node.reconciler.placements.count)
    }

    /// More intervals than 64.
    private static let large: String = {
        let ports = (1...100).map { "{port: \($0 * 10)}" }.joined(separator: ", ")
        return """
            spec:
              podSelector: {matchLabels: {app: db}}
              ingress: [{ports: [\(ports)]}]
            """
    }()

    private static func isolating(_ app: String) -> String {
        "spec: {podSelector: {matchLabels: {app: \(app)}}, policyTypes: [Ingress]}"
    }
}
