// SPDX-License-Identifier: Apache-2.0

import CMeshABI
import KernelTestSupport
import MeshModel
import Netlink
import Testing

@testable import BPF

extension Family {
    /// The host's addresses towards the endpoint and towards who is outside.
    var gateway: Address { Address(self == .ipv4 ? "169.254.1.1" : "fd00:ffff::1")! }
    var uplink: Address { Address(self == .ipv4 ? "198.51.100.1" : "2001:db8::1")! }
}

/// A host with the datapath, an endpoint behind a veth pair, and a machine outside of the mesh behind
/// another one. Made on a thread in the host's namespace, with which it goes.
final class Site {
    let world: World
    let endpoint: NetworkNamespace
    let outside: NetworkNamespace
    private let attachments: [Attachment]

    /// Takes the program away when it goes.
    final class Attachment {
        private let attachment: InterfaceAttachment
        init(_ attachment: consuming InterfaceAttachment) { self.attachment = attachment }
    }

    /// - Parameter usesFilters: as before Linux 6.6.
    init(
        _ family: Family, usesFilters: Bool = false,
        configure: (inout weft_config) -> Void = { _ in }
    ) throws {
        let world = try World.withHost(configure: configure)
        let endpoint = try inOwnNamespace { try NetworkNamespace.current() }
        let outside = try inOwnNamespace { try NetworkNamespace.current() }
        let host = try NetworkNamespace.current()
        for family in ["ipv4", "ipv6"] {
            try host.setSysctl("net/\(family)/conf/all/forwarding", to: "1")
        }
        let interface = try Self.lay(
            "endpoint", from: family.gateway, to: family.client, in: endpoint)
        _ = try Self.lay("uplink", from: family.uplink, to: family.outside, in: outside)
        var row = try #require(try world.endpoints.lookup(weft_address(family.client)))
        row.ifindex = interface
        try world.endpoints.update(weft_address(family.client), row)
        let attachments = try [
            ("weft_from_endpoint", PacketDirection.ingress), ("weft_to_endpoint", .egress),
        ].compactMap { name, direction -> Attachment? in
            let program = try world.object.program(named: name)
            guard usesFilters else {
                return Attachment(try program.attach(toInterface: interface, direction))
            }
            try ClassifierFilter(interface: interface, direction: direction).attach(program)
            return nil
        }
        self.world = world
        self.endpoint = endpoint
        self.outside = outside
        self.attachments = attachments
    }

    /// Lays a cable and shows both ends the way to each other, and the far one the way to everybody.
    ///
    /// - Returns: index of the host's end.
    static func lay(
        _ name: String, from here: Address, to there: Address, in namespace: NetworkNamespace,
        mtu: UInt32? = nil
    ) throws -> UInt32 {
        var host = try RouteSocket()
        var far = try RouteSocket(in: namespace)
        try host.createVeth(
            VethEnd(name: name), VethEnd(name: name, namespace: namespace), mtu: mtu)
        let ends = (
            try #require(try host.link(named: name)), try #require(try far.link(named: name))
        )
        let (near, other) = (
            NetworkAddress(bytes: wire(here))!, NetworkAddress(bytes: wire(there))!
        )
        try host.add(
            InterfaceAddress(interface: ends.0.index, address: near, prefixLength: near.bitWidth))
        try far.add(
            InterfaceAddress(interface: ends.1.index, address: other, prefixLength: other.bitWidth))
        try host.update(link: ends.0.index, LinkChange(isUp: true))
        try far.update(link: ends.1.index, LinkChange(isUp: true))
        try host.replace(
            Neighbour(
                interface: ends.0.index, address: other,
                hardwareAddress: try #require(ends.1.hardwareAddress)))
        try far.replace(
            Neighbour(
                interface: ends.1.index, address: near,
                hardwareAddress: try #require(ends.0.hardwareAddress)))
        try host.add(Route(to: other, prefixLength: other.bitWidth, interface: ends.0.index))
        try far.add(
            Route(
                to: near.isIPv4 ? .anyIPv4 : .anyIPv6, prefixLength: 0, interface: ends.1.index,
                gateway: near, isOnLink: true))
        return ends.0.index
    }
}
