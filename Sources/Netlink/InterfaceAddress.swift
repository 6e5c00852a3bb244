// SPDX-License-Identifier: Apache-2.0

import Glibc

/// An address of a link.
public struct InterfaceAddress: Hashable, Sendable {
    public let interface: UInt32
    public let address: NetworkAddress
    /// 0...32 or 0...128.
    public let prefixLength: UInt8

    public init(interface: UInt32, address: NetworkAddress, prefixLength: UInt8) {
        self.interface = interface
        self.address = address
        self.prefixLength = prefixLength
    }

    init?(_ message: Message) {
        let payload = message.payload
        guard message.type == NetlinkType.newAddress,
            let prefixLength = payload.number(UInt8.self, at: 1),
            let interface = payload.number(UInt32.self, at: 4),
            let attributes = Attributes(payload.dropFirst(8)),
            // Of a point-to-point link ADDRESS is the peer's and LOCAL the link's own.
            let bytes = attributes[AddressAttribute.local] ?? attributes[AddressAttribute.address],
            let address = NetworkAddress(bytes: bytes)
        else { return nil }
        self.init(interface: interface, address: address, prefixLength: prefixLength)
    }
}

extension RouteSocket {
    public mutating func addresses() throws(NetlinkError) -> [InterfaceAddress] {
        var message = MessageWriter(type: NetlinkType.getAddress)
        message.append(UInt64(0))
        return try socket.dump(message, "list addresses").compactMap(InterfaceAddress.init)
    }

    /// Adds an address without duplicate address detection: it is usable at once.
    ///
    /// - Throws: `.exists` if the link has it.
    public mutating func add(_ address: InterfaceAddress) throws(NetlinkError) {
        let message = Self.message(
            NetlinkType.newAddress, address, flags: NetlinkFlag.create | NetlinkFlag.exclusive)
        try socket.perform(
            message,
            "add \(address.address)/\(address.prefixLength) to link \(address.interface)")
    }

    /// Deletes an address; gone already is success.
    public mutating func delete(_ address: InterfaceAddress) throws(NetlinkError) {
        do throws(NetlinkError) {
            try socket.perform(
                Self.message(NetlinkType.deleteAddress, address, flags: 0),
                "delete \(address.address) from link \(address.interface)")
        } catch  where error.code == .notFound {
            return
        }
    }

    private static func message(
        _ type: UInt16, _ address: InterfaceAddress, flags: UInt16
    ) -> MessageWriter {
        var message = MessageWriter(type: type, flags: flags)
        message.append(address.address.family)
        message.append(address.prefixLength)
        message.append(UInt16(0))  // flags, scope
        message.append(address.interface)
        message.attribute(AddressAttribute.local, raw: address.address.bytes)
        message.attribute(AddressAttribute.address, raw: address.address.bytes)
        if !address.address.isIPv4 {
            message.attribute(AddressAttribute.flags, AddressAttribute.noDuplicateDetection)
        }
        return message
    }
}
