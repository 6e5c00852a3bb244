// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// What one cluster has for one frontend.
struct ServicePool: Sendable {
    let cluster: ClusterID
    /// Lower is preferred.
    let tier: UInt8
    /// What takes new connections: the ready ones, or those that still serve while they terminate.
    let backends: [Backend]
    /// Endpoints that slices list and that aren't terminating, ready or not.
    let declared: Int
    /// Whether `backends` are ready.
    let isReady: Bool
}

extension [ServicePool] {
    /// As many ready backends fewer than declared still do all the work: a tier that has 71 % of them
    /// or more keeps it all (Envoy's over-provisioning factor).
    private static var overprovisioning: Double { 1.4 }

    /// The pools as a program chooses among them.
    ///
    /// A tier that lacks backends keeps min(1, 1.4 · ready / declared) of new connections and spills the
    /// rest to the next, as Envoy's priorities do: both stand in one tier then, with weights in that
    /// proportion. Where both lack, they share in proportion to what each could take.
    ///
    /// At most ``ServiceFrontend/maximumClusters``, the first ones; pools without a backend have none.
    var slices: [ClusterSlice] {
        let served = filter { !$0.backends.isEmpty }.prefix(ServiceFrontend.maximumClusters)
        let preferred = served.filter { $0.tier == 0 }
        let others = served.filter { $0.tier != 0 }
        let health = filter { $0.tier == 0 }.health
        let spill = Swift.min(1 - health, filter { $0.tier != 0 }.health)
        guard spill > 0, !preferred.isEmpty, !others.isEmpty else { return Array(served).weighted }
        guard health > 0 else {
            // What terminates serves nobody but as the last resort.
            return (others.weighted + preferred.weighted.map { $0.moved(to: 2) }).sorted
        }
        let shares = preferred.shares(of: health) + others.shares(of: spill)
        let largest = shares.max() ?? 1
        return zip(preferred + others, shares).map { pool, share in
            pool.slice(tier: 0, weight: share / largest)
        }.sorted
    }

    /// The pools where it counts how far backends are: nearer ones first, as long as there are any, among
    /// those that come first anyway. As in Kubernetes nothing spills over because they are few.
    ///
    /// - Parameter distance: of a backend, 0...2.
    func slices(by distance: (Backend) -> UInt8) -> [ClusterSlice] {
        let near = flatMap { pool in
            Dictionary(grouping: pool.backends, by: distance).map { distance, backends in
                ServicePool(
                    cluster: pool.cluster, tier: pool.tier * 3 + distance, backends: backends,
                    declared: backends.count, isReady: pool.isReady)
            }
        }
        let sorted = near.sorted { ($0.tier, $0.cluster) < ($1.tier, $1.cluster) }
        return Array(sorted.prefix(ServiceFrontend.maximumClusters)).weighted
    }

    /// Each tier for itself, in proportion to backends.
    private var weighted: [ClusterSlice] {
        let largest = Dictionary(map { ($0.tier, $0.backends.count) }, uniquingKeysWith: Swift.max)
        return map { pool in
            pool.slice(
                tier: pool.tier,
                weight: Double(pool.backends.count) / Double(largest[pool.tier] ?? 1))
        }.sorted
    }

    /// How much of its work a tier can do, 0...1.
    private var health: Double {
        let ready = reduce(0) { $0 + ($1.isReady ? $1.backends.count : 0) }
        let declared = reduce(0) { $0 + $1.declared }
        guard declared > 0 else { return 0 }
        return Swift.min(Self.overprovisioning * Double(ready) / Double(declared), 1)
    }

    private func shares(of whole: Double) -> [Double] {
        let count = reduce(0) { $0 + $1.backends.count }
        return map { whole * Double($0.backends.count) / Double(count) }
    }
}

extension ServicePool {
    /// - Parameter weight: 0...1; the largest has 255, none 0.
    fileprivate func slice(tier: UInt8, weight: Double) -> ClusterSlice {
        ClusterSlice(
            cluster: cluster, tier: tier,
            weight: UInt8(Swift.min(Swift.max((weight * 255).rounded(), 1), 255)),
            backends: backends)
    }
}

extension ClusterSlice {
    fileprivate func moved(to tier: UInt8) -> ClusterSlice {
        ClusterSlice(cluster: cluster, tier: tier, weight: weight, backends: backends)
    }
}

extension [ClusterSlice] {
    fileprivate var sorted: [ClusterSlice] {
        sorted { ($0.tier, $0.cluster) < ($1.tier, $1.cluster) }
    }
}
