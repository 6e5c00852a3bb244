// SPDX-License-Identifier: Apache-2.0

/// Every number of ``BackendHealth``, with where it comes from.
///
/// Linux sends a SYN again after 1 s, then after 2, 4, … s (RFC 6298 §2.1). Under two openings or more
/// a second to one backend the third unanswered SYN is sent again 2.5 s after its death at the
/// latest, and is seen one `pollInterval` later; a refused port shows with the second opening.
public struct BackendHealthParameters: Hashable, Sendable {
    /// Between two looks at the kernel's counters.
    public var pollInterval = Duration.milliseconds(250)

    // MARK: Evidence

    /// Quarantine needs so many points without an answered opening between them. At 3 % loss each way
    /// 6 % of first SYNs are sent again: three in a row, with no answer on any other connection
    /// meanwhile, are 2e-4 of an almost idle backend's openings, and cost it little over a second.
    public var pointsUntilQuarantine = 3
    /// ... of so many connections: one client alone may be what is broken.
    public var openingsUntilQuarantine = 2
    /// A SYN sent again may have been lost; ...
    public var silencePoints = 1
    /// ... a reset or an ICMP error is said by somebody: two of them suffice.
    public var refusalPoints = 2
    /// Failures further apart don't belong together. A client that gives up after the usual 10 s and
    /// tries again does so within three such times.
    public var window = Duration.seconds(30)
    /// Counters of a backend that didn't fail for so long are deleted, so that its openings write
    /// nothing any more.
    public var evidenceLifetime = Duration.seconds(60)

    // MARK: Nodes and clusters

    /// So many backends of a node silent at once, and more than half of those it has, are taken for
    /// the node's failure; over two nodes or more for their cluster's.
    public var groupMinimum = 2
    /// So long node liveness, which needs up to 2.6 s, may find out by itself. A node that others hear
    /// all the same has its silent backends quarantined one by one afterwards.
    public var groupPatience = Duration.seconds(3)

    // MARK: Bounds

    /// 0...1 of a service's live backends may be in quarantine, of those in one cluster and of all, one
    /// in any case; never the service's last one. What is wrong with more than half is no backend's
    /// fault, and the others would get more than twice their share (Envoy's panic threshold, but those
    /// that are out stay out).
    public var shareMaximum = 0.5
    /// In quarantine at the same time; all of them are probed within 12 s, 16 at a time.
    public var quarantineMaximum = 128

    // MARK: Return

    /// From quarantine to the first probe; twice as long each time a backend comes back and fails
    /// again, ...
    public var hold = Duration.seconds(1)
    public var holdMaximum = Duration.seconds(60)
    /// ... until it has gone without for so long.
    public var forgiveness = Duration.seconds(300)
    /// Between probes that fail, doubled each time.
    public var probeInterval = Duration.seconds(1)
    public var probeIntervalMaximum = Duration.seconds(8)
    /// Added to or taken from every such wait, 0...1 of it, so that many nodes don't probe in step.
    public var probeJitter = 0.2
    /// Connections in a row that must succeed, ...
    public var probesUntilReturn = 2
    /// ... this far apart.
    public var probeConfirmation = Duration.milliseconds(250)
    /// Probes under way. Each is one connection, with a deadline of `probeTimeout`.
    public var probesMaximum = 16
    /// As long as a client waits before it sends its SYN again.
    public var probeTimeout = Duration.seconds(1)
    /// What can't be probed, which is all UDP, comes back after this, doubled like `hold`.
    public var unprobedHold = Duration.seconds(10)
    public var unprobedHoldMaximum = Duration.seconds(300)

    public static let `default` = BackendHealthParameters()

    public init() {}
}
