// SPDX-License-Identifier: Apache-2.0

public import MeshModel
import MeshReachability

/// What clusters do in virtual time, as figures.
public enum MeshMeasure {
    /// Seconds from a fault until each observing node took its verdict, sorted.
    public struct Times: Sendable {
        public var suspect: [Double] = []
        public var unreachable: [Double] = []
        /// Nodes that took no verdict in time.
        public var missed = 0
        /// Hard verdicts of those that weren't hit.
        public var wrong = 0

        public init() {}

        public static func percentile(_ share: Double, of sorted: [Double]) -> Double {
            MembershipMeasure.Times.percentile(share, of: sorted)
        }

        /// - Parameter observers: whose first verdicts about `cluster` count.
        public mutating func add(
            _ world: MeshWorld, of cluster: Int, seenBy observers: [NodeID], since start: Instant
        ) {
            let hit = world.clusters[cluster - 1]
            var first: [NodeID: (suspect: Instant?, unreachable: Instant?)] = [:]
            for change in world.changes(since: start) where change.change.cluster == hit {
                switch change.change.word.verdict {
                case .suspect:
                    first[change.observer, default: (nil, nil)].suspect =
                        first[change.observer]?.suspect ?? change.time
                case .unreachable:
                    first[change.observer, default: (nil, nil)].unreachable =
                        first[change.observer]?.unreachable ?? change.time
                default: break
                }
            }
            for observer in observers {
                guard let gone = first[observer]?.unreachable else {
                    missed += 1
                    continue
                }
                let avoided = first[observer]?.suspect ?? gone
                suspect.append((avoided - start).seconds)
                unreachable.append((gone - start).seconds)
            }
            suspect.sort()
            unreachable.sort()
        }
    }

    /// Kills one cluster after the other, less than half of all, each at a random phase; nobody
    /// comes back.
    ///
    /// - Parameter patience: until a node that took no verdict counts as one that missed it.
    public static func detection(
        _ world: inout MeshWorld, victims: [Int], patience: Duration = .seconds(2)
    ) -> Times {
        var times = Times()
        var dead: Set<Int> = []
        for victim in victims {
            world.run(for: world.simulation.generator.duration(below: .milliseconds(200)))
            let start = world.now
            world.kill(cluster: victim)
            dead.insert(victim)
            world.run(for: patience)
            let observers = (1...world.clusters.count).filter { !dead.contains($0) }
                .flatMap { world.nodes(of: $0) }
            times.add(world, of: victim, seenBy: observers, since: start)
            let hit = world.clusters[victim - 1]
            times.wrong += world.changes(since: start).count {
                $0.change.endsFlows && $0.change.cluster != hit
            }
        }
        return times
    }

    /// Verdicts taken of living clusters, and how long it was possible to take them.
    public struct Mistakes: Sendable {
        /// Of ordered pairs: one cluster judges, one is judged.
        public var pairDays = 0.0
        public var hard = 0
        public var soft = 0
        public var hardPerDay: Double { Double(hard) / pairDays }

        public init() {}

        /// - Parameter start: nothing was hit since then.
        public mutating func add(_ world: MeshWorld, since start: Instant) {
            // Nodes of a cluster decide alike: one of them stands for all.
            let observers = world.clusters.map { world.members[$0]![0] }
            let seen = world.changes(since: start).filter { observers.contains($0.observer) }
            hard += seen.count { $0.change.endsFlows }
            soft += seen.count { $0.change.word.verdict == .suspect }
            let pairs = observers.count * (observers.count - 1)
            var seconds = Double(pairs) * (world.now - start).seconds
            for death in seen where death.change.endsFlows {
                let back = seen.first {
                    $0.time > death.time && $0.observer == death.observer
                        && $0.change.cluster == death.change.cluster
                }
                seconds -= ((back?.time ?? world.now) - death.time).seconds
            }
            pairDays += seconds / 86_400
        }
    }
}
