// SPDX-License-Identifier: Apache-2.0

public import MeshMembership
public import MeshModel

/// What a cluster of members does in virtual time, as figures.
public enum MembershipMeasure {
    /// Sorted seconds.
    public struct Times: Sendable {
        public var first: [Double] = []
        public var all: [Double] = []
        /// Crashes that not everybody had noticed in time.
        public var missed = 0

        public static func percentile(_ share: Double, of sorted: [Double]) -> Double {
            guard !sorted.isEmpty else { return .nan }
            return sorted[min(Int(share * Double(sorted.count)), sorted.count - 1)]
        }
    }

    public static func world(
        seed: UInt64, size: Int, witnesses: Int = 0,
        weather: MembershipWorld.Weather = .init(), parameters: MembershipParameters = .default
    ) -> MembershipWorld {
        MembershipWorld(seed: seed, size: size, witnesses: witnesses, weather: weather) {
            Membership(own: $0, parameters: parameters, seed: $1)
        }
    }

    /// Kills one member after the other in each world, as ``detection(_:crashes:patience:)`` does.
    public static func detection(
        _ seeds: [UInt64], crashes: Int, warmup: Duration, patience: Duration,
        world: (UInt64) -> MembershipWorld
    ) -> Times {
        var times = Times()
        for seed in seeds {
            var world = world(seed)
            world.run(for: warmup)
            let found = detection(&world, crashes: crashes, patience: patience)
            times.first += found.first
            times.all += found.all
            times.missed += found.missed
        }
        times.first.sort()
        times.all.sort()
        return times
    }

    /// Kills one member after the other, each time another at a random phase, and restarts it.
    ///
    /// - Parameter patience: until a crash counts as missed.
    public static func detection(
        _ world: inout MembershipWorld, crashes: Int, patience: Duration
    ) -> Times {
        var times = Times()
        for crash in 0..<crashes {
            world.run(for: world.simulation.generator.duration(below: .seconds(1)))
            let victim = crash % world.size
            let start = world.now
            world.crash(victim)
            var found: (first: Double, all: Double)?
            while found == nil, world.now - start < patience {
                world.run(for: .milliseconds(250))
                found = world.detection(of: victim, since: start)
            }
            if let found {
                times.first.append(found.first)
                times.all.append(found.all)
            } else {
                times.missed += 1
            }
            world.restart(victim)
            world.run(for: .seconds(1))
        }
        times.first.sort()
        times.all.sort()
        return times
    }

    public struct Mistakes: Sendable {
        public var nodeDays = 0.0
        /// Incarnations that anybody took for dead while they ran.
        public var deaths = 0
        /// Incarnations that anybody suspected.
        public var suspicions = 0
        /// Failed probes held against the one probed.
        public var accusations: UInt64 = 0

        public init() {}

        /// - Parameter before: accusations until `start`, as ``accusations(_:)`` has them.
        public mutating func add(
            _ world: MembershipWorld, since start: Instant, accusations before: UInt64
        ) {
            struct Life: Hashable {
                let subject: Int
                let incarnation: UInt32
            }
            accusations += MembershipMeasure.accusations(world) - before
            nodeDays += Double(world.size) * (world.now - start).seconds / 86_400
            deaths +=
                Set(
                    world.falseDeaths(since: start).map {
                        Life(subject: $0.subject, incarnation: $0.change.incarnation)
                    }
                ).count
            suspicions +=
                Set(
                    world.changes.filter { $0.time >= start && $0.change.to == .suspect }.map {
                        Life(subject: $0.subject, incarnation: $0.change.incarnation)
                    }
                ).count
        }
    }

    public static func accusations(_ world: MembershipWorld) -> UInt64 {
        world.members.reduce(0) { $0 + world.core($1).counters.accusations }
    }

    /// How often independent loss alone makes a living member accused, computed, per node and day: in
    /// a period both direct pings and all helpers' go unanswered. Two datagrams there and back, four
    /// by way of a helper.
    ///
    /// - Parameter loss: of each datagram by itself, 0...1.
    public static func accusationsPerNodeDay(
        loss: Double, _ parameters: MembershipParameters
    ) -> Double {
        let arrives = 1 - loss
        let direct = 1 - arrives * arrives
        let indirect = 1 - arrives * arrives * arrives * arrives
        let failed = (0..<parameters.helpers).reduce(direct * direct) { chance, _ in
            chance * indirect
        }
        return failed * 86_400 / parameters.interval.seconds
    }

    /// Plaintext bytes and datagrams that a member sends per second.
    public static func traffic(
        _ world: MembershipWorld, warmup: Duration, over duration: Duration
    ) -> (bytes: Double, datagrams: Double) {
        var world = world
        world.run(for: warmup)
        let before = world.members.map { world.core($0).counters }
        world.run(for: duration)
        let after = world.members.map { world.core($0).counters }
        func rate(_ count: (MembershipCounters) -> UInt64) -> Double {
            let total = zip(before, after).reduce(0) { $0 + count($1.1) - count($1.0) }
            return Double(total) / Double(world.size) / duration.seconds
        }
        return (rate(\.bytesSent), rate(\.datagramsSent))
    }
}
