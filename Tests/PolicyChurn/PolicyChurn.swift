// SPDX-License-Identifier: Apache-2.0

public import MeshLab
import MeshModel
import MeshPolicy

/// Adds and removes endpoints, labels and policies in two clusters while short connections are tried
/// between all endpoints, and holds what became of each against what the pure engine says to it.
public struct PolicyChurn {
    public struct Report: Sendable {
        public let seed: UInt64
        /// Changes by kind.
        public let changes: [String: Int]
        public let flows: Int
        /// By policies, of those with one verdict only.
        public let allowed: Int
        public let denied: Int
        /// Where policies have no say: to nobody, or to oneself.
        public let astray: Int
        /// Under way while what decides them changed.
        public let ambiguous: Int
        /// What isn't as the engine says, the first twenty told in full.
        public let wrong: Int
        public let wrongFlows: [String]
        /// How many a judge would call wrong that overlooks a label: zero would mean that nothing of
        /// the kind could be noticed.
        public let wrongWithoutLabel: Int
        /// Milliseconds from a change to the last agent's report of it.
        public let windows: [Double]

        public var ambiguousShare: Double { Double(ambiguous) / Double(max(flows, 1)) }
        /// One line.
        public var description: String {
            "seed \(seed): \(changes.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }), "
                + "\(flows) connections, \(allowed) to be allowed, \(denied) to be denied, "
                + "\(astray) that policies have no say in, \(ambiguous) with either outcome, \(wrong) wrong"
        }
    }

    /// More of them, and the run says little.
    public static let ambiguousShareMaximum = 0.1
    private static let describedMaximum = 20

    /// Two clusters of two nodes with three endpoints each, in two namespaces.
    public static func labFile() throws -> LabFile {
        var text = "clusters:\n"
        var number = 0
        for (id, cluster) in [(1, "alpha"), (2, "beta")] {
            text += "  - name: \(cluster)\n    id: \(id)\n    nodes: 2\n    endpoints:\n"
            for node in 1...2 {
                for endpoint in 1...3 {
                    let app = ChurnPolicies.values["app"]![number % 3]
                    let role = ChurnPolicies.values["role"]![number / 3 % 3]
                    number += 1
                    text +=
                        "      - {name: e\(node)\(endpoint), namespace: "
                        + "\(ChurnPolicies.objectNamespaces[endpoint % 2]), "
                        + "node: \(cluster)-\(node), labels: {app: \(app), role: \(role)}}\n"
                }
            }
        }
        return try LabFile(yaml: text, name: "churn")
    }

    /// - Parameters:
    ///   - lab: made of ``labFile()``.
    ///   - seed: decides which changes are made in which order, and who calls whom; not the timing.
    /// - Throws: ``LabError`` if a change isn't reported in time, or the lab doesn't answer.
    public static func run(
        in lab: Lab, seed: UInt64, for duration: Duration
    ) async throws -> Report {
        var world = try await ChurnWorld(lab: lab, seed: seed)
        let traffic = try ChurnTraffic(
            slots: world.slots,
            destinations: world.addresses.values.joined().flatMap { $0 }.sorted(),
            seed: SplitMix64.mix(seed))
        var pace = SplitMix64(seed: seed &+ 1)
        let flows: [ChurnFlow]
        do {
            let end = ContinuousClock.now + duration
            while ContinuousClock.now < end {
                try await world.change()
                // Calm between changes, in which verdicts are beyond doubt.
                try await Task.sleep(for: .milliseconds(Int.random(in: 50...250, using: &pace)))
            }
        } catch {
            _ = try traffic.stop()
            throw error
        }
        flows = try traffic.stop()
        return report(world, flows, seed)
    }

    private static func report(
        _ world: ChurnWorld, _ flows: [ChurnFlow], _ seed: UInt64
    ) -> Report {
        let judge = ChurnJudge(
            clusters: world.clusters, slots: world.slots, history: world.history)
        var blind = judge
        blind.overlooked = "role"
        var (allowed, denied, astray, ambiguous, wrongWithoutLabel) = (0, 0, 0, 0, 0)
        var wrong: [ChurnFlow] = []
        for flow in flows {
            if blind.judge(flow) == .wrong { wrongWithoutLabel += 1 }
            switch judge.judge(flow) {
            case .ambiguous: ambiguous += 1
            case .right where judge.isAstray(flow): astray += 1
            case .right where flow.passed: allowed += 1
            case .right: denied += 1
            case .wrong: wrong.append(flow)
            }
        }
        return Report(
            seed: seed, changes: world.counts, flows: flows.count, allowed: allowed,
            denied: denied, astray: astray, ambiguous: ambiguous, wrong: wrong.count,
            wrongFlows: wrong.prefix(describedMaximum).map(judge.describe),
            wrongWithoutLabel: wrongWithoutLabel, windows: world.history.windows)
    }
}
