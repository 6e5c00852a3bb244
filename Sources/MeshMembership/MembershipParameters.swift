// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Every bound and duration of membership, with where it comes from.
///
/// N is the number of members that aren't dead or gone, oneself included. Members need not agree on
/// parameters: each judges by its own.
///
/// - SeeAlso: Das, Gupta, Motivala, "SWIM" (DSN 2002); Dadgar, Phillips, Currey, "Lifeguard"
///   (arXiv:1707.00788); hashicorp/memberlist, `config.go`, `suspicion.go`, `util.go`.
public struct MembershipParameters: Hashable, Sendable {
    // MARK: Probing

    /// T. A crash is first noticed after 1.58 T in the mean (SWIM §5); T must be at least three
    /// round trips.
    public var interval = Duration.milliseconds(200)
    /// For the direct ack; then a second ping and the helpers' go out. 0.3 T leaves them the rest.
    public var ackTimeout = Duration.milliseconds(60)
    /// The timeout is no less than this many times the slowest of the last 32 round trips, and no
    /// more than half of T.
    public var ackTimeoutRoundTrips = 3
    /// k. At 3 % loss a living member goes unanswered directly, twice, and through all three with
    /// 5e-6.
    public var helpers = 3
    /// A helper without an ack says so after this share of ``ackTimeout`` (Lifeguard §IV.A): what
    /// isn't said by then is held against oneself.
    public var nackShare = 0.8

    // MARK: Suspicion

    /// The shortest suspicion is this · max(1, log10 N) · T: 1.2 s at 100 members, in which a
    /// refutation has some 20 rounds of gossip to travel.
    public var suspicionMultiplier = 3.0
    /// The longest is so many times the shortest: what a lone accuser needs.
    public var suspicionMaximumFactor = 4.0
    /// Pings to a suspect in the last periods before its time is over, one each: who missed its
    /// refutation, one in 160,000 at 100 members, hears it now. Both lost at 3 % is 3e-3.
    public var lastCalls = 2
    /// K. So many others than the first accuser bring it down to the shortest (Lifeguard §IV.B).
    public var confirmations = 3

    // MARK: Gossip

    /// Between rounds while there is something to tell; idle, there are none.
    public var gossipInterval = Duration.milliseconds(50)
    public var gossipNodes = 3
    /// A statement is sent this · ⌈log10(N + 1)⌉ times, and then no more.
    public var retransmitMultiplier = 4
    /// The dead still get gossip for so long, so that one that isn't can say so.
    public var gossipToTheDead = Duration.seconds(30)
    /// Pings that a dead member gets per second from all others together, with the news of its
    /// death: what heals a partition longer than ``gossipToTheDead``. 0 for none.
    public var revivalPingsPerSecond = 2.0
    /// Members told at once by one that leaves.
    public var farewells = 8

    // MARK: Anti-entropy

    /// Between comparisons of tables, times ⌈log2 N − 5⌉ + 1 above 32 members (memberlist).
    public var syncInterval = Duration.seconds(30)
    /// After a start they are closer, and so many.
    public var startSyncs = 5
    public var startSyncInterval = Duration.seconds(1)
    /// Datagrams of one's table per gossip round: 5,000 members are told in 1.5 s.
    public var chunksPerRound = 4

    // MARK: Oneself

    /// Interval and timeout are multiplied by a score of 1...this (Lifeguard §IV.A).
    public var awarenessMaximum = 8
    /// Woken later than this after it asked, the process was held up, and its time stood still.
    public var latenessMaximum = Duration.milliseconds(30)
    /// It judges nobody for so long after that: what was said meanwhile waits in the socket.
    public var settling = Duration.milliseconds(50)
    /// A member never heard is accused only after so long in the roster: its node record is
    /// written before its process first runs.
    public var unknownGrace = Duration.seconds(10)
    /// Longer than the 1 s between heartbeats to a cluster that isn't in use, and one lost.
    public var testimonyLifetime = Duration.milliseconds(2500)

    public var refinements: Refinements = .all

    /// What this core does beyond SWIM as published in 2002.
    public struct Refinements: OptionSet, Hashable, Sendable {
        public let rawValue: UInt16
        public init(rawValue: UInt16) { self.rawValue = rawValue }

        /// Helpers say when they get no ack (Lifeguard §IV.A).
        public static let nacks = Refinements(rawValue: 1 << 0)
        /// A ping carries the suspicion of whom it goes to (Lifeguard §IV.C, "buddy system"), and
        /// one that doesn't know what is said of it is told.
        public static let buddies = Refinements(rawValue: 1 << 1)
        /// The score multiplies the timeout, too, as in the paper; memberlist only the interval.
        public static let scaledTimeouts = Refinements(rawValue: 1 << 2)
        /// A probe that all helpers deny is decided before its period ends, and of those who hear of
        /// a suspicion some 2 K probe the suspect next.
        public static let earlyVerdicts = Refinements(rawValue: 1 << 3)
        /// The time during which this process was held up is no evidence.
        public static let ownLateness = Refinements(rawValue: 1 << 4)
        /// Another's word of a death isn't enough if one accuser alone stands behind it, or if this
        /// member heard the dead one itself since; and the dead accuse nobody.
        public static let credibility = Refinements(rawValue: 1 << 5)
        /// Where nobody could confirm, suspicion lasts its maximum. memberlist: the minimum.
        public static let smallPools = Refinements(rawValue: 1 << 6)

        /// Nobody is taken for dead without having been asked by oneself, see ``lastCalls``.
        public static let lastCalls = Refinements(rawValue: 1 << 7)

        public static let all: Refinements = [
            .nacks, .buddies, .scaledTimeouts, .earlyVerdicts, .ownLateness, .credibility,
            .smallPools, .lastCalls,
        ]
    }

    /// T = 200 ms.
    public static let `default` = MembershipParameters()

    /// T = 100 ms: half the detection time, for nodes a few milliseconds apart.
    public static let fast = MembershipParameters(scalingDefaultBy: 0.5)

    /// T = 1 s: a fifth of the idle traffic.
    public static let frugal: MembershipParameters = {
        var frugal = MembershipParameters(scalingDefaultBy: 5)
        frugal.gossipInterval = .milliseconds(200)
        frugal.syncInterval = .seconds(60)
        frugal.latenessMaximum = .milliseconds(100)
        frugal.settling = .milliseconds(100)
        return frugal
    }()

    /// memberlist's `DefaultLANConfig`, to compare with. The second direct ping stands for its TCP
    /// ping.
    public static let memberlistLAN: MembershipParameters = {
        var lan = MembershipParameters()
        lan.interval = .seconds(1)
        lan.ackTimeout = .milliseconds(500)
        lan.ackTimeoutRoundTrips = 0
        lan.suspicionMultiplier = 4
        lan.suspicionMaximumFactor = 6
        lan.confirmations = 2
        lan.gossipInterval = .milliseconds(200)
        lan.revivalPingsPerSecond = 0
        lan.unknownGrace = .zero
        lan.refinements = [.nacks, .buddies]
        return lan
    }()

    /// The same before Lifeguard: suspicion of one length, no score, no nacks, no buddies.
    public static let plainSWIM: MembershipParameters = {
        var plain = MembershipParameters.memberlistLAN
        plain.suspicionMultiplier = 5
        plain.suspicionMaximumFactor = 1
        plain.awarenessMaximum = 1
        plain.refinements = []
        return plain
    }()

    public init() {}

    private init(scalingDefaultBy factor: Double) {
        interval = interval * factor
        ackTimeout = ackTimeout * factor
        gossipInterval = gossipInterval * factor
        latenessMaximum = latenessMaximum * factor
        settling = settling * factor
    }
}

extension MembershipParameters {
    /// Bounds that are the protocol's own, whatever the profile.
    enum Limit {
        /// A datagram's plaintext, bytes.
        static let datagram = 1184
        /// Names of accusers in a statement; those beyond change no deadline.
        static let accusers = 4
        static let name = 253
        /// A statement, bytes: one fits into any datagram.
        static let statement = 1024
        static let witnesses = 32
        /// Pings for others under way, in all and for one of them.
        static let errands = 128
        static let errandsPerMember = 4
        /// Tables being told at once.
        static let tellings = 4
    }

    func suspicionMinimum(members: Int) -> Duration {
        interval * (suspicionMultiplier * max(1, log10(Double(max(members, 1)))))
    }

    /// Lifeguard §IV.B: from the longest to the shortest with the logarithm of the confirmations.
    ///
    /// - Parameters:
    ///   - confirmations: independent of the first accuser.
    ///   - possible: how many there could be. None: the longest, or memberlist's defect.
    func suspicionTimeout(members: Int, confirmations: Int, possible: Int) -> Duration {
        let shortest = suspicionMinimum(members: members)
        let longest = shortest * suspicionMaximumFactor
        var wanted = self.confirmations
        if refinements.contains(.smallPools) {
            wanted = max(min(wanted, possible), 1)
        } else if possible < wanted {
            return shortest
        }
        let share = min(log(Double(confirmations + 1)) / log(Double(wanted + 1)), 1)
        return max(shortest, longest - (longest - shortest) * share)
    }

    func retransmits(members: Int) -> Int {
        retransmitMultiplier * Int(log10(Double(members + 1)).rounded(.up))
    }

    func syncInterval(members: Int) -> Duration {
        guard members > 32 else { return syncInterval }
        return syncInterval * (Int((log2(Double(members)) - 5).rounded(.up)) + 1)
    }
}
