// SPDX-License-Identifier: Apache-2.0

import MeshModel
import Testing

@testable import MeshLab

@Suite struct PlanTests {
    @Test("the built-in lab has three clusters of two nodes, a global service and one client")
    func builtIn() throws {
        let plan = try LabPlanner.plan(.builtIn, name: "demo")
        #expect(plan.clusters.map(\.name) == ["alpha", "beta", "gamma"])
        #expect(plan.nodes.map(\.underlay).prefix(3) == ["172.31.1.1", "172.31.1.2", "172.31.2.1"])
        #expect(plan.nodes[3].podPrefixes == ["10.2.2.0/24", "fd00:2:2::/64"])
        #expect(plan.nodes[3].namespace == "weft-demo-beta-2")
        #expect(plan.endpoints.count { $0.labels["app"] == "web" } == 6)
        let (cluster, client) = try plan.endpoint(matching: "client")
        #expect(cluster.name == "alpha" && client.command == nil)
        // The third of alpha's endpoints: the second one on its first node.
        #expect(client.node == "alpha-1" && client.addresses == ["10.1.1.3", "fd00:1:1::3"])
        #expect(plan.services[0].addresses["beta"] == ["10.202.0.10", "fd00:202::a"])
    }

    @Test("every namespace, address and link name of a plan is used once")
    func uniqueness() throws {
        let plan = try LabPlanner.plan(.builtIn, name: "demo")
        let namespaces =
            plan.nodes.map(\.namespace) + plan.endpoints.map(\.namespace)
            + [plan.underlayNamespace]
        #expect(Set(namespaces).count == namespaces.count)
        let addresses = plan.nodes.map(\.underlay) + plan.endpoints.flatMap(\.addresses)
        #expect(Set(addresses).count == addresses.count)
        #expect(Set(plan.nodes.map(\.port)).count == plan.nodes.count)
        #expect(plan.nodes.allSatisfy { $0.port.utf8.count <= 15 })
    }

    @Test("workload addresses lie in their node's prefixes")
    func containment() throws {
        let plan = try LabPlanner.plan(.builtIn, name: "demo")
        for endpoint in plan.endpoints {
            let node = try #require(plan.nodes.first { $0.name == endpoint.node })
            let prefixes = node.podPrefixes.compactMap { Prefix($0) }
            for text in endpoint.addresses {
                let address = try #require(Address(text))
                #expect(prefixes.contains { $0.contains(address) })
            }
        }
    }

    @Test("a file says what it needs and leaves the rest")
    func file() throws {
        let file = try LabFile(
            yaml: """
                clusters:
                  - name: edge
                    id: 7
                    nodes:
                      - {name: roof, zone: north, podPrefixes: [10.77.0.0/24]}
                    serviceCIDRs: [10.78.0.0/24]
                    endpoints:
                      - {name: probe, labels: {app: probe}, command: [sleep, "5"]}
                services:
                  - name: probe
                    selector: {app: probe}
                    ports: [{port: 53, protocol: UDP}]
                    affinity: local
                    sessionAffinitySeconds: 30
                """, name: "edge.yaml")
        let plan = try LabPlanner.plan(file, name: "edge")
        #expect(plan.mesh == "edge.mesh")
        #expect(plan.nodes.map(\.zone) == ["north"])
        #expect(plan.endpoints[0].addresses == ["10.77.0.2"])
        #expect(plan.endpoints[0].objectNamespace == "default")
        let service = plan.services[0]
        #expect(service.isGlobal && service.affinity == "local")
        #expect(service.addresses == ["edge": ["10.78.0.10"]])
        #expect(service.ports == [.init(name: "", port: 53, targetPort: 53, transport: "UDP")])
    }

    @Test(
        "what contradicts itself is refused with the names of the things",
        arguments: [
            ("clusters: []", "clusters"),
            ("clusters: [{name: a, id: 1}, {name: a, id: 2}]", "two clusters are named 'a'"),
            ("clusters: [{name: a, id: 1}, {name: b, id: 1}]", "two clusters have the ID 1"),
            ("clusters: [{name: a, id: 0}]", "cluster a: the ID 0"),
            ("clusters: [{name: a, id: 51}]", "cluster a: the ID 51"),
            ("clusters: [{name: A, id: 1}]", "cluster 'A'"),
            ("clusters: [{name: a, id: 1, nodes: 0}]", "cluster a"),
            ("clusters: [{name: a, id: 1, nodes: 999}]", "cluster a"),
            ("clusters: [{name: a, id: 1, serviceCIDRs: [10.1.0.0/16]}]", "10.1.1.0/24"),
            (
                "clusters: [{name: a, id: 1, nodes: [{name: n, podPrefixes: [172.31.9.0/24]}]}]",
                "172.31.9.0/24 overlaps 172.31.0.0/16, the underlay"
            ),
            (
                "clusters: [{name: a, id: 1, nodes: [{name: n}]}, "
                    + "{name: b, id: 2, nodes: [{name: n}]}]", "two nodes are named 'n'"
            ),
            (
                "clusters: [{name: a, id: 1, nodes: [{name: n, podPrefixes: [10.1]}]}]",
                "'10.1' is not a prefix"
            ),
            (
                "clusters: [{name: a, id: 1, endpoints: [{name: e}, {name: e}]}]",
                "two endpoints named 'e'"
            ),
            (
                "clusters: [{name: a, id: 1, endpoints: [{name: e, node: x}]}]",
                "endpoint a/e: the cluster has no node 'x'"
            ),
            (
                "clusters: [{name: a, id: 1, endpoints: [{name: e, command: []}]}]",
                "endpoint a/e: its command is empty"
            ),
            (
                "clusters: [{name: a, id: 1}]\nservices: [{name: s, selector: {}, ports: []}]",
                "service s: its selector"
            ),
            (
                "clusters: [{name: a, id: 1}]\n"
                    + "services: [{name: s, selector: {a: b}, ports: [{port: 0}]}]",
                "a port is 1 to 65535"
            ),
            (
                "clusters: [{name: a, id: 1}]\n"
                    + "services: [{name: s, selector: {a: b}, ports: [{port: 1}], clusters: [z]}]",
                "service s: there is no cluster 'z'"
            ),
            (
                "clusters: [{name: a, id: 1}]\n"
                    + "services: [{name: s, selector: {a: b}, ports: [{port: 1}], affinity: near}]",
                "service s: the affinity 'near'"
            ),
            ("clusters: [{name: a, id: 1, authority: true}]", "needs apiServer: true"),
            (
                "clusters: [{name: a, id: 1, apiServer: true, authority: true}, {name: b, id: 2}]",
                "and apart: true beside other clusters"
            ),
            ("clusters: [{name: a}]", "clusters[0].id is missing"),
            ("clusters: [{name: a, id: one}]", "clusters[0].id"),
            ("clusters: [", "lab.yaml"),
        ])
    func contradictions(_ yaml: String, _ words: String) {
        let error = #expect(throws: LabError.self) {
            try LabPlanner.plan(try LabFile(yaml: yaml, name: "lab.yaml"), name: "demo")
        }
        #expect(error?.code == .invalidFile)
        #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
    }

    @Test(
        "a lab's name can't be part of another's",
        arguments: ["", "my-lab", "Lab", "a.b", "seventeenletters1", "../x"])
    func badName(_ name: String) {
        #expect(throws: LabError.self) { try LabPlanner.plan(.builtIn, name: name) }
        #expect(throws: LabError.self) { try Lab(named: name, executable: "/bin/true") }
    }

    @Test(
        "clusters, nodes and endpoints are found by name, or the error lists those that there are",
        arguments: [
            ("beta", ["beta-1", "beta-2"]), ("beta/beta-2", ["beta-2"]), ("delta", nil),
            ("beta/alpha-1", nil), ("", nil),
        ] as [(String, [String]?)])
    func targets(_ target: String, _ expected: [String]?) throws {
        let plan = try LabPlanner.plan(.builtIn, name: "demo")
        if let expected {
            #expect(try plan.nodes(matching: target).map(\.name) == expected)
        } else {
            let error = #expect(throws: LabError.self) { try plan.nodes(matching: target) }
            #expect(error?.code == .notFound)
        }
    }

    @Test("an endpoint that several clusters have needs its cluster's name")
    func ambiguousEndpoint() throws {
        let plan = try LabPlanner.plan(.builtIn, name: "demo")
        #expect(throws: LabError.self) { try plan.endpoint(matching: "web-1") }
        #expect(try plan.endpoint(matching: "gamma/web-1").cluster.name == "gamma")
    }
}
