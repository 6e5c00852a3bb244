// SPDX-License-Identifier: Apache-2.0

import Glibc
import SystemPackage

/// One end of a veth pair.
public struct VethEnd: Sendable {
    public var name: String
    /// Nil lets the kernel choose.
    public var hardwareAddress: HardwareAddress?
    /// Nil is the namespace of the socket that creates the pair.
    public var namespace: NetworkNamespace?

    public init(
        name: String, hardwareAddress: HardwareAddress? = nil, namespace: NetworkNamespace? = nil
    ) {
        self.name = name
        self.hardwareAddress = hardwareAddress
        self.namespace = namespace
    }
}

/// A VXLAN device in external mode: programs choose the peer, the VNI and the group policy.
public struct VXLANDevice: Sendable {
    public var name: String
    /// UDP, host byte order.
    public var port: UInt16
    public var mtu: UInt32?
    public var hardwareAddress: HardwareAddress?
    /// Accept datagrams without a UDP checksum over IPv6, which the kernel drops otherwise.
    public var acceptsZeroChecksumIPv6: Bool

    public init(
        name: String, port: UInt16, mtu: UInt32? = nil, hardwareAddress: HardwareAddress? = nil,
        acceptsZeroChecksumIPv6: Bool = false
    ) {
        self.name = name
        self.port = port
        self.mtu = mtu
        self.hardwareAddress = hardwareAddress
        self.acceptsZeroChecksumIPv6 = acceptsZeroChecksumIPv6
    }
}

extension RouteSocket {
    /// Creates two links that are each other's cable; both are down.
    ///
    /// - Throws: `.exists` if either name is taken, and then neither is created.
    public mutating func createVeth(
        _ first: VethEnd, _ second: VethEnd, mtu: UInt32? = nil
    ) throws(NetlinkError) {
        try create(first.name, kind: "veth") { message in
            message.appendVethEnd(first, mtu: mtu, named: false)
        } data: { message in
            message.nest(LinkAttribute.vethPeer) {
                $0.appendLinkHeader()
                $0.appendVethEnd(second, mtu: mtu, named: true)
            }
        }
    }

    /// Creates a device like `ip link add type vxlan external gbp`; it is down.
    ///
    /// - Throws: `.exists` if the name is taken; the port is taken only when the device goes up.
    public mutating func createVXLAN(_ device: VXLANDevice) throws(NetlinkError) {
        try create(device.name, kind: "vxlan") { message in
            if let mtu = device.mtu { message.attribute(LinkAttribute.mtu, mtu) }
            if let address = device.hardwareAddress {
                message.attribute(LinkAttribute.address, raw: address.bytes)
            }
        } data: { message in
            message.attribute(VXLANAttribute.learning, UInt8(0))
            message.attribute(VXLANAttribute.port, device.port.bigEndian)
            message.attribute(VXLANAttribute.collectMetadata, UInt8(1))
            message.attribute(VXLANAttribute.groupPolicy, raw: [])  // A flag: present is set.
            if device.acceptsZeroChecksumIPv6 {
                message.attribute(VXLANAttribute.zeroChecksum6Receive, UInt8(1))
            }
        }
    }

    public mutating func createBridge(
        name: String, mtu: UInt32? = nil
    ) throws(NetlinkError) {
        try create(name, kind: "bridge") { message in
            if let mtu { message.attribute(LinkAttribute.mtu, mtu) }
        }
    }

    private mutating func create(
        _ name: String, kind: String,
        attributes: (inout MessageWriter) -> Void,
        data: ((inout MessageWriter) -> Void)? = nil
    ) throws(NetlinkError) {
        let operation = "create \(kind) \(name)"
        try checkLinkName(name, operation)
        var message = MessageWriter(
            type: NetlinkType.newLink, flags: NetlinkFlag.create | NetlinkFlag.exclusive)
        message.appendLinkHeader()
        message.attribute(LinkAttribute.name, name)
        attributes(&message)
        message.nest(LinkAttribute.info) {
            $0.attribute(LinkAttribute.infoKind, kind)
            if let data { $0.nest(LinkAttribute.infoData, data) }
        }
        try socket.perform(message, operation)
    }
}

/// - Throws: `.invalid` with the rule that `name` breaks.
func checkLinkName(_ name: String, _ operation: String) throws(NetlinkError) {
    guard (1...Link.nameLengthMax).contains(name.utf8.count),
        name != ".", name != "..",
        name.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "/") })
    else {
        throw NetlinkError(
            code: .invalid, operation: operation,
            message: "a link's name has 1 to \(Link.nameLengthMax) printable characters, no slash")
    }
}

extension MessageWriter {
    fileprivate mutating func appendVethEnd(_ end: VethEnd, mtu: UInt32?, named: Bool) {
        if named { attribute(LinkAttribute.name, end.name) }
        if let mtu { attribute(LinkAttribute.mtu, mtu) }
        if let address = end.hardwareAddress {
            attribute(LinkAttribute.address, raw: address.bytes)
        }
        if let namespace = end.namespace {
            attribute(LinkAttribute.namespaceDescriptor, namespace.descriptor.rawValue)
        }
    }
}
