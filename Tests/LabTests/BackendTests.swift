// SPDX-License-Identifier: Apache-2.0

import MeshAdmin
import Netlink
import Testing

@testable import MeshLab

extension LabTests {
    /// What befalls one backend while its node and everything else goes on.
    enum Mishap: String, CaseIterable, Sendable {
        /// Its process is killed: the port is closed.
        case killed
        /// Its address is another's: nothing answers.
        case unreachable
    }

    @Test(
        "a backend that dies while its node lives is left, probed, and used again",
        arguments: Mishap.allCases)
    func backend(_ mishap: Mishap) async throws {
        try await withLab { lab in
            let victim = "beta/web-1"
            let (cluster, endpoint) = try lab.plan.endpoint(matching: victim)
            let address = try #require(endpoint.addresses.first)
            let load = try lab.startLoad(
                from: "alpha/client", "http://10.201.0.10/",
                ["--interval", "5ms", "--timeout", "5s"])
            func isFromVictim(_ record: LoadRecord) -> Bool {
                record.cluster == "beta" && record.endpoint == "web-1"
            }
            _ = try await load.await("an answer of the victim", atMost: .seconds(10), isFromVictim)

            let began = Lab.now()
            switch mishap {
            case .killed: try CgroupKiller(lab.cgroup.endpoint(endpoint, in: cluster)).kill()
            case .unreachable: try move(address, to: "203.0.113.1", in: endpoint)
            }
            let node = try #require(
                lab.plan.cluster(named: "alpha").endpoints.first { $0.name == "client" }?.node)
            let agent = lab.agent(of: try #require(lab.plan.nodes(matching: "alpha/\(node)").first))
            func status() async throws -> BackendStatus? {
                try await agent.services().flatMap { $0.transport == "TCP" ? $0.slices : [] }
                    .flatMap(\.backends).first { $0.address == address }
            }
            let quarantine = try await awaiting("the quarantine", atMost: .seconds(15)) {
                try await status()?.quarantine
            }
            let found = Lab.now()
            #expect(quarantine.reason.contains("connections without an answer"))
            let end = found + 6_000_000_000
            _ = try await load.await("six seconds more", atMost: .seconds(15)) { $0.end > end }
            let failures = try load.records().failures
            #expect(!failures.isEmpty)
            // The promise is 3 s; a test's machine is busy.
            #expect(failures.allSatisfy { $0.start < began + 5_000_000_000 })
            print(
                "\(mishap): quarantined after \((found - began) / 1_000_000) ms, last failure began "
                    + "at \(((failures.map(\.start).max() ?? began) - began) / 1_000_000) ms, "
                    + "\(failures.count) failed")

            // The next agent goes on with it.
            let home = try #require(lab.plan.nodes(matching: "alpha/\(node)").first)
            try await lab.endAgents("alpha/\(node)")
            try await lab.startAgents(of: [home])
            try await lab.converge([home])
            let settled = Lab.now() + 1_000_000_000
            _ = try await load.await("a second more", atMost: .seconds(10)) { $0.end > settled }
            #expect(try await status()?.quarantine != nil)
            #expect(try load.records().failures.allSatisfy { $0.start < began + 5_000_000_000 })

            switch mishap {
            case .killed:
                _ = try lab.start(try #require(endpoint.command), in: victim)
            case .unreachable: try move("203.0.113.1", to: address, in: endpoint)
            }
            let back = Lab.now()
            let answer = try await load.await("the victim's answer", atMost: .seconds(30)) {
                isFromVictim($0) && $0.start > back
            }
            print("\(mishap): answers again after \((answer.end - back) / 1_000_000) ms")
            #expect(try await status()?.quarantine == nil)
            #expect(try load.records().filter { $0.start > back }.failures.isEmpty)
        }
    }

    /// Gives the workload's link another address first: without any its routes would go.
    private func move(
        _ old: String, to new: String, in endpoint: LabPlan.Endpoint
    ) throws {
        var socket = try RouteSocket(in: NetworkNamespace(named: endpoint.namespace))
        let link = try #require(try socket.link(named: "eth0"))
        func address(_ text: String) throws -> InterfaceAddress {
            InterfaceAddress(
                interface: link.index, address: try #require(NetworkAddress(text)),
                prefixLength: 32)
        }
        try socket.add(address(new))
        try socket.delete(address(old))
    }
}
