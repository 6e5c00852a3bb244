// SPDX-License-Identifier: Apache-2.0

import MeshAdmin
import Testing

@testable import MeshLab

extension LabTests {
    @Test("a cluster that says it is full gets few of the new connections, and nobody fails")
    func capacity() async throws {
        try await withLab { lab in
            for node in try lab.plan.nodes(matching: "beta") {
                try LabFolder.write("8 7.96\n", to: lab.plan.capacityFile(of: node))
            }
            let observers = try lab.plan.nodes(matching: "alpha") + lab.plan.nodes(matching: "beta")
            for node in observers {
                let agent = lab.agent(of: node)
                _ = try await awaiting("a low weight at \(node.name)", atMost: .seconds(60)) {
                    try await agent.clusters().first { $0.name == "beta" && $0.weight <= 64 }
                }
            }
            let agent = lab.agent(of: observers[0])
            let clusters = try await agent.clusters()
            let beta = try #require(clusters.first { $0.name == "beta" })
            #expect(beta.verdict == .up && beta.weight > 0)
            #expect(try #require(beta.capacity).weightShare < 0.26)
            #expect(clusters.allSatisfy { $0.name == "beta" || $0.weight == 255 })
            #expect(try await agent.why("beta").events.contains { $0.text.contains("99 %") })

            let records = try await lab.load(
                from: "alpha/client", "http://10.201.0.10/", for: .seconds(3), "--interval", "5ms")
            #expect(records.failures.isEmpty)
            let shares = records.shares
            // A quarter at most of what it had, which was a third.
            #expect(shares["beta", default: 0] > 0)
            #expect(shares["beta", default: 0] * 2 < shares["gamma", default: 0], "\(shares)")
            #expect(shares["beta", default: 0] * 2 < shares["alpha", default: 0], "\(shares)")
            print("new connections by cluster: \(shares)")
        }
    }
}
