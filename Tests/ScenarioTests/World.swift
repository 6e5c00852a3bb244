// SPDX-License-Identifier: Apache-2.0

import MeshDatapath
import MeshEtcd
import MeshKubernetes
import MeshModel
import MeshReplication
import MeshStore
import MeshTransport
import Testing

@testable import MeshAgent

/// Clusters 1, 2, … with nodes `a`, `b`, … each; `a` publishes. Every pair of nodes has a link: two
/// queues of frames, ordered and reliable. Where nodes have to dial, pairs of two clusters have one
/// only if either of them wants to, and health is simulated as well: see ``SimulatedHealth``.
///
/// Time is virtual and bounded: ``run(for:watching:)`` moves it in steps of 10 ms.
final class World {
    static let step = Duration.milliseconds(10)
    static let tick = Duration.milliseconds(100)
    static let latency = Duration.milliseconds(10)

    private struct Link {
        let ends: [NodeID]
        /// Frames under way to each end.
        var queues: [[(due: Instant, bytes: [UInt8])]] = [[], []]
        /// As each end knows it.
        let number: UInt64

        func id(_ end: Int) -> LinkID { LinkID(rawValue: number * 2 + UInt64(end)) }
    }

    private(set) var now = Instant(nanoseconds: 1_000_000_000_000)
    var nodes: [NodeID: SimulatedNode] = [:]
    private(set) var leases: [UInt16: SimulatedLease] = [:]
    private var links: [UInt64: Link] = [:]
    private var nextLink: UInt64 = 1
    private var nextTick: Instant
    private var severed: Set<Set<NodeID>> = []
    /// Nodes that are still to read their folder.
    var mute: [NodeID: Instant] = [:]
    /// What members of a cluster are about to find out about each other.
    var judgements: [Judgement] = []
    var heartbeats: [FlyingBeat] = []
    /// API servers of clusters that have one.
    var servers: [UInt16: SimulatedServer] = [:]
    let mustDial: Bool
    /// Whether nodes of a cluster are linked without being dialled.
    let listsNodes: Bool
    let authorities: SimulatedAuthorities
    /// Between clusters; heartbeats go on whatever streams do.
    var streams = Streams.flowing

    enum Streams {
        case flowing
        /// What is sent arrives when they flow again.
        case standing
        /// What is sent is lost, and nobody knows.
        case losing
    }

    /// - Parameters:
    ///   - candidates: nodes of each cluster that share a lease; one has it to itself.
    ///   - seeds: nodes of a cluster that others know by configuration, and have to dial; nil links all
    ///     nodes without.
    ///   - listsNodes: whether configurations do; otherwise servers have them.
    init(
        clusters: UInt16 = 3, nodesPerCluster: Int = 2, candidates: Int = 1,
        imports: AgentConfiguration.Imports = .everything, seeds: [String]? = nil,
        hasServers: Bool = false, listsNodes: Bool = true
    ) throws {
        nextTick = now
        mustDial = seeds != nil
        self.listsNodes = listsNodes
        authorities = SimulatedAuthorities((1...clusters).map { cluster($0) })
        for number in 1...clusters {
            leases[number] = SimulatedLease()
            if hasServers { servers[number] = SimulatedServer() }
        }
        for number in 1...clusters {
            for index in 0..<nodesPerCluster {
                let node = try Self.node(
                    number, index, of: nodesPerCluster, candidates: candidates, imports: imports,
                    seeds: seeds ?? [], clusters: clusters, authorities: authorities,
                    lease: leases[number]!, hasServer: hasServers, listsNodes: listsNodes)
                nodes[node.id] = node
            }
        }
        for id in ids { start(id, speakingAfter: .zero) }
    }

    private static func node(
        _ number: UInt16, _ index: Int, of count: Int, candidates: Int,
        imports: AgentConfiguration.Imports, seeds: [String],
        clusters: UInt16, authorities: SimulatedAuthorities, lease: SimulatedLease,
        hasServer: Bool, listsNodes: Bool
    ) throws -> SimulatedNode {
        func underlay(_ index: Int, _ number: UInt16 = number) -> Address {
            Address("192.0.2.\(Int(number) * 10 + index)")!
        }
        let id = id(number, name(index))
        var configuration = AgentConfiguration(
            mesh: "example", clusterName: ClusterName(rawValue: "c\(number)")!,
            cluster: cluster(number), node: id, zone: "",
            publisher: PublisherConfiguration(
                candidates: (0..<candidates).map(name),
                lease: candidates == 1
                    ? .fixed : .etcd(EtcdConfiguration(endpoints: [], credentials: nil)),
                store: .embedded),
            members: (listsNodes ? 0..<count : index..<index + 1).map {
                .init(name: name($0), address: underlay($0))
            },
            listsNodes: listsNodes,
            underlay: underlay(index), underlayInterface: "eth0",
            podPrefixes: [Prefix("10.\(number).\(index).0/24")!], ports: .init(),
            paths: .init(
                state: "/", bpf: "/", cgroup: "/", run: "/", manifests: "/", peers: "/",
                trust: "/"),
            healthProfile: .default, flowEvents: false, metricsPort: nil,
            imports: imports, identityLabels: .standard)
        if hasServer {
            configuration.kubernetes = KubernetesSettings(
                source: .inCluster(folder: nil), server: nil, nodeName: id.name)
        }
        let peers = (1...clusters).filter { $0 != number }.map { other in
            PeerCluster(
                name: ClusterName(rawValue: "c\(other)")!, id: cluster(other),
                addresses: (0..<count).filter { seeds.contains(name($0)) }.map {
                    TransportAddress(address: underlay($0, other), port: 4790)
                }, bundle: "",
                podPrefixes: [Prefix("10.\(other).0.0/16")!])
        }
        return SimulatedNode(
            configuration: configuration, peers: peers, authorities: authorities, lease: lease,
            disk: try ManifestsOnDisk(), datapath: try MemoryDatapath(node: id))
    }

    private static func name(_ index: Int) -> String {
        String(UnicodeScalar(UInt8(ascii: "a") + UInt8(index)))
    }

    static func id(_ number: UInt16, _ name: String) -> NodeID {
        NodeID(cluster: cluster(number), name: name)!
    }

    var ids: [NodeID] { nodes.keys.sorted() }

    // MARK: Time

    /// - Parameter watching: looked at after every step, with the kernel's maps brought up to date.
    func run(for duration: Duration, watching: () throws -> Void = {}) throws {
        let end = now + duration
        while now < end {
            now = now + Self.step
            for id in ids where mute[id].map({ $0 <= now }) == true {
                mute[id] = nil
                speak(id)
            }
            deliver()
            judge()
            beat()
            if now >= nextTick {
                nextTick = now + Self.tick
                if mustDial { dial() }
                for id in ids {
                    act(id) {
                        $0.tick(at: now, realTime: now.nanoseconds / 1_000_000_000, into: &$1)
                    }
                }
            }
            followServers()
            for id in ids { try nodes[id]?.reconcile(at: now) }
            try watching()
        }
    }

    private func deliver() {
        for number in links.keys.sorted() {
            if streams != .flowing, let link = links[number],
                link.ends[0].cluster != link.ends[1].cluster
            {
                if streams == .losing { links[number]?.queues = [[], []] }
                continue
            }
            for end in 0..<2 {
                while let frame = links[number]?.queues[end].first, frame.due <= now,
                    let link = links[number]
                {
                    links[number]?.queues[end].removeFirst()
                    act(link.ends[end]) {
                        $0.receive(frame.bytes, over: link.id(end), at: now, into: &$1)
                    }
                }
            }
        }
    }

    /// Does something with a live node's core, and what that wants done.
    func act(_ id: NodeID, _ body: (inout StateCore, inout [StateEffect]) -> Void) {
        var effects: [StateEffect] = []
        guard nodes[id]?.agent != nil else { return }
        body(&nodes[id]!.agent!.core, &effects)
        follow(nodes[id]!.perform(effects), at: id)
    }

    /// Sends, and tells the core what came of its wishes.
    private func follow(_ outcome: SimulatedNode.Outcome, at id: NodeID) {
        send(outcome.frames)
        tellHealth(outcome.health, of: id)
        if let durable = outcome.durable {
            act(id) { $0.durable(through: durable, at: now, into: &$1) }
        }
        if outcome.mustSpeak { speak(id) }
        for (answer, call) in outcome.answers {
            act(id) { $0.leaseAnswered(answer, to: call, at: now, into: &$1) }
        }
    }

    private func send(_ frames: [(bytes: [UInt8], link: LinkID)]) {
        for (bytes, link) in frames {
            let number = link.rawValue / 2
            let other = 1 - Int(link.rawValue % 2)
            links[number]?.queues[other].append((now + Self.latency, bytes))
        }
    }

    // MARK: What happens to nodes and links

    private func start(_ id: NodeID, speakingAfter delay: Duration) {
        let effects = nodes[id]!.start(at: now)
        follow(nodes[id]!.perform(effects), at: id)
        mute[id] = now + delay
        noteStart(of: id)
        for other in ids where other != id { connect(id, other) }
    }

    /// Links whoever wants to be linked and isn't.
    private func dial() {
        for (index, left) in ids.enumerated() {
            for right in ids[(index + 1)...] where !areLinked(left, right) { connect(left, right) }
        }
    }

    func areLinked(_ left: NodeID, _ right: NodeID) -> Bool {
        links.values.contains { Set($0.ends) == [left, right] }
    }

    /// Kills the agent; its maps, its folder and its endpoints stay.
    func kill(_ number: UInt16, _ name: String) {
        let id = Self.id(number, name)
        nodes[id]?.agent = nil
        noteDeath(of: id)
        for (number, link) in links where link.ends.contains(id) { disconnect(number) }
    }

    /// Starts the agent anew.
    ///
    /// - Parameter delay: until it has read its folder; its links are up before.
    func revive(_ number: UInt16, _ name: String, speakingAfter delay: Duration = .zero) {
        start(Self.id(number, name), speakingAfter: delay)
    }

    /// Cuts the link between two nodes: what is under way is lost.
    func sever(_ left: NodeID, _ right: NodeID) {
        severed.insert([left, right])
        for (number, link) in links where Set(link.ends) == [left, right] { disconnect(number) }
    }

    /// Cuts or mends every link of a node.
    func isolate(_ number: UInt16, _ name: String, _ isIsolated: Bool) {
        let id = Self.id(number, name)
        for other in ids where other != id {
            if isIsolated { sever(id, other) } else { mend(id, other) }
        }
    }

    /// What a node wrote down is gone.
    func loseDisk(_ number: UInt16, _ name: String) {
        nodes[Self.id(number, name)]?.ledgers = SimulatedDisk()
        leases[number]?.lose()
    }

    /// Gives a candidate a lease store of its own, as a store that split in two would.
    func splitLease(_ number: UInt16, _ name: String) {
        nodes[Self.id(number, name)]?.lease = leases[number]!.copy
    }

    func uniteLease(_ number: UInt16, _ name: String) {
        nodes[Self.id(number, name)]?.lease = leases[number]!
    }

    /// The journal of a node is gone; what its lease store holds isn't.
    func loseLedgers(_ number: UInt16, _ name: String) {
        nodes[Self.id(number, name)]?.ledgers = SimulatedDisk()
    }

    /// Connects two nodes that a cut separated; nothing happens to others.
    func mend(_ left: NodeID, _ right: NodeID) {
        guard severed.remove([left, right]) != nil else { return }
        connect(left, right)
    }

    private func connect(_ left: NodeID, _ right: NodeID) {
        guard nodes[left]?.agent != nil, nodes[right]?.agent != nil,
            !severed.contains([left, right]), !mustDial || wantsLink(left, right)
        else { return }
        let link = Link(ends: [left, right], number: nextLink)
        links[nextLink] = link
        nextLink += 1
        act(left) { $0.linkUp(link.id(0), to: right, into: &$1) }
        act(right) { $0.linkUp(link.id(1), to: left, into: &$1) }
    }

    private func disconnect(_ number: UInt64) {
        guard let link = links.removeValue(forKey: number) else { return }
        for end in 0..<2 { act(link.ends[end]) { $0.linkDown(link.id(end), into: &$1) } }
    }

    /// Puts a frame on the wire from one node to another that its core never sent.
    func forge(_ message: Message, from left: NodeID, to right: NodeID) {
        forge(message.encoded, from: left, to: right)
    }

    func forge(_ bytes: [UInt8], from left: NodeID, to right: NodeID) {
        for (number, link) in links where Set(link.ends) == [left, right] {
            let end = link.ends[0] == right ? 0 : 1
            links[number]?.queues[end].append((now + Self.latency, bytes))
        }
    }

    // MARK: What there is to see

    func node(_ number: UInt16, _ name: String) -> SimulatedNode { nodes[Self.id(number, name)]! }

    func core(_ number: UInt16, _ name: String) -> StateCore { node(number, name).agent!.core }

    /// A frontend as the kernel programs of a node find it, a line a slice; nil for none.
    func frontend(
        _ number: UInt16, _ name: String = "a", _ address: String = "10.96.0.1", port: UInt16 = 80,
        _ transport: TransportProtocol = .tcp
    ) -> [String]? {
        node(number, name).datapath.service(
            FrontendKey(address: Address(address)!, port: port, transport: transport))?.story
    }

    /// Addresses of endpoints that the kernel of a node knows.
    func endpoints(_ number: UInt16, _ name: String = "a") -> Set<String> {
        do throws(DatapathError) {
            return Set(try node(number, name).datapath.endpointAddresses().map(\.description))
        } catch {
            Issue.record(error)
            return []
        }
    }

    func row(_ number: UInt16, _ name: String, _ address: String) -> EndpointRow? {
        core(number, name).store.read { $0.endpoints[Address(address)!] }
    }

    /// Positions of an owner's ledger on every live node.
    func positions(of number: UInt16) -> Set<Position> {
        Set(
            ids.compactMap {
                nodes[$0]?.agent?.core.synchroniser.head(of: cluster(number))?.position
            })
    }

    var everyNode: [(number: UInt16, name: String)] {
        ids.map { ($0.cluster.rawValue, $0.name) }
    }
}
