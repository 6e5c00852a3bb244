// SPDX-License-Identifier: Apache-2.0

import Netlink

/// The lab's namespaces and cables. The bridge lives in a namespace of its own: the machine's own
/// interfaces, routes and rules are never touched.
struct LabNetwork {
    /// The node's end of its cable.
    static let interface = "eth0"
    static let bridge = "underlay"

    let plan: LabPlan

    func create() throws {
        let underlay = try NetworkNamespace.create(named: plan.underlayNamespace)
        var socket = try RouteSocket(in: underlay)
        try socket.createBridge(name: Self.bridge)
        let bridge = try index(of: Self.bridge, &socket)
        try socket.update(link: bridge, LinkChange(isUp: true, withoutIPv6LinkLocal: true))
        for node in plan.nodes {
            try createNode(node, underlay: &socket, bridge: bridge)
        }
        for endpoint in plan.endpoints {
            _ = try NetworkNamespace.create(named: endpoint.namespace)
        }
    }

    private func createNode(
        _ node: LabPlan.Node, underlay socket: inout RouteSocket, bridge: UInt32
    ) throws {
        let namespace = try NetworkNamespace.create(named: node.namespace)
        // Distributions set strict reverse paths, which hosts of pods don't have.
        for scope in ["all", "default"] {
            try namespace.setSysctl("net/ipv4/conf/\(scope)/rp_filter", to: "0")
        }
        try socket.createVeth(
            VethEnd(name: node.port), VethEnd(name: Self.interface, namespace: namespace))
        try socket.update(
            link: try index(of: node.port, &socket),
            LinkChange(isUp: true, master: bridge, withoutIPv6LinkLocal: true))
        var inside = try RouteSocket(in: namespace)
        for name in ["lo", Self.interface] {
            try inside.update(link: try index(of: name, &inside), LinkChange(isUp: true))
        }
        guard let address = NetworkAddress(node.underlay) else {
            throw LabError(.failed, "'\(node.underlay)' of node \(node.name) is no address")
        }
        try inside.add(
            InterfaceAddress(
                interface: try index(of: Self.interface, &inside), address: address,
                prefixLength: 16))
    }

    /// Pulls the nodes' cables, or puts them back.
    func setCables(of nodes: [LabPlan.Node], connected: Bool) throws {
        var cables = try LabCables(plan: plan, nodes: nodes)
        try cables.set(connected: connected)
    }

    /// Every namespace whose name is the lab's. Links go with their namespaces.
    static func remove(lab: String) throws(LabError) {
        let prefix = LabPlan.namespacePrefix(of: lab)
        do throws(NetlinkError) {
            for name in try NetworkNamespace.names() where name.hasPrefix(prefix) {
                try NetworkNamespace.delete(named: name)
            }
        } catch {
            throw LabError(.failed, "\(error)")
        }
    }
}

/// The cables of some nodes, looked up beforehand so that pulling them takes microseconds.
struct LabCables: ~Copyable {
    private var socket: RouteSocket
    private let ports: [UInt32]

    init(plan: LabPlan, nodes: [LabPlan.Node]) throws {
        var socket = try RouteSocket(in: try NetworkNamespace(named: plan.underlayNamespace))
        var ports: [UInt32] = []
        for node in nodes { ports.append(try index(of: node.port, &socket)) }
        self.socket = socket
        self.ports = ports
    }

    mutating func set(connected: Bool) throws {
        for port in ports { try socket.update(link: port, LinkChange(isUp: connected)) }
    }
}

/// - Throws: `.notFound` if the namespace has no link of that name.
func index(of name: String, _ socket: inout RouteSocket) throws -> UInt32 {
    guard let link = try socket.link(named: name) else {
        throw LabError(.notFound, "there is no link \(name) in the lab's namespace")
    }
    return link.index
}
