// SPDX-License-Identifier: Apache-2.0

import Glibc
import SystemPackage

extension RouteSocket {
    public mutating func links() throws(NetlinkError) -> [Link] {
        var message = MessageWriter(type: NetlinkType.getLink)
        message.appendLinkHeader()
        return try socket.dump(message, "list links").compactMap(Link.init)
    }

    /// - Returns: nil if there is no link of this name.
    public mutating func link(named name: String) throws(NetlinkError) -> Link? {
        let operation = "look up link \(name)"
        try checkLinkName(name, operation)
        return try link(index: 0, operation) { $0.attribute(LinkAttribute.name, name) }
    }

    /// - Returns: nil if there is no link of this index.
    public mutating func link(index: UInt32) throws(NetlinkError) -> Link? {
        try link(index: index, "look up link \(index)") { _ in }
    }

    /// Applies `change` to a link, all of it in one message: the kernel may stop halfway.
    ///
    /// - Throws: `.notFound` if there is no such link.
    public mutating func update(
        link index: UInt32, _ change: LinkChange
    ) throws(NetlinkError) {
        let operation = "change link \(index)"
        var message = MessageWriter(type: NetlinkType.setLink)
        message.appendLinkHeader(
            index: index, flags: change.isUp == true ? LinkFlag.up : 0,
            mask: change.isUp == nil ? 0 : LinkFlag.up)
        if let name = change.name {
            try checkLinkName(name, operation)
            message.attribute(LinkAttribute.name, name)
        }
        if let mtu = change.mtu { message.attribute(LinkAttribute.mtu, mtu) }
        if let address = change.hardwareAddress {
            message.attribute(LinkAttribute.address, raw: address.bytes)
        }
        if let master = change.master { message.attribute(LinkAttribute.master, master) }
        if let namespace = change.namespace {
            message.attribute(
                LinkAttribute.namespaceDescriptor, namespace.descriptor.rawValue)
        }
        if change.withoutIPv6LinkLocal {
            message.nest(LinkAttribute.addressFamilies) {
                $0.nest(UInt16(AF_INET6)) {
                    $0.attribute(
                        LinkAttribute.ipv6GenerationMode, LinkAttribute.ipv6GenerationNone)
                }
            }
        }
        try socket.perform(message, operation)
    }

    /// Deletes a link, and with one end of a veth pair the other; gone already is success.
    public mutating func deleteLink(index: UInt32) throws(NetlinkError) {
        var message = MessageWriter(type: NetlinkType.deleteLink)
        message.appendLinkHeader(index: index)
        do throws(NetlinkError) {
            try socket.perform(message, "delete link \(index)")
        } catch  where error.code == .notFound {
            return
        }
    }

    /// Deletes the link of this name; gone already is success.
    public mutating func deleteLink(named name: String) throws(NetlinkError) {
        guard let link = try link(named: name) else { return }
        try deleteLink(index: link.index)
    }

    private mutating func link(
        index: UInt32, _ operation: String, _ attributes: (inout MessageWriter) -> Void
    ) throws(NetlinkError) -> Link? {
        var message = MessageWriter(type: NetlinkType.getLink)
        message.appendLinkHeader(index: index)
        attributes(&message)
        do throws(NetlinkError) {
            return try socket.query(message, operation).lazy.compactMap(Link.init).first
        } catch  where error.code == .notFound {
            return nil
        }
    }
}
