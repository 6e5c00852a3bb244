// SPDX-License-Identifier: Apache-2.0

/// A network interface, as the kernel reports it.
public struct Link: Hashable, Sendable {
    /// Longest name: `IFNAMSIZ` without the final zero.
    public static let nameLengthMax = 15

    public enum OperationalState: UInt8, Hashable, Sendable {
        case unknown, notPresent, down, lowerLayerDown, testing, dormant, up
    }

    public let index: UInt32
    public let name: String
    /// `IFF_…` bits.
    public let flags: UInt32
    /// Nil for links without a 6-byte address.
    public let hardwareAddress: HardwareAddress?
    /// Bytes.
    public let mtu: UInt32
    /// `veth`, `vxlan`, `bridge`…; nil for hardware and loopback.
    public let kind: String?
    /// Index of the bridge or similar that the link is part of.
    public let master: UInt32?
    /// Index of the link that this one leads to, of a veth the other end, in that one's namespace.
    public let peerIndex: UInt32?
    /// The namespace of ``peerIndex``, as ``RouteSocket/identifier(of:)`` has it; nil if it is this one.
    public let peerNamespace: Int32?
    public let operationalState: OperationalState

    /// Set up by the administrator (`IFF_UP`).
    public var isUp: Bool { flags & LinkFlag.up != 0 }

    /// - Returns: nil if the message is too short or lacks a name.
    init?(_ message: Message) {
        guard message.type == NetlinkType.newLink,
            let index = message.payload.number(UInt32.self, at: 4),
            let flags = message.payload.number(UInt32.self, at: 8),
            let attributes = Attributes(message.payload.dropFirst(LinkHeader.length)),
            let name = attributes.text(LinkAttribute.name)
        else { return nil }
        self.index = index
        self.name = name
        self.flags = flags
        hardwareAddress = attributes[LinkAttribute.address].flatMap { HardwareAddress(bytes: $0) }
        mtu = attributes.number(LinkAttribute.mtu, as: UInt32.self) ?? 0
        kind = attributes.nest(LinkAttribute.info)?.text(LinkAttribute.infoKind)
        master = attributes.number(LinkAttribute.master, as: UInt32.self)
        peerIndex = attributes.number(LinkAttribute.link, as: UInt32.self)
        peerNamespace = attributes.number(LinkAttribute.linkNamespace, as: Int32.self)
        operationalState =
            attributes.number(LinkAttribute.operationalState, as: UInt8.self)
            .flatMap(OperationalState.init) ?? .unknown
    }
}

enum LinkFlag {
    static let up: UInt32 = 1
}

/// `struct ifinfomsg`.
enum LinkHeader {
    static let length = 16
}

extension MessageWriter {
    mutating func appendLinkHeader(index: UInt32 = 0, flags: UInt32 = 0, mask: UInt32 = 0) {
        append(UInt32(0))  // family, pad, type
        append(index)
        append(flags)
        append(mask)
    }
}

/// What to change about a link; nil leaves it as it is.
public struct LinkChange: Sendable {
    public var isUp: Bool?
    public var name: String?
    /// Bytes.
    public var mtu: UInt32?
    public var hardwareAddress: HardwareAddress?
    /// Index of a bridge; 0 takes the link out of its bridge.
    public var master: UInt32?
    /// Moves the link there, which takes it down and removes its addresses.
    public var namespace: NetworkNamespace?
    /// No IPv6 link-local address by itself.
    public var withoutIPv6LinkLocal = false

    public init(
        isUp: Bool? = nil, name: String? = nil, mtu: UInt32? = nil,
        hardwareAddress: HardwareAddress? = nil, master: UInt32? = nil,
        namespace: NetworkNamespace? = nil, withoutIPv6LinkLocal: Bool = false
    ) {
        self.isUp = isUp
        self.name = name
        self.mtu = mtu
        self.hardwareAddress = hardwareAddress
        self.master = master
        self.namespace = namespace
        self.withoutIPv6LinkLocal = withoutIPv6LinkLocal
    }
}
