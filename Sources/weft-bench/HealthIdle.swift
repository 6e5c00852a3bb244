// SPDX-License-Identifier: Apache-2.0

import MeshLab

/// What agents cost while nothing happens: bytes on the underlay, of every protocol and with every
/// header, and processor time.
struct HealthIdle {
    static let duration = Duration.seconds(10)

    let lab: Lab
    let relays: Set<String>

    func report() async throws {
        let before = try readings()
        let begin = monotonicNow()
        try await Task.sleep(for: Self.duration)
        let seconds = milliseconds(from: begin, to: monotonicNow()) / 1000
        let after = try readings()
        for kind in [HealthKind.node, .relay] {
            let names = before.keys.filter { relays.contains($0) == (kind == .relay) }
            func mean(_ value: (AgentReading) -> Double) -> Double {
                let rates = names.compactMap { name -> Double? in
                    guard let first = before[name], let last = after[name] else { return nil }
                    return (value(last) - value(first)) / seconds
                }
                return rates.reduce(0, +) / Double(max(rates.count, 1))
            }
            let name = "health.idle.\(kind.rawValue)"
            Figure("\(name).sent", mean(\.sent), "bytes/s").report()
            Figure("\(name).received", mean(\.received), "bytes/s").report()
            Figure("\(name).processor", mean(\.processorSeconds) * 100, "% of a core").report()
        }
    }

    /// By the node's name.
    private func readings() throws -> [String: AgentReading] {
        var readings: [String: AgentReading] = [:]
        for cluster in lab.plan.clusters {
            for node in cluster.nodes {
                readings[node.name] = try AgentReading(of: node, in: cluster, lab)
            }
        }
        return readings
    }
}
