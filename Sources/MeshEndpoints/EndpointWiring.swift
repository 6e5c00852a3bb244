// SPDX-License-Identifier: Apache-2.0

import MeshModel
import Netlink

/// The links, addresses, routes and neighbours of one endpoint.
///
/// Inside, everything leads to a gateway that exists nowhere: its hardware address is written down
/// as that of the node's end, so that neither ARP nor neighbour discovery is ever needed.
struct EndpointWiring {
    static let gatewayIPv4 = "169.254.1.1"
    static let gatewayIPv6 = "fe80::1"

    let record: EndpointRecord
    let addresses: [NetworkAddress]
    let hardwareAddress: HardwareAddress
    /// Of the node's end.
    let hostHardwareAddress: HardwareAddress
    /// Bytes, of both ends.
    let mtu: UInt32

    /// Creates the pair, everything inside the workload's namespace, and nothing that would let a
    /// packet through: the node's end stays down.
    ///
    /// - Returns: the index of the node's end.
    func build(
        host: inout RouteSocket, in namespace: NetworkNamespace
    ) throws(NetlinkError) -> UInt32 {
        var inside = try RouteSocket(in: namespace)
        try host.createVeth(
            VethEnd(name: record.hostInterface, hardwareAddress: hostHardwareAddress),
            VethEnd(
                name: record.interfaceName, hardwareAddress: hardwareAddress,
                namespace: namespace),
            mtu: mtu)
        let hostLink = try Self.require(
            record.hostInterface, try host.link(named: record.hostInterface))
        try host.update(link: hostLink.index, LinkChange(withoutIPv6LinkLocal: true))
        if let loopback = try inside.link(named: "lo") {
            try inside.update(link: loopback.index, LinkChange(isUp: true))
        }
        let link = try Self.require(
            record.interfaceName, try inside.link(named: record.interfaceName))
        try inside.update(
            link: link.index, LinkChange(isUp: true, withoutIPv6LinkLocal: true))
        for address in addresses {
            try inside.add(
                InterfaceAddress(
                    interface: link.index, address: address, prefixLength: address.bitWidth))
        }
        for address in addresses {
            let gateway = Self.gateway(for: address)
            try inside.replace(
                Neighbour(
                    interface: link.index, address: gateway, hardwareAddress: hostHardwareAddress))
            try inside.add(
                Route(
                    to: address.isIPv4 ? .anyIPv4 : .anyIPv6, prefixLength: 0,
                    interface: link.index, gateway: gateway, isOnLink: true))
        }
        return hostLink.index
    }

    /// Takes the node's end up and tells the node's own processes the way. IPv6 needs the neighbour
    /// written down: without a link-local address the node can't ask for it.
    func open(host: inout RouteSocket, interface: UInt32) throws(NetlinkError) {
        try host.update(link: interface, LinkChange(isUp: true))
        for address in addresses {
            try host.replace(
                Neighbour(
                    interface: interface, address: address, hardwareAddress: hardwareAddress))
            try host.replace(
                Route(to: address, prefixLength: address.bitWidth, interface: interface))
        }
    }

    private static func gateway(for address: NetworkAddress) -> NetworkAddress {
        let text = address.isIPv4 ? gatewayIPv4 : gatewayIPv6
        guard let gateway = NetworkAddress(text) else {
            preconditionFailure("the gateways are valid addresses")
        }
        return gateway
    }

    private static func require(_ name: String, _ link: Link?) throws(NetlinkError) -> Link {
        guard let link else {
            throw NetlinkError(
                code: .notFound, operation: "look up link \(name)",
                message: "it disappeared after it was created")
        }
        return link
    }
}

extension NetworkAddress {
    /// 4 bytes for IPv4, 16 for IPv6.
    init?(_ address: Address) {
        self.init(bytes: address.isIPv4 ? address.bytes.suffix(4) : address.bytes[...])
    }
}
