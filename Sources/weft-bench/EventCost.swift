// SPDX-License-Identifier: Apache-2.0

import Glibc
import MeshAdmin
import MeshLab

/// What flow events cost: two labs of the same kind, one with and one without, asked in turns.
struct EventCost {
    private static let port: UInt16 = 80

    let weft: String
    let isQuick: Bool

    func run() async throws {
        let file = try LabFile.answering(try ownExecutable(), at: Self.port)
        try await withLab("beventson", file, weft: weft) { with in
            try await withLab("beventsoff", file, weft: weft) { without in
                try await turnOff(without)
                try await measure(with, without)
            }
        }
    }

    private func measure(_ with: Lab, _ without: Lab) async throws {
        var (on, off, ratio) = (Sample(), Sample(), Sample())
        for repetition in 0..<(isQuick ? 9 : 41) {
            // Whoever is asked first may find warmer caches.
            let isOnFirst = repetition % 2 == 0
            let first = try ask(isOnFirst ? with : without)
            let second = try ask(isOnFirst ? without : with)
            on.add(isOnFirst ? first : second)
            off.add(isOnFirst ? second : first)
            ratio.add(isOnFirst ? first / second : second / first)
        }
        Figure(
            "operators.events.connections.p50", on.median, "1/s", baseline: off.median,
            ratio: ratio.median, goal: "ratio>=0.98"
        ).report()
        Figure("operators.events.ratio.p10", ratio.percentile(0.1), "").report()
        Figure("operators.events.ratio.p90", ratio.percentile(0.9), "").report()
        let events = try await with.agent(of: with.plan.cluster(named: "alpha").nodes[0]).metrics()
        let lost = events.split(separator: "\n").first {
            $0.hasPrefix("weft_flow_records_lost_total{stage=\"kernel\"} ")
        }
        Figure(
            "operators.events.lost", lost?.split(separator: " ").last.flatMap { Double($0) },
            "records"
        ).report()
    }

    /// Connections a second from alpha's client to the service that beta serves.
    private func ask(_ lab: Lab) throws -> Double {
        guard let address = lab.plan.services.first?.addresses["alpha"]?.first else {
            throw LabError(.failed, "the service has no address in alpha")
        }
        let text = try Subprocess([
            weft, "lab", "exec", "--lab", lab.plan.name, "alpha/client", "--",
            try ownExecutable(), "ask", Question.connections.rawValue, "--address", address,
            "--port", "\(Self.port)", "--milliseconds", isQuick ? "400" : "1000", "--cpu",
            "\(measuringCPU())",
        ]).finish()
        guard let value = Double(text.filter { !$0.isWhitespace }) else {
            throw LabError(.failed, "the client said '\(text)'")
        }
        return value
    }

    /// Restarts all agents of a lab without events.
    private func turnOff(_ lab: Lab) async throws {
        for cluster in lab.plan.clusters {
            for node in cluster.nodes {
                let path = "\(lab.plan.manifestFolder(of: node))/../weftd.yaml"
                try await lab.endAgents("\(cluster.name)/\(node.name)", orderly: true)
                let text = String(decoding: try fileContents(path), as: UTF8.self)
                try StagedFile(text + "\nflowEvents: false\n", for: path).place()
                try await lab.revive("\(cluster.name)/\(node.name)")
            }
        }
        try await lab.converge(lab.plan.nodes)
    }
}
