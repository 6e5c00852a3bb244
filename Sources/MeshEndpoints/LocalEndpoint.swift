// SPDX-License-Identifier: Apache-2.0

public import MeshModel
public import Netlink

/// A workload that is to be attached to this node.
public struct EndpointRequest: Hashable, Sendable {
    public var object: ObjectName
    public var labels: [String: String]
    /// `/run/netns/NAME` or `/proc/PID/ns/net`.
    public var namespacePath: String
    /// At most one of each family, from the node's prefixes; nil takes the lowest free one of every
    /// family that the node has. Of a chained attachment those that its link has, one at least.
    public var addresses: [Address]?
    /// Name of the link inside the namespace.
    public var interfaceName: String
    /// Nil unless a container runtime asks.
    public var attachment: RuntimeAttachment?

    public init(
        object: ObjectName, labels: [String: String] = [:], namespacePath: String,
        addresses: [Address]? = nil, interfaceName: String = "eth0",
        attachment: RuntimeAttachment? = nil
    ) {
        self.object = object
        self.labels = labels
        self.namespacePath = namespacePath
        self.addresses = addresses
        self.interfaceName = interfaceName
        self.attachment = attachment
    }
}

/// A workload of this node, as it is wired.
public struct LocalEndpoint: Hashable, Sendable {
    public let object: ObjectName
    public let labels: [String: String]
    /// IPv4 before IPv6.
    public let addresses: [Address]
    /// The node's end of the veth pair.
    public let hostInterface: String
    /// Index of ``hostInterface`` in the node's namespace.
    public let interfaceIndex: UInt32
    /// The workload's end.
    public let hardwareAddress: HardwareAddress
    public let namespacePath: String
    /// Nil unless a container runtime had it attached.
    public let attachment: RuntimeAttachment?
}
