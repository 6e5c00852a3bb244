// SPDX-License-Identifier: Apache-2.0

/// A routing rule by which datagrams to one address and UDP port are lost where they would leave, and
/// nobody is told.
public struct BlackholeRule: Hashable, Sendable {
    public var destination: NetworkAddress
    /// UDP.
    public var port: UInt16
    /// Lower ones are asked first; the main table is asked at 32,766.
    public var priority: UInt32

    public init(to destination: NetworkAddress, port: UInt16, priority: UInt32) {
        self.destination = destination
        self.port = port
        self.priority = priority
    }
}

extension RouteSocket {
    /// - Throws: `.exists` if there is one like it.
    public mutating func add(_ rule: BlackholeRule) throws(NetlinkError) {
        var message = Self.message(
            NetlinkType.newRule, to: rule.destination, priority: rule.priority,
            flags: NetlinkFlag.create | NetlinkFlag.exclusive)
        message.attribute(RuleAttribute.ipProtocol, raw: [RuleAttribute.udp])
        // `struct fib_rule_port_range`, in host byte order.
        message.attribute(
            RuleAttribute.destinationPorts, UInt32(rule.port) | UInt32(rule.port) << 16)
        try socket.perform(
            message, "lose UDP datagrams to port \(rule.port) of \(rule.destination)")
    }

    /// Deletes every rule of this priority for an address, whatever its port; none is success.
    public mutating func deleteRules(
        to destination: NetworkAddress, priority: UInt32
    ) throws(NetlinkError) {
        while true {
            do throws(NetlinkError) {
                try socket.perform(
                    Self.message(
                        NetlinkType.deleteRule, to: destination, priority: priority, flags: 0),
                    "delete rules about \(destination)")
            } catch {
                guard error.code == .notFound else { throw error }
                return
            }
        }
    }

    /// Begins with a `struct fib_rule_hdr`.
    private static func message(
        _ type: UInt16, to destination: NetworkAddress, priority: UInt32, flags: UInt16
    ) -> MessageWriter {
        var message = MessageWriter(type: type, flags: flags)
        message.append(destination.family)
        message.append(destination.bitWidth)
        message.append(UInt16(0))  // source length, type of service
        message.append(UInt8(0))  // table
        message.append(UInt16(0))  // reserved
        message.append(RuleAttribute.blackhole)
        message.append(UInt32(0))  // flags
        message.attribute(RuleAttribute.destination, raw: destination.bytes)
        message.attribute(RuleAttribute.priority, priority)
        return message
    }
}

/// <linux/fib_rules.h>
private enum RuleAttribute {
    static let destination: UInt16 = 1
    static let priority: UInt16 = 6
    static let ipProtocol: UInt16 = 22
    static let destinationPorts: UInt16 = 24
    static let blackhole: UInt8 = 6
    static let udp: UInt8 = 17
}
