// SPDX-License-Identifier: Apache-2.0

import MeshSimulation

/// Clusters and their members in virtual time: how soon a death is known, and who is taken for dead
/// without cause.
///
/// The cores are the product's, the network and the clocks are not. What is too rare to be counted is
/// computed, and the computation held against what can be counted; ".computed" and ".bound" figures
/// are such.
struct HealthSimulation {
    let quick: Bool
    /// Of the one cluster to simulate instead of everything.
    var members: Int?

    func run() {
        if let members {
            self.members([members], isAlone: true)
            return
        }
        losses()
        mistakes()
        bursts()
        faults()
        for clusters in quick ? [100] : [100, 500, 1000] {
            var scale = HealthScale(clusters: clusters)
            scale.run()
        }
        self.members(quick ? [3, 10, 100] : [3, 10, 100, 1000], isAlone: false)
    }

    func report(
        _ name: String, _ value: Double?, _ unit: String, baseline: Double? = nil,
        ratio: Double? = nil, goal: String? = nil
    ) {
        Figure(
            "health.simulated.\(name)", value, unit, baseline: baseline, ratio: ratio, goal: goal
        ).report()
    }

    /// - Parameter seconds: sorted.
    func report(times name: String, _ seconds: [Double], goal: String? = nil) {
        report("\(name).p50", MeshMeasure.Times.percentile(0.5, of: seconds), "s")
        report("\(name).p99", MeshMeasure.Times.percentile(0.99, of: seconds), "s", goal: goal)
        report("\(name).max", seconds.last, "s")
    }
}
