// SPDX-License-Identifier: Apache-2.0

public import MeshModel

/// What a flow carries: a protocol, and the port at the destination.
public struct PolicyTraffic: Hashable, Comparable, Sendable {
    /// IPPROTO_*.
    public let protocolNumber: UInt8
    /// Host byte order; the type of an ICMP message; 0 of protocols without ports.
    public let port: UInt16

    public init(protocolNumber: UInt8, port: UInt16) {
        self.protocolNumber = protocolNumber
        self.port = port
    }

    public init(_ transport: TransportProtocol, _ port: UInt16) {
        self.init(protocolNumber: transport.rawValue, port: port)
    }

    public static let icmp: UInt8 = 1
    public static let icmpv6: UInt8 = 58

    /// 0 ..< 2²⁴: protocols in order, their ports within. Verdict intervals are intervals of these.
    public var index: UInt32 { UInt32(protocolNumber) << 16 | UInt32(port) }
    public static let lastIndex: UInt32 = 1 << 24 - 1

    public init(index: UInt32) {
        self.init(
            protocolNumber: UInt8(truncatingIfNeeded: index >> 16),
            port: UInt16(truncatingIfNeeded: index))
    }

    public static func < (left: Self, right: Self) -> Bool { left.index < right.index }
}

extension PolicyTraffic: CustomStringConvertible {
    /// `TCP 443`, `ICMP type 8`, `protocol 47`.
    public var description: String {
        switch protocolNumber {
        case Self.icmp: "ICMP type \(port)"
        case Self.icmpv6: "ICMPv6 type \(port)"
        default:
            TransportProtocol(rawValue: protocolNumber).map { "\($0) \(port)" }
                ?? "protocol \(protocolNumber)"
        }
    }
}

/// Which traffic a rule means.
public enum PortMatcher: Hashable, Sendable {
    /// Ports of a protocol, or ICMP types.
    case range(protocolNumber: UInt8, ClosedRange<UInt16>)
    /// The port that the destination calls so; of any protocol if none is said. Who names no such
    /// port isn't meant.
    case named(String, TransportProtocol?)

    public static func all(_ transport: TransportProtocol) -> PortMatcher {
        .range(protocolNumber: transport.rawValue, 0...UInt16.max)
    }

    /// Where it means traffic for sure.
    ///
    /// - Parameter names: of the destination; nil if they aren't known.
    func intervals(names: [NamedPort]?) -> [ClosedRange<UInt32>] {
        switch self {
        case .range(let number, let ports):
            return [Self.interval(number, ports)]
        case .named(let name, let transport):
            return (names ?? []).filter { $0.isMeant(by: name, transport) }.map {
                Self.interval($0.transport.rawValue, $0.port...$0.port)
            }
        }
    }

    /// Where it may mean traffic to a destination whose names aren't known.
    var possibleIntervals: [ClosedRange<UInt32>] {
        guard case .named(_, let transport) = self else { return [] }
        return (transport.map { [$0] } ?? TransportProtocol.allCases).map {
            Self.interval($0.rawValue, 0...UInt16.max)
        }
    }

    func match(_ traffic: PolicyTraffic, names: [NamedPort]?) -> Match {
        switch self {
        case .range(let number, let ports):
            return Match(number == traffic.protocolNumber && ports.contains(traffic.port))
        case .named(let name, let transport):
            guard let actual = TransportProtocol(rawValue: traffic.protocolNumber),
                actual == transport ?? actual
            else { return .no }
            guard let names else { return .maybe }
            return Match(
                names.contains {
                    $0.isMeant(by: name, actual) && $0.port == traffic.port
                })
        }
    }

    private static func interval(
        _ number: UInt8, _ ports: ClosedRange<UInt16>
    ) -> ClosedRange<UInt32> {
        PolicyTraffic(protocolNumber: number, port: ports.lowerBound)
            .index...PolicyTraffic(protocolNumber: number, port: ports.upperBound).index
    }

    var isNamed: Bool { if case .named = self { true } else { false } }
}

extension NamedPort {
    fileprivate func isMeant(by name: String, _ transport: TransportProtocol?) -> Bool {
        self.name == name && self.transport == transport ?? self.transport
    }
}
