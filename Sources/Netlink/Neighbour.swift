// SPDX-License-Identifier: Apache-2.0

/// A permanent neighbour: its hardware address is written down, never asked for.
public struct Neighbour: Hashable, Sendable {
    public let interface: UInt32
    public let address: NetworkAddress
    public let hardwareAddress: HardwareAddress

    public init(interface: UInt32, address: NetworkAddress, hardwareAddress: HardwareAddress) {
        self.interface = interface
        self.address = address
        self.hardwareAddress = hardwareAddress
    }

    /// - Returns: nil for neighbours that are not permanent.
    init?(_ message: Message) {
        let payload = message.payload
        guard message.type == NetlinkType.newNeighbour,
            let interface = payload.number(UInt32.self, at: 4),
            let state = payload.number(UInt16.self, at: 8),
            state & NeighbourAttribute.permanent != 0,
            let attributes = Attributes(payload.dropFirst(Self.headerLength)),
            let address = attributes[NeighbourAttribute.destination]
                .flatMap({ NetworkAddress(bytes: $0) }),
            let hardware = attributes[NeighbourAttribute.linkLayerAddress]
                .flatMap({ HardwareAddress(bytes: $0) })
        else { return nil }
        self.init(interface: interface, address: address, hardwareAddress: hardware)
    }

    /// `struct ndmsg`.
    fileprivate static let headerLength = 12
}

extension RouteSocket {
    /// The permanent ones of both families.
    public mutating func neighbours() throws(NetlinkError) -> [Neighbour] {
        var message = MessageWriter(type: NetlinkType.getNeighbour)
        message.append(raw: Array(repeating: 0, count: Neighbour.headerLength))
        return try socket.dump(message, "list neighbours").compactMap(Neighbour.init)
    }

    /// Adds a neighbour, or puts it in place of what is known about the address.
    public mutating func replace(_ neighbour: Neighbour) throws(NetlinkError) {
        var message = MessageWriter(
            type: NetlinkType.newNeighbour, flags: NetlinkFlag.create | NetlinkFlag.replace)
        message.append(UInt32(neighbour.address.family))  // family, padding
        message.append(neighbour.interface)
        message.append(NeighbourAttribute.permanent)
        message.append(UInt16(0))  // flags, type
        message.attribute(NeighbourAttribute.destination, raw: neighbour.address.bytes)
        message.attribute(
            NeighbourAttribute.linkLayerAddress, raw: neighbour.hardwareAddress.bytes)
        try socket.perform(
            message, "set neighbour \(neighbour.address) of link \(neighbour.interface)")
    }

    /// Forgets what is known about an address of a link; of nothing known is success.
    public mutating func forgetNeighbour(
        _ address: NetworkAddress, of interface: UInt32
    ) throws(NetlinkError) {
        var message = MessageWriter(type: NetlinkType.deleteNeighbour)
        message.append(UInt32(address.family))  // family, padding
        message.append(interface)
        message.append(UInt32(0))  // state, flags, type
        message.attribute(NeighbourAttribute.destination, raw: address.bytes)
        do throws(NetlinkError) {
            try socket.perform(message, "forget neighbour \(address) of link \(interface)")
        } catch {
            guard error.code == .notFound else { throw error }
        }
    }
}
