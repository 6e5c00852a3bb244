// SPDX-License-Identifier: Apache-2.0

import MeshDatapath
import MeshKubernetes
import MeshModel
import MeshStore
import Testing

@testable import MeshAgent

/// One service in three clusters, each with its own cluster IP and `backends` at 10.CLUSTER.0.x.
private func echo(in world: World, backends: [UInt16: Int] = [1: 2, 2: 1, 3: 2]) throws {
    for (number, count) in backends.sorted(by: { $0.key < $1.key }) {
        let endpoints = (1...count).map { at("10.\(number).0.\($0)") }.joined(separator: ", ")
        try world.write(number, service(ip: "10.96.0.\(number)") + slice(endpoints))
    }
}

@Suite("From manifests in three clusters to the kernel's maps")
struct ServiceScenarios {
    @Test("a global service is one service: its backends of all clusters, at every node")
    func global() throws {
        let world = try World()
        try echo(in: world)
        try world.run(for: .seconds(2))
        for (number, name) in world.everyNode {
            #expect(
                world.frontend(number, name, "10.96.0.\(number)") == [
                    "0.1*255 10.1.0.1:8080@a 10.1.0.2:8080@a", "0.2*128 10.2.0.1:8080@a",
                    "0.3*255 10.3.0.1:8080@a 10.3.0.2:8080@a",
                ], "\(number)/\(name)")
            #expect(world.core(number, name).isComplete)
            let others = world.everyNode.map(\.number).filter { $0 != number }
            #expect(world.core(number, name).tables.clustersInUse == Set(others.map(cluster)))
            // Nobody serves another cluster's cluster IP.
            #expect(world.frontend(number, name, "10.96.0.\(number % 3 + 1)") == nil)
        }
    }

    @Test(
        "affinity orders the clusters",
        arguments: [
            ("none", ["0.1*255", "0.2*255", "0.3*255"]),
            ("local", ["0.1*255", "1.2*255", "1.3*255"]),
            ("remote", ["0.2*255", "0.3*255", "1.1*255"]),
        ])
    func affinity(affinity: String, tiers: [String]) throws {
        let world = try World()
        for number in UInt16(1)...3 {
            try world.write(
                number,
                service(affinity: number == 1 ? affinity : "none") + slice(at("10.\(number).0.1")))
        }
        try world.run(for: .seconds(2))
        for name in ["a", "b"] {
            let story = try #require(world.frontend(1, name))
            #expect(story.map { String($0.prefix { $0 != " " }) } == tiers)
            // Affinity is each cluster's own choice.
            #expect(world.frontend(2, name)?.allSatisfy { $0.hasPrefix("0.") } == true)
        }
        #expect(
            world.core(1, "b").tables.affinities[ObjectName(namespace: "default", name: "echo")]
                == ServiceAffinity(rawValue: affinity))
    }

    @Test("a file that appears, changes or goes takes effect at every node by itself")
    func files() throws {
        let world = try World()
        try world.write(1, service() + slice(at("10.1.0.1")))
        try world.run(for: .seconds(2))
        #expect(world.frontend(1, "b") == ["0.1*255 10.1.0.1:8080@a"])

        // The second file comes from the other node of another cluster.
        try world.write(2, service() + slice(at("10.2.1.1", node: "b")), to: "echo.yaml", on: "b")
        try world.run(for: .milliseconds(200))
        #expect(world.frontend(1, "b")?.last == "0.2*255 10.2.1.1:8080@b")

        try world.write(
            2, service() + slice(at("10.2.1.1", node: "b"), at("10.2.1.2")), to: "echo.yaml",
            on: "b")
        try world.run(for: .milliseconds(200))
        #expect(
            world.frontend(1, "b") == [
                "0.1*128 10.1.0.1:8080@a", "0.2*255 10.2.1.1:8080@b 10.2.1.2:8080@a",
            ])

        try world.remove(2, file: "echo.yaml", on: "b")
        try world.run(for: .milliseconds(200))
        #expect(world.frontend(1, "b") == ["0.1*255 10.1.0.1:8080@a"])
        #expect(world.frontend(2, "a") == nil)

        try world.remove(1)
        try world.run(for: .milliseconds(200))
        for (number, name) in world.everyNode { #expect(world.frontend(number, name) == nil) }
    }

    @Test("a file that is broken, by line, keeps in force what it last said, everywhere")
    func brokenFile() throws {
        let world = try World()
        try echo(in: world)
        try world.run(for: .seconds(2))
        let before = world.frontend(2, "b", "10.96.0.2")
        let position = world.positions(of: 1)
        try world.write(1, service(ports: "[{name: http, port: 70000}]") + slice())
        try world.run(for: .seconds(1)) {
            #expect(world.frontend(2, "b", "10.96.0.2") == before)
        }
        #expect(world.positions(of: 1) == position, "nothing was said at all")
        let problem = try #require(world.node(1, "a").agent?.folder.snapshot.problems.first)
        #expect(problem.file == "all.yaml" && problem.line == 9)
        #expect(problem.message.contains("70000"))
        // Repaired, it says something new.
        try world.write(1, service() + slice(at("10.1.0.9")))
        try world.run(for: .milliseconds(200))
        #expect(world.frontend(2, "b", "10.96.0.2")?.first?.contains("10.1.0.9") == true)
    }

    @Test("a record that no ledger can carry is shown, keeps its last state and harms no other")
    func tooLarge() throws {
        let world = try World()
        try world.write(1, service() + slice(at("10.1.0.1")))
        try world.run(for: .seconds(2))
        let node = String(repeating: "n", count: 63)
        let many = (1...1000).map { at("10.1.\($0 / 250).\($0 % 250 + 1)", node: node) }
        try world.write(
            1,
            service() + slice(many.joined(separator: ", "))
                + service("other", ip: "10.96.0.2"))
        try world.run(for: .milliseconds(300))
        #expect(world.frontend(2, "b") == nil && world.frontend(1, "b", "10.96.0.2") != nil)
        #expect(world.frontend(1, "b") == ["0.1*255 10.1.0.1:8080@a"])
        let refusals = world.core(1, "a").refusals[cluster(1)] ?? [:]
        #expect(refusals.keys.sorted() == ["slice/default/echo-1"])
        #expect(refusals["slice/default/echo-1"]?.contains("split it") == true)

        try world.write(1, service() + slice(at("10.1.0.2")))
        try world.run(for: .milliseconds(300))
        #expect(world.frontend(1, "b") == ["0.1*255 10.1.0.2:8080@a"])
        #expect(world.core(1, "a").refusals[cluster(1)]?.isEmpty == true)
    }

    @Test("endpoints that aren't ready take nothing; terminating ones serve if nobody else does")
    func conditions() throws {
        let world = try World()
        try world.write(1, service())
        let terminating = at("10.2.0.3", "ready: false, serving: true, terminating: true")
        let unready = at("10.2.0.2", "ready: false, serving: false")
        try world.write(2, service() + slice(at("10.2.0.1"), unready, terminating))
        try world.run(for: .seconds(2))
        #expect(world.frontend(1, "b") == ["0.2*255 10.2.0.1:8080@a"])

        try world.write(
            2, service() + slice(at("10.2.0.1", "ready: false"), unready, terminating))
        try world.run(for: .milliseconds(200))
        #expect(world.frontend(1, "b") == ["0.2*255 10.2.0.3:8080@a"])

        try world.write(2, service() + slice(at("10.2.0.1", "ready: false"), unready))
        try world.run(for: .milliseconds(200))
        #expect(world.frontend(1, "b") == [], "the frontend is there and refuses")
    }

    @Test("several ports are matched by name and protocol, each with its own target")
    func ports() throws {
        let world = try World()
        let mine = "[{name: http, port: 80}, {name: dns, port: 53, protocol: UDP}]"
        // The same names in another order, with other numbers; dns over TCP is not dns over UDP.
        let theirs =
            "[{name: dns, port: 5353, protocol: UDP}, {name: http, port: 8000}, "
            + "{name: admin, port: 9}]"
        try world.write(1, service(ports: mine))
        try world.write(
            2,
            service(ip: "10.97.0.1", ports: theirs)
                + slice(
                    ports: "[{name: http, port: 8080}, {name: dns, port: 1053, protocol: UDP}]",
                    at("10.2.0.1")))
        try world.write(
            3,
            service(
                ip: "10.98.0.1", ports: "[{name: http, port: 80}, {name: dns, port: 53}]")
                + slice(
                    ports: "[{name: http, port: 8081}, {name: dns, port: 1053}]", at("10.3.0.1")))
        try world.run(for: .seconds(2))
        for name in ["a", "b"] {
            #expect(
                world.frontend(1, name) == [
                    "0.2*255 10.2.0.1:8080@a", "0.3*255 10.3.0.1:8081@a",
                ])
            #expect(
                world.frontend(1, name, port: 53, .udp) == ["0.2*255 10.2.0.1:1053@a"])
            #expect(world.frontend(1, name, port: 53, .tcp) == nil)
        }
    }

    @Test("a service that is not shared keeps its backends, one that is not global its clients")
    func sharing() throws {
        let world = try World()
        try echo(in: world)
        try world.write(3, service(ip: "10.96.0.3", global: false) + slice(at("10.3.0.1")))
        try world.run(for: .seconds(2))
        #expect(world.frontend(1)?.count == 2)
        #expect(world.frontend(3, "b", "10.96.0.3") == ["0.3*255 10.3.0.1:8080@a"])
    }

    @Test("session affinity arrives with its seconds")
    func sessions() throws {
        let world = try World(clusters: 2, nodesPerCluster: 1)
        try world.write(
            1,
            service(
                more: "sessionAffinity: ClientIP\n"
                    + "  sessionAffinityConfig: {clientIP: {timeoutSeconds: 90}}")
                + slice(at("10.1.0.1")))
        try world.run(for: .seconds(2))
        let reading = world.node(1, "a").datapath.service(
            FrontendKey(address: Address("10.96.0.1")!, port: 80, transport: .tcp))
        #expect(reading?.sessionAffinitySeconds == 90)
    }

    @Test("endpoints are known everywhere with one identity per set of labels")
    func identities() throws {
        let world = try World()
        world.attach(1, "a", "p", "10.1.0.5", labels: ["app": "echo", "pod-template-hash": "1"])
        world.attach(1, "b", "q", "10.1.1.5", labels: ["app": "echo", "pod-template-hash": "2"])
        world.attach(1, "b", "r", "10.1.1.6", labels: ["app": "other"])
        // Labels of the manifest are the endpoint's own.
        try world.write(1, pod("r", "{app: echo}"), to: "pod.yaml", on: "b")
        try world.run(for: .seconds(2))
        for (number, name) in world.everyNode {
            let rows = ["10.1.0.5", "10.1.1.5", "10.1.1.6"].compactMap {
                world.row(number, name, $0)
            }
            #expect(rows.map(\.identity.local) == [256, 256, 256], "\(number)/\(name)")
            #expect(rows.map(\.node.name) == ["a", "b", "b"])
            #expect(world.endpoints(number, name) == ["10.1.0.5", "10.1.1.5", "10.1.1.6"])
            #expect(rows.map { $0.local != nil } == rows.map { $0.node == World.id(number, name) })
            let labels = world.core(number, name).store.read { $0.identities.rows.map(\.labels) }
            #expect(labels.map { $0["app"] } == ["echo"])
        }
        world.detach(1, "a", "p")
        world.detach(1, "b", "q")
        world.detach(1, "b", "r")
        try world.run(for: .milliseconds(300))
        for (number, name) in world.everyNode {
            #expect(world.endpoints(number, name) == [])
            #expect(world.core(number, name).store.read { $0.identities.count } == 1, "for a while")
        }
        try world.run(for: Publisher.idleGrace + .seconds(2))
        for (number, name) in world.everyNode {
            #expect(world.core(number, name).store.read { $0.identities.isEmpty })
        }
    }
}
