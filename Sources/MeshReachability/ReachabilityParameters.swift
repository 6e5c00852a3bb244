// SPDX-License-Identifier: Apache-2.0

/// Every bound and duration of the health channel, with where it comes from.
///
/// Two observers of the same paths need the same parameters to reach the same verdict; two clusters
/// need not agree, for a heartbeat says how often its sender sends.
///
/// - SeeAlso: Chen, Toueg, Aguilera, "On the Quality of Service of Failure Detectors" (IEEE ToC
///   2002): for a given heartbeat interval and detection time no detector makes fewer mistakes than
///   a deadline at expected arrival + margin.
public struct ReachabilityParameters: Hashable, Sendable {
    // MARK: Sending

    /// Between heartbeats to a cluster in use. Loss of a whole cluster shows two intervals and a
    /// margin after its last heartbeat: 260...460 ms at 200 ms, whatever the round trip.
    public var intervalInUse = Duration.milliseconds(200)
    /// The same when one path is all there is: half, so that four missed beats still take 400 ms.
    public var intervalSinglePath = Duration.milliseconds(100)
    /// To clusters that nothing here uses: 500 of them cost 55 KB/s.
    public var intervalBackground = Duration.seconds(1)
    /// The fastest a peer may ask for, so that a peer can't make this relay a source of traffic.
    public var intervalMinimum = Duration.milliseconds(50)
    /// Beats that announce a slower pace before it is taken: all of them lost at 3 % is 2e-8.
    public var slowdownBeats = 5
    /// A drain goes out at once and is repeated; all four lost at 3 % is 8e-7.
    public var drainRepeats = 3
    public var drainRepeatInterval = Duration.milliseconds(25)

    // MARK: Deadline of a path (NFD-E)

    /// Arrivals that the expected arrival is the mean of; 20 s at 200 ms. The paper sees no gain
    /// beyond 30.
    public var arrivalWindow = 100
    /// Below this many arrivals the margin stays at its maximum.
    public var arrivalsUntilTrusted = 10
    /// Margin = clamp(4σ, 20...150 ms), σ of the arrivals' distance from what was expected.
    public var marginSigmas: Int64 = 4
    public var marginMinimum = Duration.milliseconds(20)
    public var marginMaximum = Duration.milliseconds(150)
    /// A path is suspect at the second beat missing and down at the third: one lost datagram is weather.
    public var missedUntilPathSuspect = 2
    public var missedUntilPathDown = 3
    /// My beats that may be missing in a peer's echo beyond those bounds. Judging both directions at
    /// the same depth would double the false path failures and so quadruple the false verdicts.
    public var outboundAllowance = 1
    /// Beats inside the overlay that may be missing beyond those bounds. They are every second one,
    /// judged by themselves: at the same depth they would add half to the false verdicts; so they add
    /// less than the share of beats that is lost.
    public var insideAllowance = 1
    /// A path that was up before this process started may take this long to be heard again: keys
    /// are agreed anew first.
    public var startGrace = Duration.seconds(5)

    // MARK: Self-doubt

    /// A relay woken later than this after it asked abstains: half an interval can't yet turn a
    /// beat that waits in the socket into a missing one.
    public var latenessMaximum = Duration.milliseconds(100)
    /// On time for this long, it is counted again: two intervals, so that what it says then was
    /// seen after it woke.
    public var punctualFor = Duration.milliseconds(400)
    /// More than half of the clusters in use going suspect within this is taken for my own fault,
    /// and for so long after that is over. A path needs 200 ms and a round trip to come back.
    public var doubtWindow = Duration.seconds(1)

    // MARK: Reports of relays to the nodes of their cluster

    /// At the latest; a changed path is reported at once.
    public var reportInterval = Duration.milliseconds(200)
    /// A relay not heard for three reports and a half isn't counted.
    public var relaySilence = Duration.milliseconds(700)

    /// After a relay begins to be counted no verdict gets worse for so long: one report interval and
    /// what a report takes.
    public var settling = Duration.milliseconds(250)

    // MARK: Verdict

    /// Missing beats, summed over the counted paths, that stop new flows: two on each of two paths,
    /// or four on a single one.
    public var missedUntilSuspect = 4
    /// That declare a cluster unreachable: three on each of two paths, or six on a single one. False
    /// ones at 3 % loss: 6e-4 per pair of clusters and day with one path or two.
    public var missedUntilUnreachable = 6
    /// The same with three counted paths or more: the third has to miss one as well, or the two to
    /// miss a fourth. Three pairs of paths can coincide where two paths have one (1.6e-3 a day at
    /// six); a dead cluster silences all, so it costs no time.
    public var missedUntilUnreachableOfMany = 7

    // MARK: Return

    /// Beats in a row, on a quorum of paths, before a return is believed.
    public var beatsUntilRecovered = 10
    /// Then this long without a relapse ...
    public var hold = Duration.seconds(5)
    /// ... then weight max(`rampFloor`, time / `ramp`): Envoy's slow start with aggression 1.
    public var ramp = Duration.seconds(30)
    /// 0...1.
    public var rampFloor = 0.1
    /// At most one weight is written per cluster and this.
    public var rampStep = Duration.milliseconds(500)
    public var damping = DampingParameters()

    // MARK: Relays

    /// A node that comes back, or is new, has to live so long before it takes the place of a living
    /// relay, and one that comes back before it is a relay at all: longer than an agent that fails
    /// again and again stays up (a container's restart waits 10, 20, 40 s), and two relays do for a
    /// minute.
    public var relayHold = Duration.seconds(60)
    /// Between two changes of the own cluster's relays: a new path needs a stream first, some five
    /// round trips.
    public var relaySetInterval = Duration.seconds(1)
    /// A path that the plan has no more is kept up so long beside those that take its place: as long
    /// as ``startGrace``, for the same reason. Two living relays are displaced no sooner after each
    /// other.
    public var handover = Duration.seconds(5)
    /// Paths to one cluster that are kept so at the same time: all places twice.
    public var handoversMaximum = 6

    // MARK: Weight

    public var capacity = CapacityParameters()

    // MARK: Nodes

    /// A remote node is live this long after its last beat, whatever its relays claim: seven beats of a
    /// cluster in use.
    public var nodeTimeout = Duration.milliseconds(1500)
    /// A node of the own cluster that comes back from the dead has to stay so long before it gets
    /// new flows: one that hears late dies and returns every two seconds.
    public var nodeHold = Duration.seconds(3)
    /// Between two questions to the kernel of a node of the own cluster that is accused.
    public var answerInterval = Duration.milliseconds(200)
    /// A node whose kernel answered so lately isn't dead: three questions, of which two may be lost.
    public var answerPatience = Duration.milliseconds(650)

    /// 200 ms: dead clusters show in 0.46 s, are unreachable in 0.66 s. 0.6 KB/s a path.
    public static let `default` = ReachabilityParameters()

    /// 100 ms, for low and steady round trips: about 0.25 s and 0.35 s, for twice the datagrams.
    public static let fast: ReachabilityParameters = {
        var fast = ReachabilityParameters()
        fast.intervalInUse = .milliseconds(100)
        fast.intervalSinglePath = .milliseconds(50)
        fast.marginMaximum = .milliseconds(75)
        fast.latenessMaximum = .milliseconds(50)
        return fast
    }()

    /// 500 ms, for metered links: about 1.1 s and 1.6 s.
    public static let frugal: ReachabilityParameters = {
        var frugal = ReachabilityParameters()
        frugal.intervalInUse = .milliseconds(500)
        frugal.intervalSinglePath = .milliseconds(250)
        frugal.intervalBackground = .seconds(5)
        frugal.latenessMaximum = .milliseconds(250)
        frugal.punctualFor = .seconds(1)
        frugal.doubtWindow = .seconds(2)
        return frugal
    }()

    public init() {}

    func missedUntilUnreachable(paths: Int) -> Int {
        paths >= 3 ? missedUntilUnreachableOfMany : missedUntilUnreachable
    }
}

/// Penalties that keep a cluster which comes and goes out of use. Unitless, as in RFC 2439, but with
/// its half-life of 15 minutes shortened to what a retry of a connection can wait for.
public struct DampingParameters: Hashable, Sendable {
    /// Added per unreachable verdict.
    public var penalty = 1000.0
    public var halfLife = Duration.seconds(60)
    /// The cluster stays out from here ...
    public var suppress = 2500.0
    /// ... until the penalty has decayed to this.
    public var reuse = 750.0
    /// No longer than this: the penalty never exceeds what decays to `reuse` in that time.
    public var maximum = Duration.seconds(300)

    public init() {}
}
