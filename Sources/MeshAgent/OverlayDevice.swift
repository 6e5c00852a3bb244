// SPDX-License-Identifier: Apache-2.0

import MeshModel
import Netlink

/// The VXLAN device of a node, in external mode: every packet brings its own outer addresses.
struct OverlayDevice {
    static let name = "weft_vxlan"

    let index: UInt32
    let underlayIndex: UInt32
    /// Of the underlay, bytes.
    let underlayMTU: UInt32
    let wasCreated: Bool

    /// Finds or makes the device. One of this name that is something else is an error.
    init(_ configuration: AgentConfiguration) throws {
        var socket = try RouteSocket()
        let underlay = try Self.underlay(of: configuration, &socket)
        underlayIndex = underlay.index
        underlayMTU = underlay.mtu
        if let present = try socket.link(named: Self.name) {
            guard present.kind == "vxlan" else {
                throw ConfigurationError(
                    Self.name,
                    "is an interface of kind \(present.kind ?? "none"), not a VXLAN device of Weft; remove it"
                )
            }
            index = present.index
            wasCreated = false
            return
        }
        try socket.createVXLAN(
            VXLANDevice(
                name: Self.name, port: configuration.ports.vxlan,
                acceptsZeroChecksumIPv6: !configuration.underlay.isIPv4))
        guard let made = try socket.link(named: Self.name) else {
            throw ConfigurationError(Self.name, "disappeared after it was made")
        }
        index = made.index
        wasCreated = true
    }

    private static func underlay(
        of configuration: AgentConfiguration, _ socket: inout RouteSocket
    ) throws -> Link {
        if let name = configuration.underlayInterface {
            guard let link = try socket.link(named: name) else {
                throw ConfigurationError(
                    "underlay.interface", "there is no interface '\(name)'")
            }
            return link
        }
        let own = try socket.addresses().first {
            Address(bytes: $0.address.bytes) == configuration.underlay
        }
        guard let own, let link = try socket.link(index: own.interface) else {
            throw ConfigurationError(
                "underlay.address", "no interface has \(configuration.underlay)")
        }
        return link
    }

    func open() throws {
        var socket = try RouteSocket()
        try socket.update(link: index, LinkChange(isUp: true, withoutIPv6LinkLocal: true))
    }

    /// Takes back what this start made.
    func undo() throws {
        guard wasCreated else { return }
        var socket = try RouteSocket()
        try socket.deleteLink(index: index)
    }
}
