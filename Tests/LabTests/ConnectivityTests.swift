// SPDX-License-Identifier: Apache-2.0

import Glibc
import MeshAdmin
import Netlink
import Testing

@testable import MeshLab

@Suite(.tags(.lab), .serialized) struct ConnectivityTests {
    private static var twoClusters: LabFile {
        var file = LabFile.builtIn
        file.clusters = Array(file.clusters.prefix(2))
        return file
    }

    /// What a test leaves anywhere, beyond what the lab had.
    private static func leftovers(_ lab: Lab) async throws -> [String] {
        let sites = lab.connectivitySites()
        var left = try NetworkNamespace.names().filter { name in
            sites.contains { name.hasPrefix($0.namespacePrefix) }
        }
        let files =
            sites.flatMap(\.manifestFiles) + sites.flatMap(\.endpoints).map(\.cgroup)
            + ["\(lab.plan.stateFolder)/connectivity"]
        left += files.filter { LabFolder.exists($0) }
        for node in lab.plan.nodes {
            let agent = lab.agent(of: node)
            left += try await agent.endpoints().filter {
                $0.namespace == ConnectivitySite.objectNamespace
            }.map { "\(node.name): endpoint \($0.name)" }
            left += try await agent.services().filter {
                $0.namespace == ConnectivitySite.objectNamespace
            }.map { "\(node.name): service \($0.name)" }
            left += try await agent.policies().filter {
                $0.namespace == ConnectivitySite.objectNamespace
            }.map { "\(node.name): policy \($0.name)" }
        }
        return left
    }

    /// Runs the command as its user does, and reads its lines.
    private static func start(_ lab: Lab, _ output: String) throws -> LabProcess {
        try LabProcess(
            [
                try weftProgram(), "connectivity", "test", "--lab", lab.plan.name, "-o", "json",
            ], output: output, environment: [:])
    }

    private static func results(_ file: String) throws -> [ConnectivityResult] {
        try LabFolder.read(file).split(separator: "\n").filter { $0.contains("\"outcome\"") }
            .map { try decode(ConnectivityResult.self, String($0)) }
    }

    @Test("a healthy mesh passes every check, within a minute, and nothing is left")
    func healthy() async throws {
        try await withLab { lab in
            let output = "\(lab.plan.stateFolder)/test.jsonl"
            let process = try Self.start(lab, output)
            let ending = try await process.wait(atMost: .seconds(60))
            let results = try Self.results(output)
            let bad = results.filter { $0.outcome != .passed }
            let text = try LabFolder.read(output)
            #expect(ending == .exited(0) && bad.isEmpty, "\(bad) \(text.suffix(500))")
            // Each of three clients asks six servers in ten ways, and more.
            #expect(results.count { $0.group.contains("/server-") } == 180)
            #expect(results.count { $0.group.contains("(denied)") } == 36)
            #expect(results.count { $0.group.contains("a service of") } == 16)
            #expect(try await Self.leftovers(lab) == [])
        }
    }

    /// Runs the command to its end, which must be a failure.
    private static func failures(
        in lab: Lab
    ) async throws -> (all: [ConnectivityResult], failed: [ConnectivityResult]) {
        let output = "\(lab.plan.stateFolder)/test.jsonl"
        let process = try start(lab, output)
        #expect(try await process.wait(atMost: .seconds(120)) == .exited(1))
        let all = try results(output)
        #expect(try await leftovers(lab) == [])
        return (all, all.filter { $0.outcome != .passed })
    }

    @Test("what somebody's policy denies fails with that policy's name, and nothing else does")
    func denied() async throws {
        try await withLab(Self.twoClusters) { lab in
            let policy = """
                apiVersion: networking.k8s.io/v1
                kind: NetworkPolicy
                metadata: {name: streams-only, namespace: \(ConnectivitySite.objectNamespace)}
                spec:
                  podSelector: {matchLabels: {role: server-2}}
                  ingress:
                  - ports: [{port: 8080, protocol: TCP}]
                """
            let file = "\(lab.plan.manifestFolder(of: lab.plan.nodes[0]))/other.yaml"
            try LabFolder.write(policy, to: file)
            let output = "\(lab.plan.stateFolder)/test.jsonl"
            let process = try Self.start(lab, output)
            #expect(try await process.wait(atMost: .seconds(120)) == .exited(1))
            let failed = try Self.results(output).filter { $0.outcome != .passed }
            let direct = failed.filter { $0.group.contains("-> alpha/server-2") }
            // Two clients, two families; single packets, full ones and fragments.
            #expect(direct.count == 12)
            for result in failed { #expect(result.check.hasPrefix("UDP"), "\(result)") }
            for result in direct {
                #expect(
                    result.evidence.contains {
                        $0.contains("NetworkPolicy") && $0.contains("streams-only")
                    },
                    "\(result)")
            }
            for result in failed where !direct.contains(result) {
                #expect(result.group.contains("a service of all clusters"), "\(result)")
            }
        }
    }

    @Test("a cut in the overlay fails what crosses it, with the reason, and nothing else")
    func cut() async throws {
        try await withLab(Self.twoClusters) { lab in
            try lab.sever(from: "alpha", to: "beta", port: UInt16(LabConfigurations.overlayPort))
            for (node, other) in [(lab.plan.nodes[0], "beta"), (lab.plan.nodes[2], "alpha")] {
                _ = try await awaiting("the verdict", atMost: .seconds(60)) {
                    try await lab.agent(of: node).clusters().contains {
                        $0.name == other && $0.verdict == .unreachable
                    } ? true : nil
                }
            }
            let (all, failed) = try await Self.failures(in: lab)
            let crossing = all.filter(Self.crosses)
            // Two servers each way in ten ways; the guarded from both sides, allowed and denied.
            #expect(crossing.count == 40 + 16)
            for result in crossing {
                // What beta sends arrives, and is denied as it should be.
                let arrives = result.group.hasPrefix("beta/stranger")
                let isExplained = result.evidence.contains { $0.contains("the underlay answers") }
                #expect((result.outcome == .passed) == arrives, "\(result)")
                #expect(arrives || isExplained, "\(result)")
            }
            for result in failed where !Self.crosses(result) {
                #expect(result.group.contains("a service of"), "\(result)")
            }
        }
    }

    /// From one cluster to an endpoint of the other.
    private static func crosses(_ result: ConnectivityResult) -> Bool {
        let ends = result.group.split(separator: " -> ")
        guard ends.count == 2, ends[1].contains("/") else { return false }
        return ends[0].prefix { $0 != "/" } != ends[1].prefix { $0 != "/" }
    }

    @Test("one node's agent is enough for its own endpoints, and for a server on another node")
    func node() async throws {
        try await withLab(Self.twoClusters) { lab in
            func socket(_ node: LabPlan.Node) -> String {
                "\(lab.plan.runFolder(of: node))/weft.sock"
            }
            let printed = "\(lab.plan.stateFolder)/serve.txt"
            let server = try LabProcess(
                [
                    try weftProgram(), "connectivity", "serve", "--socket",
                    socket(lab.plan.nodes[2]),
                ], output: printed, environment: [:])
            let options = try await awaiting("the server's addresses", atMost: .seconds(20)) {
                let words = try LabFolder.read(printed).split(whereSeparator: \.isWhitespace)
                return words.count >= 7 ? words.dropFirst(3).map(String.init) : nil
            }
            _ = try await awaiting("alpha to know the server", atMost: .seconds(10)) {
                try await lab.agent(of: lab.plan.nodes[0]).endpoints().contains {
                    $0.addresses.contains(options[1]) && $0.state == .done
                } ? true : nil
            }
            let output = "\(lab.plan.stateFolder)/test.jsonl"
            let process = try LabProcess(
                [
                    try weftProgram(), "connectivity", "test", "-o", "json", "--socket",
                    socket(lab.plan.nodes[0]),
                ] + options, output: output, environment: [:])
            let ending = try await process.wait(atMost: .seconds(60))
            let text = try LabFolder.read(output)
            #expect(ending == .exited(0), "\(text.suffix(1000))")
            let groups = Set(try Self.results(output).map(\.group))
            #expect(groups.contains("alpha/client -> alpha/server-1 (same node)"))
            #expect(groups.contains("alpha/client -> beta/server-2 (another cluster)"))
            try server.signal(SIGTERM)
            #expect(try await server.wait(atMost: .seconds(20)) == .exited(0))
            let names = try NetworkNamespace.names().filter { $0.hasPrefix("weft-connectivity-") }
            #expect(names == [])
            #expect(try await Self.leftovers(lab) == [])
        }
    }

    @Test("interrupted or killed half-way, and run twice at a time, it leaves nothing")
    func interrupted() async throws {
        try await withLab(Self.twoClusters) { lab in
            let output = "\(lab.plan.stateFolder)/test.jsonl"
            func begin() async throws -> LabProcess {
                let process = try Self.start(lab, output)
                _ = try await awaiting("the first check", atMost: .seconds(30)) {
                    try Self.results(output).contains { $0.group.contains("/server-") } ? true : nil
                }
                return process
            }
            var process = try await begin()
            let second = "\(lab.plan.stateFolder)/second.jsonl"
            let other = try Self.start(lab, second)
            #expect(try await other.wait(atMost: .seconds(30)) == .exited(1))
            #expect(try LabFolder.read(second).contains("another connectivity test is running"))
            try process.signal(SIGINT)
            #expect(try await process.wait(atMost: .seconds(30)) == .exited(1))
            #expect(try LabFolder.read(output).contains("interrupted"))
            #expect(try await Self.leftovers(lab) == [])

            // Killed, it leaves what the next one removes.
            try LabFolder.remove(output)
            process = try await begin()
            try process.signal(SIGKILL)
            _ = try await process.wait(atMost: .seconds(30))
            #expect(try await Self.leftovers(lab) != [])
            process = try Self.start(lab, output)
            #expect(try await process.wait(atMost: .seconds(60)) == .exited(0))
            #expect(try await Self.leftovers(lab) == [])
        }
    }
}
