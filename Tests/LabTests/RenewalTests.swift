// SPDX-License-Identifier: Apache-2.0

import MeshAdmin
import Testing

@testable import MeshLab

@Suite(.tags(.lab), .serialized) struct RenewalTests {
    /// Seconds since each peer of a node was linked.
    private func links(_ lab: Lab, of node: LabPlan.Node) async throws -> [String: Double] {
        try await lab.agent(of: node).status().links.filter { $0.state == .connected }
            .reduce(into: [:]) { $0[$1.peer] = $1.sinceSeconds }
    }

    /// The serial number of a node's own certificate.
    private func serial(_ lab: Lab, of node: LabPlan.Node) async throws -> String? {
        try await lab.agent(of: node).trustStatus().certificates
            .first { $0.kind == .node }?.serial
    }

    @Test("certificates of a minute and a half are renewed twice, and no stream is made anew")
    func renewals() async throws {
        var file = LabFile.builtIn
        file.clusters.removeLast()
        for index in file.clusters.indices {
            file.clusters[index].nodes = .count(2)
            file.clusters[index].certificateSeconds = 90
        }
        try await withLab(file) { lab in
            let nodes = lab.plan.nodes
            for node in nodes {
                _ = try await awaiting("links of \(node.name)", atMost: .seconds(30)) {
                    try await links(lab, of: node).count == nodes.count - 1 ? true : nil
                }
            }
            let load = try lab.startLoad(
                from: "alpha/client", "http://10.201.0.10/", ["--interval", "50ms"])
            let began = ContinuousClock.now
            var serials: [String: Set<String>] = [:]
            _ = try await awaiting(
                "two renewals of each: \(serials)", atMost: .seconds(200), every: .seconds(1)
            ) {
                for node in nodes {
                    if let serial = try await serial(lab, of: node) {
                        serials[node.name, default: []].insert(serial)
                    }
                }
                return serials.count == nodes.count && serials.values.allSatisfy { $0.count > 2 }
                    ? true : nil
            }
            let passed = Double((ContinuousClock.now - began).components.seconds)
            for node in nodes {
                let links = try await links(lab, of: node)
                #expect(links.count == nodes.count - 1, "\(node.name)")
                for (peer, since) in links {
                    #expect(since >= passed, "\(peer) at \(node.name) was linked anew")
                }
                let uptime = try await lab.agent(of: node).status().uptimeSeconds
                #expect(uptime >= passed, "\(node.name) was started anew")
            }
            let records = try load.records()
            #expect(
                records.count > 100 && records.failures.isEmpty, "\(records.failures.prefix(3))")
            for node in nodes {
                let lives = try await lab.agent(of: node).trustStatus().certificates
                #expect(lives.allSatisfy { $0.secondsLeft > 0 }, "\(lives)")
            }
        }
    }
}
