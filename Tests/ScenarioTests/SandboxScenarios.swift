// SPDX-License-Identifier: Apache-2.0

import MeshDatapath
import MeshModel
import MeshStore
import Testing

@testable import MeshAgent

private func pod(_ app: String, uid: String? = nil, phase: String = "Running") -> String {
    """
    apiVersion: v1
    kind: Pod
    metadata: {name: web, labels: {app: \(app)}\(uid.map { ", uid: \($0)" } ?? "")}
    status: {phase: \(phase)}
    """
}

@Suite("Containers whose labels only their pods say")
struct SandboxScenarios {
    private let first = Sandbox(container: "c1", podUID: "0-1")

    private func labels(_ world: World, _ number: UInt16, _ name: String) -> Labels? {
        let core = world.core(number, name)
        guard let row = world.row(number, name, "10.1.0.2") else { return nil }
        return core.store.read { $0.identities[row.identity]?.labels }
    }

    @Test("are isolated and nobody hears of them before; then they are as any endpoint")
    func late() throws {
        let world = try World()
        world.attach(1, "a", "web", "10.1.0.2", as: first)
        try world.run(for: .seconds(2))
        let row = try #require(world.row(1, "a", "10.1.0.2"))
        #expect(row.identity.reserved == .initializing && row.workload == nil)
        #expect(row.local?.ifindex == 7)
        // Without a row in the kernel it reaches nobody, and nobody it.
        #expect(!world.endpoints(1).contains("10.1.0.2"))
        for (number, name) in world.everyNode where (number, name) != (1, "a") {
            #expect(world.row(number, name, "10.1.0.2") == nil)
        }

        try world.write(1, pod("web", uid: "0-1"))
        try world.run(for: .seconds(2))
        for (number, name) in world.everyNode {
            #expect(labels(world, number, name)?["app"] == "web", "\(number)/\(name)")
            #expect(world.endpoints(number, name).contains("10.1.0.2"))
        }
        #expect(world.row(1, "a", "10.1.0.2")?.workload?.labels["app"] == "web")

        world.detach(1, "a", "web")
        try world.run(for: .seconds(2))
        for (number, name) in world.everyNode {
            #expect(world.row(number, name, "10.1.0.2") == nil)
            #expect(!world.endpoints(number, name).contains("10.1.0.2"))
        }
    }

    @Test("leave no row if they go before their pod is known")
    func gone() throws {
        let world = try World(clusters: 1)
        world.attach(1, "a", "web", "10.1.0.2", as: first)
        try world.run(for: .seconds(1))
        world.detach(1, "a", "web")
        try world.run(for: .seconds(1))
        #expect(world.row(1, "a", "10.1.0.2") == nil)
    }

    @Test("stay what they were when their pod ends first; the next container isn't that")
    func ended() throws {
        let world = try World()
        try world.write(1, pod("web", uid: "0-1"))
        world.attach(1, "a", "web", "10.1.0.2", as: first)
        try world.run(for: .seconds(2))
        #expect(labels(world, 2, "b")?["app"] == "web")
        try world.write(1, pod("web", uid: "0-1", phase: "Succeeded"))
        try world.run(for: .seconds(1))
        #expect(labels(world, 2, "b")?["app"] == "web")

        // Another container of the name, with the same address: of its pod nothing is known.
        world.attach(
            1, "a", "web", "10.1.0.2", as: Sandbox(container: "c2", podUID: "0-2"))
        try world.run(for: .seconds(2))
        #expect(world.row(1, "a", "10.1.0.2")?.identity.reserved == .initializing)
        #expect(world.row(2, "b", "10.1.0.2") == nil)
        try world.write(1, pod("db", uid: "0-2"))
        try world.run(for: .seconds(2))
        #expect(labels(world, 2, "b")?["app"] == "db")
    }

    @Test(
        "don't take an object of the pod's name with another UID for it",
        arguments: [("0-1", true), ("0-9", false), (nil, true)] as [(String?, Bool)])
    func otherUID(_ uid: String?, _ counts: Bool) throws {
        let world = try World(clusters: 1)
        try world.write(1, pod("web", uid: uid))
        world.attach(1, "a", "web", "10.1.0.2", as: first)
        try world.run(for: .seconds(2))
        #expect(world.endpoints(1).contains("10.1.0.2") == counts)
    }
}
