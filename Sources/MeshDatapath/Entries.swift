// SPDX-License-Identifier: Apache-2.0

public import MeshModel
public import MeshStore

/// Where a node is reached, and where its packets come from.
public struct NodeTunnel: Hashable, Sendable {
    public static let maximumAddresses = 8

    public let id: NodeID
    /// 1...8; the first is the outer destination, packets may come from any.
    public let outerAddresses: [Address]
    /// Of the inner packet in bytes; 0 is the own node's.
    public let mtu: UInt16

    public init(id: NodeID, outerAddresses: [Address], mtu: UInt16 = 0) {
        self.id = id
        self.outerAddresses = outerAddresses
        self.mtu = mtu
    }
}

/// A workload address and what the programs must know to serve it.
public struct EndpointEntry: Hashable, Sendable {
    public let address: Address
    public let identity: Identity
    public let node: NodeID
    /// Set for endpoints of this node.
    public let local: LocalInterface?
    /// 0 allows all; else what ``Datapath/newPolicySet()`` returned.
    public let policySet: UInt32
    /// Drops everything to and from it: its programs are not in place yet.
    public let isIsolated: Bool
    /// What its policy set denies is told as ``FlowEvent/Kind/audited``, and let through.
    public let isAudited: Bool

    public init(
        address: Address, identity: Identity, node: NodeID, local: LocalInterface?,
        policySet: UInt32 = 0, isIsolated: Bool = false, isAudited: Bool = false
    ) {
        self.address = address
        self.identity = identity
        self.node = node
        self.local = local
        self.policySet = policySet
        self.isIsolated = isIsolated
        self.isAudited = isAudited
    }
}
