// SPDX-License-Identifier: Apache-2.0

import MeshModel

extension PeerMatcher: CustomStringConvertible {
    public var description: String {
        switch self {
        case .endpoints(let selector): selector.description
        case .network(let network): network.description
        case .entity(let entity): entity.description
        }
    }
}

extension PolicyNetwork: CustomStringConvertible {
    public var description: String {
        "\(worldOnly ? "the world's addresses" : "whoever has an address") in \(prefix)"
            + (except.isEmpty
                ? "" : " but not in \(except.map(\.description).joined(separator: ", "))")
    }
}

extension PolicyEntity: CustomStringConvertible {
    public var description: String {
        switch self {
        case .all: "everyone"
        case .world: "the world outside the mesh"
        case .worldIPv4: "the world outside the mesh, over IPv4"
        case .worldIPv6: "the world outside the mesh, over IPv6"
        case .cluster: "endpoints of this cluster and nodes of every cluster"
        case .host: "the endpoint's own node"
        case .remoteNode: "other nodes of every cluster"
        case .health: "health checks"
        case .initializing: "endpoints without an identity yet"
        case .nobody: "nobody"
        }
    }
}

extension PortMatcher: CustomStringConvertible {
    /// `TCP 80`, `TCP 8000-8010`, `all TCP ports`, `TCP ports named http`, `ICMP type 8`.
    public var description: String {
        switch self {
        case .range(let number, let ports):
            let first = PolicyTraffic(protocolNumber: number, port: ports.lowerBound)
            if ports.count == 1 { return "\(first)" }
            let name = TransportProtocol(rawValue: number).map { "\($0)" } ?? "protocol \(number)"
            return ports == 0...UInt16.max
                ? "all \(name) ports" : "\(name) \(ports.lowerBound)-\(ports.upperBound)"
        case .named(let name, let transport):
            return "\(transport.map { "\($0) " } ?? "")ports named \(name)"
        }
    }
}

extension PolicyRule {
    /// `accepts TCP 80 from endpoints where the label app is web`.
    func sentence(_ direction: PolicyDirection) -> String {
        let verb =
            switch action {
            case .accept: "accepts"
            case .deny: "denies"
            case .pass: "leaves to the next tier"
            }
        let traffic = ports.map { $0.isEmpty ? "nothing" : list($0, "and") } ?? "everything"
        let peers = peers.map { $0.isEmpty ? "nobody" : list($0, "or") } ?? "everyone"
        return "\(verb) \(traffic) \(direction == .ingress ? "from" : "to") \(peers)"
    }

    private func list(_ items: [some CustomStringConvertible], _ conjunction: String) -> String {
        let shown = items.prefix(8).map { "\($0)" }
        return shown.joined(separator: ", \(conjunction) ")
            + (items.count > shown.count ? ", and \(items.count - shown.count) more" : "")
    }
}
