// SPDX-License-Identifier: Apache-2.0

/// What is believed of a cluster or a node, and how that came: `GET /v1/why/CLUSTER[/NODE]`.
public struct HealthStory: Codable, Hashable, Sendable {
    /// `CLUSTER` or `CLUSTER/NODE`.
    public var subject: String
    public var verdict: VerdictName
    public var sinceSeconds: Double
    /// 0...255; 0 takes no new flow.
    public var weight: UInt8
    /// Of a cluster; nil: it doesn't say.
    public var capacity: CapacityStatus?
    /// Of a silent cluster, in a sentence: what others know of it; nil while nothing is known.
    public var hearsay: String?
    /// Of a node of this node's own cluster.
    public var membership: MembershipStatus?
    /// To the cluster, or to the node.
    public var paths: [PathStatus]
    /// Oldest first; those about this node itself are among them.
    public var events: [Event]

    public struct Event: Codable, Hashable, Sendable {
        public var secondsAgo: Double
        /// `CLUSTER`, `CLUSTER/NODE`, or `this node`.
        public var subject: String
        public var text: String

        public init(secondsAgo: Double, subject: String, text: String) {
            self.secondsAgo = secondsAgo
            self.subject = subject
            self.text = text
        }
    }

    public init(
        subject: String, verdict: VerdictName, sinceSeconds: Double, weight: UInt8,
        capacity: CapacityStatus? = nil, hearsay: String? = nil,
        membership: MembershipStatus?, paths: [PathStatus],
        events: [Event]
    ) {
        self.subject = subject
        self.verdict = verdict
        self.sinceSeconds = sinceSeconds
        self.weight = weight
        self.capacity = capacity
        self.hearsay = hearsay
        self.membership = membership
        self.paths = paths
        self.events = events
    }
}
