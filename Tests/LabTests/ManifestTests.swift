// SPDX-License-Identifier: Apache-2.0

import Testing
import Yams

@testable import MeshLab

@Suite struct ManifestTests {
    private func documents(_ node: String, _ file: String) throws -> [Node] {
        let plan = try LabPlanner.plan(.builtIn, name: "demo")
        let cluster = try #require(plan.clusters.first { $0.nodes.contains { $0.name == node } })
        let found = try #require(cluster.nodes.first { $0.name == node })
        let text = try #require(LabManifests(plan: plan).files(of: found, in: cluster)[file])
        return Array(try compose_all(yaml: text))
    }

    @Test("a global service carries the incumbent's annotation and both cluster addresses")
    func service() throws {
        let all = try documents("beta-1", "service-demo-web.yaml")
        let service = all[0]
        #expect(service["kind"]?.string == "Service")
        #expect(service["metadata"]?["annotations"]?["service.cilium.io/global"]?.string == "true")
        #expect(
            service["spec"]?["clusterIPs"]?.array().map(\.string) == ["10.202.0.10", "fd00:202::a"])
        #expect(service["spec"]?["ports"]?.count == 2)
    }

    @Test("a slice a family lists the cluster's own backends with their nodes")
    func slices() throws {
        let slices = try documents("beta-1", "service-demo-web.yaml").dropFirst()
        #expect(slices.map { $0["addressType"]?.string } == ["IPv4", "IPv6"])
        for slice in slices {
            #expect(slice["metadata"]?["labels"]?["kubernetes.io/service-name"]?.string == "web")
            let endpoints = try #require(slice["endpoints"]?.array())
            #expect(endpoints.map { $0["nodeName"]?.string } == ["beta-1", "beta-2"])
            #expect(slice["ports"]?.array().map { $0["port"]?.int } == [8080, 8080])
        }
    }

    @Test("a node has its own pods; only the first has the cluster's services")
    func pods() throws {
        let pods = try documents("alpha-1", "pods.yaml")
        #expect(pods.map { $0["metadata"]?["name"]?.string } == ["web-1", "client"])
        let plan = try LabPlanner.plan(.builtIn, name: "demo")
        let second = LabManifests(plan: plan).files(of: plan.nodes[1], in: plan.clusters[0])
        #expect(second.keys.sorted() == ["node.yaml", "pods.yaml"])
    }

    @Test("session affinity is written as Kubernetes knows it")
    func sessionAffinity() throws {
        var file = LabFile.builtIn
        file.services?[0].sessionAffinitySeconds = 60
        let plan = try LabPlanner.plan(file, name: "demo")
        let text = try #require(
            LabManifests(plan: plan).files(of: plan.nodes[0], in: plan.clusters[0])[
                "service-demo-web.yaml"])
        let spec = try #require(try compose(yaml: text.components(before: "---\n"))?["spec"])
        #expect(spec["sessionAffinity"]?.string == "ClientIP")
        #expect(
            spec["sessionAffinityConfig"]?["clientIP"]?["timeoutSeconds"]?.int == 60)
    }

    @Test(
        "whatever a label holds, the manifest stays YAML",
        arguments: ["a\"b", "x: y", "\\", "\n# "])
    func quoting(_ value: String) throws {
        #expect(try compose(yaml: "v: \(quote(value))")?["v"]?.string == value)
    }

    @Test("an agent's configuration names its cluster, itself and every folder")
    func configuration() throws {
        let plan = try LabPlanner.plan(.builtIn, name: "demo")
        let configurations = LabConfigurations(
            plan: plan, bpf: "/bpf/weft-lab/demo", cgroup: try LabCgroup(lab: "demo"))
        let text = configurations.agent(plan.nodes[1], in: plan.clusters[0])
        let root = try #require(try compose(yaml: text))
        #expect(root["cluster"]?["name"]?.string == "alpha" && root["cluster"]?["id"]?.int == 1)
        #expect(
            root["publisher"]?.string == "alpha-1" && root["node"]?["name"]?.string == "alpha-2")
        #expect(
            root["nodes"]?.array().map { $0["address"]?.string } == ["172.31.1.1", "172.31.1.2"])
        #expect(root["paths"]?["bpf"]?.string == "/bpf/weft-lab/demo/alpha/alpha-2")
        #expect(
            root["paths"]?["cgroup"]?.string?.hasSuffix("/weft-demo/alpha/alpha-2/endpoints")
                == true)
        let peer = configurations.peer(
            plan.clusters[1], bundle: "-----BEGIN\nx\n")
        let parsed = try #require(try compose(yaml: peer))
        #expect(parsed["bundle"]?.string == "-----BEGIN\nx\n")
        #expect(
            parsed["addresses"]?.array().map(\.string) == ["172.31.2.1:4790", "172.31.2.2:4790"])
        #expect(parsed["charter"]?["podPrefixes"]?.count == 4)
    }
}

extension String {
    fileprivate func components(before separator: String) -> String {
        firstRange(of: separator).map { String(self[..<$0.lowerBound]) } ?? self
    }
}

extension Node {
    fileprivate var count: Int? { sequence?.count }
}
