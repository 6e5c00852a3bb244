// SPDX-License-Identifier: Apache-2.0

extension FlowStory {
    /// A node where the flow begins or may end, and what came of asking its agent.
    public struct Side: Codable, Hashable, Sendable {
        public enum Role: String, Codable, Sendable {
            case source, destination
        }

        public enum State: String, Codable, Sendable, CaseIterable {
            /// Its own word stands in the answer.
            case answered
            /// It was asked and said nothing: the answer goes by what is known of it elsewhere.
            case silent
            /// It wasn't asked: the same.
            case unasked
        }

        /// `CLUSTER/NODE`.
        public var node: String
        public var roles: [Role]
        public var state: State
        /// Why it says nothing; nil: it does.
        public var reason: String?
        /// How it holds the source's node, as a destination that answered; nil: it is the same one, or unknown.
        public var sourceVerdict: VerdictName?
        /// Since when.
        public var sourceVerdictSeconds: Double?
        /// Flows like this one that its kernel tracks.
        public var connections: Int
        /// The newest of them, the newest first.
        public var newest: [Connection]

        public init(
            node: String, roles: [Role], state: State, reason: String? = nil,
            sourceVerdict: VerdictName? = nil, sourceVerdictSeconds: Double? = nil,
            connections: Int = 0, newest: [Connection] = []
        ) {
            self.node = node
            self.roles = roles
            self.state = state
            self.reason = reason
            self.sourceVerdict = sourceVerdict
            self.sourceVerdictSeconds = sourceVerdictSeconds
            self.connections = connections
            self.newest = newest
        }
    }

    /// A flow like this one in a node's kernel.
    public struct Connection: Codable, Hashable, Sendable {
        public var state: ConnectionEntry.State
        /// `address:port`; without ports, the address.
        public var source: String
        public var destination: String
        public var ageSeconds: Double
        public var idleSeconds: Double
        /// From the source.
        public var packetsSent: UInt64
        /// To the source.
        public var packetsBack: UInt64

        public init(
            state: ConnectionEntry.State, source: String, destination: String, ageSeconds: Double,
            idleSeconds: Double, packetsSent: UInt64, packetsBack: UInt64
        ) {
            self.state = state
            self.source = source
            self.destination = destination
            self.ageSeconds = ageSeconds
            self.idleSeconds = idleSeconds
            self.packetsSent = packetsSent
            self.packetsBack = packetsBack
        }
    }
}
