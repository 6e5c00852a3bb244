// SPDX-License-Identifier: Apache-2.0

import MeshModel
import Synchronization
import Testing

@testable import MeshAdmin

@Suite("Containers, over the administration socket")
struct ContainerTests {
    private static let request = ContainerRequest(
        key: .fixture, network: "weft", namespace: "shop", name: "web-0", uid: "0-1",
        namespacePath: "/run/netns/cni-1", addresses: ["10.1.0.9"])

    @Test("every question reaches the agent as it was asked")
    func asking() async throws {
        try await Harness.run { harness async throws in
            let agent = harness.administration
            #expect(try await agent.attach(Self.request) == .fixture)
            try await agent.detach(ContainerKey.fixture)
            let check = ContainerCheck(key: .fixture, addresses: ["10.1.0.9"])
            try await agent.check(check)
            // More than other requests may be: a list of what a node has.
            let garbage = ContainerGarbage(
                network: "weft",
                valid: (0..<5000).map { ContainerKey(container: "c\($0)", interface: "eth0") })
            #expect(try await agent.collectGarbage(garbage).detached == [.fixture])
            #expect(try await agent.readiness().obstacles == ["not yet"])
            let asked = harness.agent.asked.withLock { $0 }
            #expect(asked.containers == [Self.request] && asked.checks == [check])
            #expect(asked.detachedContainers == [.fixture] && asked.garbage == [garbage])
        }
    }

    @Test("what is no pod, or nowhere, is refused")
    func wrong() async throws {
        try await Harness.run { harness async throws in
            for (name, code) in [("Web", AdminFault.Code.invalidRequest), ("ghost", .notFound)] {
                let request = Self.request.renamed(name)
                let fault = await #expect(throws: AdminFault.self) {
                    try await harness.administration.attach(request)
                }
                #expect(fault?.code == code)
            }
            let large = ContainerGarbage(
                network: String(repeating: "n", count: AdminServer.garbageBytesMaximum), valid: [])
            let fault = await #expect(throws: AdminFault.self) {
                try await harness.administration.collectGarbage(large)
            }
            #expect(fault?.code == .tooLarge)
        }
    }

    @Test("nobody else may ask, not even whether the agent is ready")
    func readOnly() async throws {
        try await Harness.run { harness async throws in
            let reading = harness.reading
            let questions: [@Sendable () async throws -> Void] = [
                { _ = try await reading.attach(Self.request) },
                { try await reading.detach(ContainerKey.fixture) },
                { try await reading.check(ContainerCheck(key: .fixture, addresses: [])) },
                { _ = try await reading.collectGarbage(.init(network: "n", valid: [])) },
                { _ = try await reading.readiness() },
            ]
            for question in questions {
                let fault = await #expect(throws: AdminFault.self) { try await question() }
                #expect(fault?.code == .forbidden)
            }
            let asked = harness.agent.asked.withLock { $0 }
            #expect(asked.containers.isEmpty && asked.garbage.isEmpty)
        }
    }
}

extension ContainerRequest {
    fileprivate func renamed(_ name: String) -> ContainerRequest {
        var request = self
        request.name = name
        return request
    }
}

extension ContainerKey {
    static let fixture = ContainerKey(container: "c0ffee", interface: "eth0")
}

extension ContainerInterface {
    static let fixture = ContainerInterface(
        hostInterface: "weft0", hardwareAddress: "02:00:00:00:00:07", mtu: 1450,
        assignments: [.init(address: "10.1.0.9", gateway: "169.254.1.1")])
}
