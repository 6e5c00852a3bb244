// SPDX-License-Identifier: Apache-2.0

/// A backend as connections name it, whichever services it belongs to.
public struct BackendKey: Hashable, Comparable, Sendable {
    public let address: Address
    /// Host byte order.
    public let port: UInt16
    public let transport: TransportProtocol

    public init(address: Address, port: UInt16, transport: TransportProtocol) {
        self.address = address
        self.port = port
        self.transport = transport
    }

    public static func < (left: BackendKey, right: BackendKey) -> Bool {
        (left.address, left.port, left.transport) < (right.address, right.port, right.transport)
    }
}

extension BackendKey: CustomStringConvertible {
    public var description: String {
        "\(address.isIPv4 ? "\(address)" : "[\(address)]"):\(port)/\(transport)"
    }
}

/// How openings of this node's endpoints fared at one backend, since its first failure.
public struct BackendEvidence: Hashable, Sendable {
    /// How often something happened, and when last.
    public struct Tally: Hashable, Sendable {
        /// Wraps.
        public var count: UInt32
        /// By the kernel's `CLOCK_MONOTONIC`, to the tick; zero for never.
        public var last: Instant

        public init(_ count: UInt32 = 0, last: Instant = .zero) {
            self.count = count
            self.last = last
        }
    }

    public let backend: BackendKey
    /// Where it was at its last failure; nil if the node's index has no name.
    public var node: NodeID?
    /// Host-side interface of the endpoint that saw the last failure.
    public var interface: UInt32
    /// Openings that something other than a reset answered.
    public var answered = Tally()
    /// SYNs sent again without an answer.
    public var silent = Tally()
    /// Resets in answer to a SYN.
    public var refused = Tally()
    /// ICMP errors in answer to a first packet; of UDP, unreachable ports only.
    public var unreachable = Tally()
    /// Connections that failed at least once in one of these ways. Wraps.
    public var failedOpenings: UInt32 = 0
    /// When a policy at its node last said that it denies an opening; zero for never.
    public var denied = Instant.zero
    /// Of connections that turned out to be denied: how many `failedOpenings` has of them, and how
    /// many SYNs `silent`. Both wrap.
    public var retractedOpenings: UInt32 = 0
    public var retracted: UInt32 = 0

    public init(backend: BackendKey, node: NodeID?, interface: UInt32) {
        self.backend = backend
        self.node = node
        self.interface = interface
    }

    public var lastFailure: Instant { max(silent.last, refused.last, unreachable.last) }
}
