// SPDX-License-Identifier: Apache-2.0

import APIServerDouble
import Logging
import MeshKubernetes
import MeshModel
import Testing

@testable import MeshAgent

/// A node alone whose objects come from an API server's double over sockets, by the very service that
/// an agent has; its time is the world's.
actor ServedNode: ObjectSink {
    private let world: World
    private(set) var pods: [ObjectName: PodManifest]?
    private(set) var handedOver = 0
    private let id = World.id(1, "a")

    init() throws {
        world = try World(clusters: 1, nodesPerCluster: 1, hasServers: true)
        // The world's own server never answers.
        world.servers[1]?.isDown = true
        try world.run(for: .seconds(2))
    }

    var wantsObjects: Bool { world.core(1, "a").wantsObjects(at: world.now) }

    var objectRules: ObjectClaims.Rules {
        ObjectClaims.Rules(
            charter: Charter(podPrefixes: [Prefix("10.1.0.0/16")!, Prefix("fd00:1::/48")!]),
            peers: [.init(name: "beta", podPrefixes: [Prefix("10.2.0.0/16")!])])
    }

    var wantsNodes: Bool { world.core(1, "a").wantsNodes }

    func setNodes(_ nodes: [String: MemberRecord]) {
        world.act(id) { $0.setSeeds(nodes, into: &$1) }
    }

    var configuration: AgentConfiguration { world.node(1, "a").configuration }

    var members: [String] {
        world.core(1, "a").members.map { "\($0.name) \($0.address)" }
    }

    func setPods(_ pods: [ObjectName: PodManifest]) { self.pods = pods }

    func setObjects(_ changes: [RecordKey: [UInt8]?]) {
        handedOver += 1
        world.act(id) { $0.setObjects(changes, at: world.now, into: &$1) }
    }

    func dropObjects() {
        world.act(id) { $0.dropObjects(into: &$1) }
    }

    func frontend(_ address: String, port: UInt16 = 80) -> [String]? {
        world.frontend(1, "a", address, port: port)
    }

    /// Lets the node's time pass.
    func run(for duration: Duration, watching: () throws -> Void = {}) throws {
        try world.run(for: duration, watching: watching)
    }

    /// The node's time passes, nobody speaks, and this frontend stays what it is at every step.
    func expectUnchanged(_ address: String, for duration: Duration) throws {
        let before = world.frontend(1, "a", address)
        try world.run(for: duration) { #expect(world.frontend(1, "a", address) == before) }
    }
}

/// Looks until it is so, at most 30 s.
func eventually(
    _ what: String, _ condition: () async throws -> Bool
) async throws {
    let end = ContinuousClock.now + .seconds(30)
    while try await !condition() {
        try #require(ContinuousClock.now < end, "\(what) never happened")
        try await Task.sleep(for: .milliseconds(5))
    }
}

extension APIServerDouble {
    /// Answers without a socket.
    @discardableResult
    func take(_ request: ObjectRequest) throws(KubernetesError) -> [UInt8] {
        let asked = DoubleRequest(
            request.method.rawValue, request.target, contentType: request.contentType,
            body: request.body)
        guard case .answer(let answer) = change({ $0.handle(asked) }), answer.status < 300 else {
            throw KubernetesError(.alreadyExists, "refused")
        }
        return answer.body
    }

    /// Serves while `body` runs.
    func serving(_ body: (KubernetesClient) async throws -> Void) async throws {
        try await withThrowingTaskGroup { group in
            group.addTask { try await self.run() }
            try await eventually("the server") { self.port != nil }
            let client = try KubernetesClient(
                KubernetesConfiguration(
                    server: "http://127.0.0.1:\(try #require(port))", authorities: nil,
                    credentials: .none))
            try await body(client)
            client.close()
            group.cancelAll()
        }
    }
}
