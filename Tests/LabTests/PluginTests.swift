// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Glibc
import MeshAdmin
import MeshModel
import Netlink
import Testing

@testable import MeshLab

/// The plugin as runtimes call it, beside a real agent.
@Suite(.tags(.lab), .serialized) struct PluginTests {
    private static let file = LabFile(
        mesh: nil, clusters: [LabFile.Cluster(name: "alpha", id: 1, nodes: .count(1))])

    private struct Plugin {
        let lab: Lab
        let node: LabPlan.Node

        /// Starts a call; its standard output is in a file.
        func start(
            _ verb: String, _ container: String = "c1", pod: String = "web-0",
            in namespace: String = "", waitSeconds: Int = 20, adding more: String = ""
        ) throws -> (process: LabProcess, output: String) {
            let name = freshLabName()
            let folder = "\(lab.plan.stateFolder)/plugin"
            try LabFolder.make(folder)
            let program = "\(folder)/weft-cni"
            if !LabFolder.exists(program) {
                try #require(symlink(try weftProgram(), program) == 0)
            }
            try LabFolder.write(
                """
                {"cniVersion": "1.1.0", "name": "net", "type": "weft-cni",
                 "socket": "\(lab.plan.runFolder(of: node))/weft-admin.sock",
                 "waitSeconds": \(waitSeconds)\(more)}
                """, to: "\(folder)/\(name).json")
            let command = [
                "env", "CNI_COMMAND=\(verb)", "CNI_CONTAINERID=\(container)", "CNI_IFNAME=eth0",
                "CNI_NETNS=\(NetworkNamespace.path(of: namespace))", "CNI_PATH=\(folder)",
                "CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=\(pod)",
                "sh", "-c", "exec \(program) < \(folder)/\(name).json",
            ]
            let output = "\(folder)/\(name).out"
            return (
                try lab.start(command, on: node, cgroup: lab.cgroup.root, output: output), output
            )
        }

        func call(
            _ verb: String, _ container: String = "c1", pod: String = "web-0",
            in namespace: String = "", waitSeconds: Int = 20, adding more: String = ""
        ) async throws -> LabResult {
            let (process, output) = try start(
                verb, container, pod: pod, in: namespace, waitSeconds: waitSeconds, adding: more)
            return try await lab.finish(process, output)
        }

        func endpoints() async throws -> [EndpointStatus] {
            try await lab.agent(of: node).endpoints()
        }
    }

    private struct Failure: Decodable {
        let code: Int
        let msg: String
    }

    private func code(_ result: LabResult) throws -> Int {
        #expect(result.ending == .exited(1))
        return try JSONDecoder().decode(Failure.self, from: Data(result.output.utf8)).code
    }

    private func withPlugin(_ body: (Plugin, [String]) async throws -> Void) async throws {
        try await withLab(Self.file) { lab in
            let namespaces = ["one", "two"].map { "weft-\(lab.plan.name)-\($0)" }
            for name in namespaces { _ = try NetworkNamespace.create(named: name) }
            let node = lab.plan.nodes[0]
            try LabFolder.write(
                """
                apiVersion: v1
                kind: Pod
                metadata: {name: web-0, namespace: shop, labels: {app: web}}
                """, to: "\(lab.plan.manifestFolder(of: node))/shop.yaml")
            try await body(Plugin(lab: lab, node: node), namespaces)
        }
    }

    @Test("every verb may be repeated, and a late word about a predecessor changes nothing")
    func idempotence() async throws {
        try await withPlugin { plugin, namespaces in
            #expect(try await plugin.call("STATUS").ending == .exited(0))
            let added = try await plugin.call("ADD", in: namespaces[0])
            #expect(added.ending == .exited(0), "\(added.output)")
            #expect(try await plugin.call("ADD", in: namespaces[0]).output == added.output)
            let endpoint = try #require(try await plugin.endpoints().first)
            #expect(endpoint.namespace == "shop" && endpoint.name == "web-0")
            #expect(endpoint.labels["app"] == "web" && endpoint.state == .done)
            let previous = #", "prevResult": \#(added.output)"#
            #expect(
                try await plugin.call("CHECK", in: namespaces[0], adding: previous).ending
                    == .exited(0))

            // The pod's next container, before the end of its former is known.
            let next = try await plugin.call("ADD", "c2", in: namespaces[1])
            #expect(next.ending == .exited(0), "\(next.output)")
            #expect(
                try code(await plugin.call("CHECK", in: namespaces[0], adding: previous)) == 101)
            for _ in 1...2 {
                #expect(try await plugin.call("DEL", in: namespaces[0]).ending == .exited(0))
                #expect(try await plugin.endpoints().map(\.name) == ["web-0"])
            }
            let other = #", "cni.dev/valid-attachments": [{"containerID": "c2", "ifname": "eth0"}]"#
            #expect(try await plugin.call("GC", adding: other).ending == .exited(0))
            #expect(try await plugin.endpoints().count == 1)
            let none = #", "cni.dev/valid-attachments": []"#
            for _ in 1...2 {
                #expect(try await plugin.call("GC", adding: none).ending == .exited(0))
                #expect(try await plugin.endpoints().isEmpty)
            }
            #expect(try await plugin.call("DEL", "c2").ending == .exited(0))
        }
    }

    @Test("a namespace that isn't there, an address pool that is empty, a list of a stranger")
    func refusals() async throws {
        try await withPlugin { plugin, namespaces in
            #expect(try code(await plugin.call("ADD", in: "weft-nowhere")) == 3)
            #expect(try code(await plugin.call("GC")) == 7)
            #expect(try await plugin.endpoints().isEmpty)
            // Of a link that nobody made.
            let previous = """
                , "prevResult": {"interfaces": [{"name": "eth0", "sandbox": "/n"}],
                                 "ips": [{"address": "10.1.1.9/24", "interface": 0}]}
                """
            #expect(try code(await plugin.call("ADD", in: namespaces[0], adding: previous)) == 100)
            // Of an address that isn't this node's.
            var socket = try RouteSocket(in: try NetworkNamespace(named: plugin.node.namespace))
            try socket.createVeth(
                VethEnd(name: "veth1"),
                VethEnd(name: "eth0", namespace: try NetworkNamespace(named: namespaces[0])))
            let foreign = """
                , "prevResult": {"interfaces": [{"name": "eth0", "sandbox": "/n"}],
                                 "ips": [{"address": "192.0.2.9/24", "interface": 0}]}
                """
            #expect(try code(await plugin.call("ADD", in: namespaces[0], adding: foreign)) == 7)
            #expect(try await plugin.endpoints().isEmpty)
        }
    }

    @Test("without an agent it says so, after a wait, and goes on if one comes meanwhile")
    func waiting() async throws {
        try await withPlugin { plugin, namespaces in
            let lab = plugin.lab
            let added = try await plugin.call("ADD", in: namespaces[0])
            try await lab.endAgents("alpha")
            #expect(try code(await plugin.call("STATUS")) == 50)
            let other = try await plugin.call("ADD", "c2", in: namespaces[1], waitSeconds: 1)
            #expect(try code(other) == 11)
            #expect(try code(await plugin.call("DEL", waitSeconds: 1)) == 11)
            let patient = try plugin.start("ADD", in: namespaces[0], waitSeconds: 60)
            #expect(patient.process.ending() == nil)
            try await lab.revive("alpha")
            let result = try await lab.finish(patient.process, patient.output)
            #expect(result.ending == .exited(0) && result.output == added.output)
            #expect(try await plugin.call("DEL").ending == .exited(0))
            #expect(try await plugin.endpoints().isEmpty)
        }
    }
}
