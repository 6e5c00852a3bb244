// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import MeshAdmin
import MeshLab
import MeshModel
import Netlink

/// What the agent of a relay costs among many clusters, of which few are in use: everything, with sealing,
/// links and system calls. The other clusters' relays are one process; what they cost isn't counted.
struct RelayCost {
    private static let lab = "benchrelay"
    private static let interface = "peers"
    private static let inUse = 20
    private static let measured = Duration.seconds(30)
    private static let startLimit = Duration.seconds(300)

    let weft: String
    let clusters: Int

    func run() async throws {
        let file = try LabFile.ofSingleNodes(["alpha"], name: "relay")
        try await withLab(Self.lab, file, weft: weft) { lab in
            let cluster = try lab.plan.cluster(named: "alpha")
            let node = cluster.nodes[0]
            try await lab.endAgents("alpha/\(node.name)", orderly: true)
            let keys = "\(lab.plan.stateFolder)/peers"
            let mesh = LargeMesh(
                clusters: clusters, endpoints: 4, services: clusters, shared: Self.inUse)
            try mesh.write(for: node, in: lab, keys: keys)
            let namespace = try lay(toward: node)
            let peers = try Subprocess([
                "nsenter", "--net=\(NetworkNamespace.path(of: namespace))", try ownExecutable(),
                RelayPeersCommand.name, "--mesh", lab.plan.mesh, "--clusters", "\(clusters)",
                "--in-use", "\(Self.inUse)", "--keys", keys, "--cluster", cluster.name,
                "--node", node.name, "--underlay", node.underlay,
                "--bundle", "\(lab.plan.manifestFolder(of: node))/../trust/ca.pem",
            ])
            let outcome: Result<Void, any Error>
            do {
                outcome = .success(try await measure(node, of: cluster, in: lab))
            } catch {
                outcome = .failure(error)
            }
            peers.end()
            try outcome.get()
        }
    }

    private func measure(
        _ node: LabPlan.Node, of cluster: LabPlan.Cluster, in lab: Lab
    ) async throws {
        try await lab.revive("alpha/\(node.name)")
        let agent = lab.agent(of: node, timeout: .seconds(60))
        _ = try await awaiting("all clusters to be up", atMost: Self.startLimit, every: .seconds(1))
        {
            let up = try await agent.clusters().count { !$0.isLocal && $0.verdict == .up }
            return up >= clusters ? true : nil
        }
        // What a start costs is over, and paths have learned their rhythm.
        try await Task.sleep(for: .seconds(15))
        let before = try AgentReading(of: node, in: cluster, lab, interface: Self.interface)
        let begin = monotonicNow()
        try await Task.sleep(for: Self.measured)
        let seconds = milliseconds(from: begin, to: monotonicNow()) / 1000
        let after = try AgentReading(of: node, in: cluster, lab, interface: Self.interface)
        let name = "health.relay.\(clusters)"
        Figure(
            "\(name).processor",
            (after.processorSeconds - before.processorSeconds) / seconds * 100, "% of a core"
        ).report()
        Figure("\(name).sent", (after.sent - before.sent) / seconds, "bytes/s").report()
        Figure("\(name).received", (after.received - before.received) / seconds, "bytes/s")
            .report()
        let up = try await agent.clusters().count { !$0.isLocal && $0.verdict == .up }
        Figure("\(name).up", Double(up), "clusters", goal: "value>=\(clusters)").report()
    }

    /// A namespace with the addresses of all clusters, and a cable to the node. It goes with the lab.
    ///
    /// - Returns: its name.
    private func lay(toward node: LabPlan.Node) throws -> String {
        let name = "weft-\(Self.lab)-peers"
        let peers = try NetworkNamespace.create(named: name)
        let inside = try NetworkNamespace(named: node.namespace)
        guard let relay = NetworkAddress(node.underlay),
            let mesh = NetworkAddress("\(LargeMesh.underlay)")
        else { throw LabError(.failed, "'\(node.underlay)' is no address") }
        for scope in ["all", "default"] {
            try peers.setSysctl("net/ipv4/conf/\(scope)/rp_filter", to: "0")
        }
        var far = try RouteSocket(in: peers)
        try far.createVeth(
            VethEnd(name: Self.interface), VethEnd(name: Self.interface, namespace: inside))
        for link in ["lo", Self.interface] {
            try far.update(link: try index(of: link, &far), LinkChange(isUp: true))
        }
        let loopback = try index(of: "lo", &far)
        for number in 0..<clusters {
            guard let address = NetworkAddress("\(LargeMesh.address(number))") else { continue }
            try far.add(
                InterfaceAddress(interface: loopback, address: address, prefixLength: 32))
        }
        var near = try RouteSocket(in: inside)
        let cable = try index(of: Self.interface, &near)
        try near.update(link: cable, LinkChange(isUp: true))
        try near.add(
            Route(
                to: mesh, prefixLength: LargeMesh.underlayLength, interface: cable,
                preferredSource: relay))
        try far.add(
            Route(to: relay, prefixLength: 32, interface: try index(of: Self.interface, &far)))
        return name
    }

    private func index(of name: String, _ socket: inout RouteSocket) throws -> UInt32 {
        guard let link = try socket.link(named: name) else {
            throw LabError(.notFound, "there is no link \(name)")
        }
        return link.index
    }
}
