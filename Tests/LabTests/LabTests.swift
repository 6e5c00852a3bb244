// SPDX-License-Identifier: Apache-2.0

import MeshAdmin
import Testing

@testable import MeshLab

/// Real agents, a real kernel, real connections. One lab at a time: the machine is small.
@Suite(.tags(.lab), .serialized) struct LabTests {
    @Test("a global service is reached over both families and transports, in all clusters")
    func reach() async throws {
        try await withLab { lab in
            let urls = [
                "http://10.201.0.10/", "http://[fd00:201::a]/", "udp://10.201.0.10:7",
                "udp://[fd00:201::a]:7",
            ]
            for url in urls {
                let records = try await lab.load(
                    from: "alpha/client", url, for: .seconds(1), "--interval", "5ms")
                #expect(records.count > 100, "\(url)")
                #expect(records.failures.isEmpty, "\(url): \(records.failures.prefix(3))")
                #expect(Set(records.shares.keys) == ["alpha", "beta", "gamma"], "\(url)")
                #expect(Set(records.compactMap(\.endpoint)) == ["web-1", "web-2"], "\(url)")
            }
        }
    }

    @Test("affinity keeps to the own cluster or to the others, and a session to one backend")
    func affinity() async throws {
        var file = LabFile.builtIn
        let kinds = [("near", "local", 0), ("far", "remote", 0), ("sticky", "none", 60)]
        for (name, affinity, seconds) in kinds {
            file.services?.append(
                LabFile.Service(
                    name: name, namespace: "demo", selector: ["app": "web"],
                    ports: [LabFile.Port(port: 80, targetPort: 8080)], affinity: affinity,
                    sessionAffinitySeconds: seconds))
        }
        try await withLab(file) { lab in
            func shares(_ number: Int) async throws -> [LoadRecord] {
                let records = try await lab.load(
                    from: "alpha/client", "http://10.201.0.\(number)/", for: .seconds(1),
                    "--interval", "5ms")
                #expect(records.failures.isEmpty && records.count > 100)
                return records
            }
            #expect(Set(try await shares(11).shares.keys) == ["alpha"])
            #expect(Set(try await shares(12).shares.keys) == ["beta", "gamma"])
            let sticky = try await shares(13)
            #expect(Set(sticky.map { "\($0.cluster ?? "")/\($0.endpoint ?? "")" }).count == 1)
        }
    }

    @Test("a cluster that dies is left at once, nothing hangs, and it gets its share back")
    func failover() async throws {
        try await withLab { lab in
            let load = try lab.startLoad(
                from: "alpha/client", "http://10.201.0.10/",
                // Once in 64,000 runs none of so many is at one of three clusters.
                ["--interval", "5ms", "--talkers", "4", "--idlers", "30"])
            for cluster in ["alpha", "beta", "gamma"] {
                for kind in [LoadRecord.Kind.idle, .request] {
                    _ = try await load.await("\(kind) at \(cluster)", atMost: .seconds(10)) {
                        $0.kind == kind && $0.cluster == cluster
                    }
                }
            }
            let idlers = try load.records().filter { $0.kind == .idle && $0.cluster == "beta" }
            let node = lab.plan.nodes[0]
            #expect(try page(of: node, "/").contains("<title>Weft</title>"))
            #expect(try pageState(of: node).clusters.map(\.verdict) == [.up, .up, .up])
            let blow = try lab.kill("beta")
            #expect(blow.ended - blow.began < 100_000_000)
            let end = blow.ended + 3_000_000_000
            _ = try await load.await("three seconds more", atMost: .seconds(10)) {
                $0.kind == .request && $0.end > end
            }
            let after = try load.records().filter { $0.end > blow.began }
            let failures = after.failures
            // The promise is 0.9 s (scripts/bench failover measures it); a test's machine is busy.
            #expect(failures.allSatisfy { $0.start < blow.began + 2_000_000_000 })
            #expect(!failures.contains { $0.outcome == .timeout })
            #expect(failures.count { $0.kind == .idle } == idlers.count)
            #expect(
                !after.contains { $0.cluster == "beta" && $0.start > blow.began + 2_000_000_000 })

            let shown = try pageState(of: node)
            #expect(shown.clusters.map(\.name) == ["alpha", "beta", "gamma"])
            #expect(shown.clusters.map(\.verdict) == [.up, .unreachable, .up])
            #expect(shown.agent.health.reasons.contains("cluster beta is unreachable"))
            // What leaves the mesh isn't the load's.
            let traffic = try #require(shown.traffic)
                .filter { $0.from?.name == "alpha" && $0.to != nil }
            #expect(Set(traffic.compactMap(\.to?.name)) == ["alpha", "beta", "gamma"])
            let isCounted = traffic.allSatisfy { $0.opened > 0 && $0.closed > 0 && $0.bytes > 0 }
            #expect(isCounted, "\(traffic)")
            let services = try page(of: node, "/v1/page/services?find=web")
            #expect(services.contains("\"10.201.0.10\"") && services.contains("\"matching\":"))

            let returned = try await lab.revive("beta")
            _ = try await load.await("an answer from beta", atMost: .seconds(30)) {
                $0.kind == .request && $0.cluster == "beta" && $0.start > returned.began
            }
            #expect(try load.records().filter { $0.start > end }.failures.isEmpty)
        }
    }

    @Test("a draining cluster gets nothing new, nobody fails, and it can be taken back")
    func drain() async throws {
        try await withLab { lab in
            let load = try lab.startLoad(
                from: "alpha/client", "http://10.201.0.10/",
                ["--interval", "5ms", "--talkers", "4"])
            _ = try await load.await("an answer from gamma", atMost: .seconds(10)) {
                $0.cluster == "gamma"
            }
            let moment = try await lab.drain("gamma")
            let end = moment.ended + 2_000_000_000
            _ = try await load.await("two seconds more", atMost: .seconds(10)) {
                $0.kind == .request && $0.end > end
            }
            let late = try load.records().filter {
                $0.kind == .request && $0.start > moment.ended + 1_000_000_000
            }
            #expect(!late.isEmpty && Set(late.shares.keys) == ["alpha", "beta"])
            #expect(try load.records().failures.isEmpty)

            let back = try await lab.drain("gamma", false)
            _ = try await load.await("an answer from gamma again", atMost: .seconds(30)) {
                $0.kind == .request && $0.cluster == "gamma" && $0.start > back.ended
            }
            #expect(try load.records().failures.isEmpty)
        }
    }

    @Test(
        "an agent restarts under load, killed or ended, and nobody notices",
        arguments: [false, true])
    func restart(_ orderly: Bool) async throws {
        try await withLab { lab in
            let node = lab.plan.nodes[0]
            let observer = lab.agent(of: lab.plan.clusters[1].nodes[0])
            let before = try await observer.clusters().first { $0.name == "alpha" }
            let load = try lab.startLoad(
                from: "alpha/client", "http://10.201.0.10/",
                ["--interval", "5ms", "--talkers", "4", "--idlers", "6", "--timeout", "1s"])
            _ = try await load.await("an answer from beta", atMost: .seconds(10)) {
                $0.cluster == "beta"
            }
            let moment = try await lab.endAgents("alpha/\(node.name)", orderly: orderly)
            _ = try await load.await("an answer without an agent", atMost: .seconds(10)) {
                $0.start > moment.ended && $0.kind == .request && $0.outcome == .ok
            }
            try await lab.startAgents(of: [node])
            try await lab.converge([node])
            let end = Lab.now() + 1_000_000_000
            _ = try await load.await("a second more", atMost: .seconds(10)) {
                $0.kind == .request && $0.end > end
            }
            let failures = try load.records().failures
            #expect(failures.isEmpty, "\(moment): \(failures)")
            if !orderly {
                let after = try await observer.clusters().first { $0.name == "alpha" }
                #expect(after?.generation == before?.generation && after?.verdict == .up)
            }
            let endpoints = try await lab.agent(of: node).endpoints().filter(\.isLocal)
            #expect(Set(endpoints.map(\.name)) == ["web-1", "client"])
        }
    }

    @Test(
        "a UDP client is sent elsewhere when its cluster dies", arguments: ["--unconnected", nil])
    func datagrams(_ flag: String?) async throws {
        var file = LabFile.builtIn
        file.services?[0].affinity = "remote"
        try await withLab(file) { lab in
            let load = try lab.startLoad(
                from: "alpha/client", "udp://10.201.0.10:7",
                ["--talkers", "1", "--talk-interval", "20ms", "--timeout", "500ms"]
                    + [flag].compactMap(\.self))
            let first = try await load.await("an answer", atMost: .seconds(10)) {
                $0.outcome == .ok
            }
            let cluster = try #require(first.cluster)
            let blow = try lab.kill(cluster)
            let second = try await load.await("an answer from elsewhere", atMost: .seconds(10)) {
                $0.outcome == .ok && $0.start > blow.ended && $0.cluster != cluster
            }
            #expect(second.start < blow.began + 4_000_000_000)
        }
    }

    @Test("a changed manifest takes effect; a broken one is reported and changes nothing")
    func manifests() async throws {
        try await withLab { lab in
            let node = lab.plan.clusters[1].nodes[0]
            let file = "\(lab.plan.manifestFolder(of: node))/service-demo-web.yaml"
            let text = try LabFolder.read(file)
            try LabFolder.write("apiVersion: v1\nkind: Service\nmetadata: [", to: file)
            _ = try await awaiting("the broken file in the status", atMost: .seconds(10)) {
                try await lab.agent(of: node).status().manifestProblems.first
            }
            let before = try await lab.load(
                from: "alpha/client", "http://10.201.0.10/", for: .seconds(1), "--interval", "5ms")
            #expect(before.failures.isEmpty && before.shares["beta", default: 0] > 0)

            try LabFolder.write(
                text.split(separator: "\n", omittingEmptySubsequences: false)
                    .map { $0.contains("cilium.io/global") ? "  annotations: {}" : $0 }
                    .joined(separator: "\n"), to: file)
            let client = lab.agent(of: lab.plan.nodes[0])
            _ = try await awaiting("beta's backends to go", atMost: .seconds(10)) {
                let rows = try await client.services().filter { $0.address == "10.201.0.10" }
                let clusters = Set(rows.flatMap { $0.slices.map(\.cluster.name) })
                return clusters == ["alpha", "gamma"] ? true : nil
            }
            let after = try await lab.load(
                from: "alpha/client", "http://10.201.0.10/", for: .seconds(1), "--interval", "5ms")
            #expect(after.failures.isEmpty && Set(after.shares.keys) == ["alpha", "gamma"])
        }
    }
}
