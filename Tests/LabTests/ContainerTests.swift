// SPDX-License-Identifier: Apache-2.0

import Glibc
import MeshAdmin
import MeshModel
import Netlink
import Testing

@testable import MeshLab

/// Debian's containerd, runc and plugins, as they are.
@Suite(.tags(.lab), .serialized) struct ContainerTests {
    /// The first node is for containers.
    private static let file = LabFile.web(clients: ["client": "alpha-2"])

    private static let services = ["10.201.0.10", "fd00:201::a"]

    private static func pod(_ container: String, app: String) -> String {
        """
        ---
        apiVersion: v1
        kind: Pod
        metadata: {name: \(ContainerRuntime.objectName(of: container)), labels: {app: \(app)}}

        """
    }

    private func withRuntimeLab(_ body: (Lab, LabPlan.Node) async throws -> Void) async throws {
        // While the daemon lives, its own folder is mounted there.
        let hasRuntime = LabFolder.exists(ContainerRuntime.shimFolder)
        defer { if !hasRuntime { rmdir(ContainerRuntime.shimFolder) } }
        var name: String?
        do {
            try await withLab(Self.file) { lab in
                name = lab.plan.name
                try await body(lab, lab.plan.nodes[0])
            }
        } catch {
            if let name { try removeForeignCgroups(of: name) }
            throw error
        }
        if let name { try removeForeignCgroups(of: name) }
    }

    private func endpoint(
        _ container: String, in lab: Lab, on node: LabPlan.Node, _ what: String,
        _ isWanted: (EndpointStatus) -> Bool
    ) async throws -> EndpointStatus {
        try await awaiting("\(container) to be \(what)", atMost: .seconds(20)) {
            try await lab.agent(of: node).endpoints().first {
                $0.name == ContainerRuntime.objectName(of: container) && isWanted($0)
            }
        }
    }

    private func awaitGone(_ lab: Lab, _ node: LabPlan.Node) async throws {
        _ = try await awaiting("every container's endpoint to go", atMost: .seconds(20)) {
            try await lab.agent(of: node).endpoints().contains { $0.isLocal } ? nil : true
        }
        #expect(try await lab.agent(of: node).detachedPrograms(lab, node).isEmpty)
        // The kernel takes a namespace's interfaces away in its own time.
        _ = try await awaiting("the containers' interfaces to go", atMost: .seconds(20)) {
            try links(of: node).isEmpty ? true : nil
        }
    }

    private func links(of node: LabPlan.Node) throws -> [String] {
        var socket = try RouteSocket(in: try NetworkNamespace(named: node.namespace))
        return try socket.links().filter { $0.kind == "veth" }.map(\.name)
            .filter { $0 != LabNetwork.interface }
    }

    @Test("a container of containerd's is an endpoint as soon as its pod is known, and to its end")
    func primary() async throws {
        try await withRuntimeLab { lab, node in
            let manifest = "\(lab.plan.manifestFolder(of: node))/containers.yaml"
            let runtime = try await ContainerRuntime.start(in: lab, on: node)
            let container = try runtime.run("box", saying: "boxed")
            let waiting = try await endpoint("box", in: lab, on: node, "attached") { _ in true }
            #expect(waiting.state == .pending && waiting.reason?.contains("pod") == true)
            #expect(waiting.addresses == ["10.1.1.2", "fd00:1:1::2"])
            // Nobody knows what it is: it reaches nobody, and nobody reaches it.
            #expect(try await runtime.get(Self.services[0], 80, from: "box") == nil)
            #expect(try await lab.get(waiting.addresses[0], 8080, from: "alpha/client") == nil)
            let others = try await lab.agent(of: lab.plan.nodes[2]).endpoints()
            #expect(!others.contains { $0.addresses == waiting.addresses })

            try LabFolder.write(Self.pod("box", app: "boxed"), to: manifest)
            let known = try await endpoint("box", in: lab, on: node, "known") {
                $0.labels["app"] == "boxed" && $0.state == .done
            }
            for service in Self.services {
                #expect(try await runtime.get(service, 80, from: "box") == "beta/web-1")
            }
            for address in known.addresses {
                for client in ["alpha/client", "beta/web-1"] {
                    let answer = try await awaiting("\(client)", atMost: .seconds(20)) {
                        try await lab.get(address, 8080, from: client)
                    }
                    #expect(answer == "boxed")
                }
            }
            #expect(try await lab.get(known.addresses[0], 8080, on: node) == "boxed")

            // Its labels are what policies go by.
            let policy = "\(lab.plan.manifestFolder(of: node))/policy.yaml"
            try LabFolder.write(
                """
                apiVersion: networking.k8s.io/v1
                kind: NetworkPolicy
                metadata: {name: closed, namespace: default}
                spec: {podSelector: {matchLabels: {app: boxed}}, policyTypes: [Ingress]}
                """, to: policy)
            _ = try await awaiting("the policy to be in force", atMost: .seconds(20)) {
                try await lab.get(known.addresses[0], 8080, from: "alpha/client") == nil
                    ? true : nil
            }
            try LabFolder.remove(policy)
            _ = try await awaiting("it to be gone", atMost: .seconds(20)) {
                try await lab.get(known.addresses[0], 8080, from: "alpha/client")
            }

            try await lab.endAgents("alpha/\(node.name)")
            // The kernel goes on alone.
            #expect(try await runtime.get(Self.services[0], 80, from: "box") == "beta/web-1")
            try await lab.revive("alpha/\(node.name)")
            _ = try await endpoint("box", in: lab, on: node, "restored") { $0.state == .done }
            #expect(try await runtime.get(Self.services[1], 80, from: "box") == "beta/web-1")

            try await runtime.kill("box")
            _ = try await container.wait(atMost: .seconds(20))
            try await awaitGone(lab, node)
        }
    }

    @Test("behind Debian's plugins a container is an endpoint, too", arguments: ["bridge", "ptp"])
    func chained(_ plugin: String) async throws {
        try await withRuntimeLab { lab, node in
            let ranges = node.podPrefixes.map { #"[{"subnet": "\#($0)"}]"# }.joined(separator: ",")
            let runtime = try await ContainerRuntime.start(
                in: lab, on: node,
                after: """
                    {"cniVersion": "1.0.0", "name": "chain", "plugins": [
                      {"type": "\(plugin)", "bridge": "cni0", "isGateway": true, "mtu": 1450,
                       "ipam": {"type": "host-local",
                                "dataDir": "\(lab.plan.stateFolder)/runtime/addresses",
                                "ranges": [\(ranges)],
                                "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]}}]}
                    """)
            try LabFolder.write(
                Self.pod("one", app: "boxed") + Self.pod("two", app: "boxed"),
                to: "\(lab.plan.manifestFolder(of: node))/containers.yaml")
            var containers: [LabProcess] = []
            var addresses: [String: [String]] = [:]
            for name in ["one", "two"] {
                containers.append(try runtime.run(name, saying: "boxed-\(name)"))
                addresses[name] =
                    try await endpoint(name, in: lab, on: node, "known") {
                        $0.labels["app"] == "boxed" && $0.state == .done
                    }.addresses
            }
            // Both servers listen by then.
            for (name, addresses) in addresses {
                for address in addresses {
                    let answer = try await awaiting("\(name) at \(address)", atMost: .seconds(20)) {
                        try await lab.get(address, 8080, from: "beta/web-1")
                    }
                    #expect(answer == "boxed-\(name)")
                    #expect(try await lab.get(address, 8080, on: node) == "boxed-\(name)")
                }
            }
            for service in Self.services {
                #expect(try await runtime.get(service, 80, from: "one") == "beta/web-1")
            }
            for (client, server) in [("one", "two"), ("two", "one")] {
                for address in try #require(addresses[server]) {
                    let answer = try await runtime.get(address, 8080, from: client)
                    #expect(answer == "boxed-\(server)", "\(client) to \(address)")
                }
            }

            for name in ["one", "two"] { try await runtime.kill(name) }
            for container in containers { _ = try await container.wait(atMost: .seconds(20)) }
            try await awaitGone(lab, node)
        }
    }
}

extension AdminClient {
    /// Pins of programs at interfaces that are gone.
    fileprivate func detachedPrograms(_ lab: Lab, _ node: LabPlan.Node) async throws -> [String] {
        let folder = try Lab.bpfFolder(of: lab.plan.name)
        let cluster = try lab.cluster(of: node).name
        return try LabFolder.names(in: "\(folder)/\(cluster)/\(node.name)/links").filter {
            $0.contains("endpoint")
        }
    }
}
