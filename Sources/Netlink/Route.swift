// SPDX-License-Identifier: Apache-2.0

/// A unicast route of the main table.
public struct Route: Hashable, Sendable {
    public enum Scope: UInt8, Hashable, Sendable {
        case universe = 0
        /// Directly connected: destinations are neighbours.
        case link = 253
        case host = 254
    }

    public var destination: NetworkAddress
    /// 0...32 or 0...128; 0 is the default route.
    public var prefixLength: UInt8
    public var interface: UInt32
    /// Of the destination's family.
    public var gateway: NetworkAddress?
    /// The gateway is a neighbour although no address of the link says so.
    public var isOnLink: Bool
    public var scope: Scope
    public var preferredSource: NetworkAddress?
    /// Bytes; nil is the link's.
    public var mtu: UInt32?

    public init(
        to destination: NetworkAddress, prefixLength: UInt8, interface: UInt32,
        gateway: NetworkAddress? = nil, isOnLink: Bool = false, scope: Scope? = nil,
        preferredSource: NetworkAddress? = nil, mtu: UInt32? = nil
    ) {
        self.destination = destination
        self.prefixLength = prefixLength
        self.interface = interface
        self.gateway = gateway
        self.isOnLink = isOnLink
        // IPv6 knows no scopes of routes and reports them all as universe.
        self.scope = scope ?? (gateway == nil && destination.isIPv4 ? .link : .universe)
        self.preferredSource = preferredSource
        self.mtu = mtu
    }

    /// - Returns: nil for routes of other tables and types, and for several next hops.
    init?(_ message: Message) {
        let payload = message.payload
        guard message.type == NetlinkType.newRoute,
            let header = RouteHeader(payload),
            header.type == RouteAttribute.typeUnicast,
            let attributes = Attributes(payload.dropFirst(RouteHeader.length)),
            attributes.number(RouteAttribute.table, as: UInt32.self) ?? UInt32(header.table)
                == RouteAttribute.tableMain,
            let interface = attributes.number(RouteAttribute.outputInterface, as: UInt32.self),
            let any = header.any
        else { return nil }
        func address(_ type: UInt16) -> NetworkAddress? {
            attributes[type].flatMap { NetworkAddress(bytes: $0) }
        }
        self.init(
            to: address(RouteAttribute.destination) ?? any,
            prefixLength: header.prefixLength, interface: interface,
            gateway: address(RouteAttribute.gateway),
            isOnLink: header.flags & RouteAttribute.onLink != 0,
            scope: Scope(rawValue: header.scope) ?? .universe,
            preferredSource: address(RouteAttribute.preferredSource),
            mtu: attributes.nest(RouteAttribute.metrics)?
                .number(RouteAttribute.metricMTU, as: UInt32.self))
    }
}

extension Route: CustomStringConvertible {
    public var description: String {
        let via = gateway.map { " via \($0)" } ?? ""
        return "\(destination)/\(prefixLength)\(via) dev \(interface)"
    }
}

extension RouteSocket {
    /// Both families; routes of other tables and types, and multipath routes, are left out.
    public mutating func routes() throws(NetlinkError) -> [Route] {
        var message = MessageWriter(type: NetlinkType.getRoute)
        message.append(raw: Array(repeating: 0, count: RouteHeader.length))
        return try socket.dump(message, "list routes").compactMap(Route.init)
    }

    /// - Throws: `.exists` if there is a route to this destination.
    public mutating func add(_ route: Route) throws(NetlinkError) {
        try write(route, "add", NetlinkFlag.create | NetlinkFlag.exclusive)
    }

    /// Adds a route, or puts it in place of the one to this destination.
    public mutating func replace(_ route: Route) throws(NetlinkError) {
        try write(route, "replace", NetlinkFlag.create | NetlinkFlag.replace)
    }

    /// Deletes a route; gone already is success.
    public mutating func delete(_ route: Route) throws(NetlinkError) {
        do throws(NetlinkError) {
            try socket.perform(
                Self.message(NetlinkType.deleteRoute, route, flags: 0), "delete route \(route)")
        } catch  where error.code == .notFound {
            return
        }
    }

    private mutating func write(
        _ route: Route, _ verb: String, _ flags: UInt16
    ) throws(NetlinkError) {
        try socket.perform(
            Self.message(NetlinkType.newRoute, route, flags: flags), "\(verb) route \(route)")
    }

    private static func message(
        _ type: UInt16, _ route: Route, flags: UInt16
    ) -> MessageWriter {
        var message = MessageWriter(type: type, flags: flags)
        message.append(route.destination.family)
        message.append(route.prefixLength)
        message.append(UInt16(0))  // source length, type of service
        message.append(UInt8(RouteAttribute.tableMain))
        message.append(RouteAttribute.protocolStatic)
        message.append(route.scope.rawValue)
        message.append(RouteAttribute.typeUnicast)
        message.append(route.isOnLink ? RouteAttribute.onLink : 0)
        if route.prefixLength > 0 {
            message.attribute(RouteAttribute.destination, raw: route.destination.bytes)
        }
        message.attribute(RouteAttribute.outputInterface, route.interface)
        if let gateway = route.gateway {
            message.attribute(RouteAttribute.gateway, raw: gateway.bytes)
        }
        if let source = route.preferredSource {
            message.attribute(RouteAttribute.preferredSource, raw: source.bytes)
        }
        if let mtu = route.mtu {
            message.nest(RouteAttribute.metrics) {
                $0.attribute(RouteAttribute.metricMTU, mtu)
            }
        }
        return message
    }
}
