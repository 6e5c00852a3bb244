// SPDX-License-Identifier: Apache-2.0

/// How a cluster's weight follows the capacity that it has to spare.
///
/// The law: a cluster that could do `overprovisioning` times its work has its full weight; above that
/// the weight falls in proportion to what it has to spare, to `floor` where nothing is left.
public struct CapacityParameters: Hashable, Sendable {
    /// Envoy's over-provisioning factor: full weight up to 71 % in use.
    public var overprovisioning = 1.4
    /// 0...1, as Envoy's slow start: what is used up must stay in use, for its word may be wrong and
    /// all others may be used up as well.
    public var floor = 0.1
    /// The weight stays while the law wants less than this other than it is, 0...1. 3.6 points of use
    /// where the law is steep: three times what noise leaves of a reading.
    public var deadBand = 0.125
    /// At most one step, and one store, per cluster and this.
    public var interval = Duration.seconds(1)
    /// From the floor to full takes so long at least, like the ramp of a cluster that returns. When
    /// another cluster has left no weight rises for so long: readings need 10 s to show two thirds.
    public var rise = Duration.seconds(30)
    /// Load follows a weight late, by the life of connections and by the readings' smoothing, 10 s: a
    /// loop that the law closes may swing. Each turn halves the stride, to this at least ...
    public var strideMinimum = 0.0625
    /// ... until it has not turned for so long, longer than most connections live.
    public var calm = Duration.seconds(300)

    public init() {}

    /// What the law wants of a cluster with `use` of its capacity in use, 0...1: `floor`...1.
    func target(use: Double) -> Double { clamp((1 - use) * slope) }

    /// Where a weight would come to rest if the load moved with it: solves target(use · w′ / w) = w′.
    /// Load never moves more than its weight, so one step doesn't overshoot.
    func rest(from share: Double, use: Double) -> Double {
        clamp(slope * share / (share + slope * use))
    }

    func clamp(_ share: Double) -> Double { min(max(share, floor), 1) }

    private var slope: Double { overprovisioning / (overprovisioning - 1) }
}
