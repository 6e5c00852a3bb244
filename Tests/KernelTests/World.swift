// SPDX-License-Identifier: Apache-2.0

import BPF
import CMeshABI
import MeshModel

/// TC actions that programs return.
enum Action {
    static let toHost: UInt32 = 0
    static let drop: UInt32 = 2
    static let redirect: UInt32 = 7
}

/// The two address families, with the addresses that a World gives them.
enum Family: String, CaseIterable, Sendable {
    case ipv4
    case ipv6

    func address(cluster: Int, host: Int) -> Address {
        Address(self == .ipv4 ? "10.\(cluster).0.\(host)" : "fd00:\(cluster)::\(host)")!
    }

    /// Two endpoints of this node, one of each other cluster, an address of nobody, the service.
    var client: Address { address(cluster: 1, host: 2) }
    var neighbour: Address { address(cluster: 1, host: 3) }
    var remote: Address { address(cluster: 2, host: 2) }
    var service: Address { address(cluster: 96, host: 1) }
    var outside: Address { Address(self == .ipv4 ? "198.51.100.7" : "2001:db8::7")! }
    var headerBytes: Int { self == .ipv4 ? 20 : 40 }
}

extension weft_address {
    init(_ address: Address) {
        self.init(
            word0: UInt32(truncatingIfNeeded: address.high >> 32).bigEndian,
            word1: UInt32(truncatingIfNeeded: address.high).bigEndian,
            word2: UInt32(truncatingIfNeeded: address.low >> 32).bigEndian,
            word3: UInt32(truncatingIfNeeded: address.low).bigEndian)
    }
}

extension Address {
    init(_ address: weft_address) {
        self.init(
            high: UInt64(address.word0.bigEndian) << 32 | UInt64(address.word1.bigEndian),
            low: UInt64(address.word2.bigEndian) << 32 | UInt64(address.word3.bigEndian))
    }
}

/// What a test run came to.
struct Outcome {
    let action: UInt32
    let bytes: [UInt8]
    /// skb->cb[]: what the test programs tell of the tunnel's metadata.
    let metadata: [UInt32]

    var packet: PacketReading { PacketReading(bytes) }
}

/// The datapath of a node in cluster 1, loaded and attached to nothing.
///
/// Clusters 2 and 3 have a node and an endpoint each. Packets of test runs arrive on the loopback
/// device of the thread's namespace, which therefore is every local endpoint's veth.
final class World {
    static let ownCluster: UInt16 = 1
    static let loopback: UInt32 = 1
    static let outerSource = Address("192.0.2.1")!

    let object: LoadedObject
    let clusters: MappedArray<UInt64>
    let nodes: MappedArray<UInt64>
    let services: MappedArray<UInt64>
    let lists: MappedArray<weft_slice>
    let backends: MappedArray<weft_backend>
    let tunnels: MappedArray<weft_tunnel>
    let frontends: HashMap<weft_frontend_key, weft_service_slot>
    let endpoints: HashMap<weft_address, weft_endpoint>
    let outerSources: HashMap<weft_address, weft_outer_source>
    let prefixes: LongestPrefixMap<weft_prefix_key, weft_cluster_settings>
    let settings: ArrayMap<weft_cluster_settings>
    let connections: HashMap<weft_connection_key, weft_connection>
    let evidence: HashMap<weft_evidence_key, weft_evidence>
    let counters: PerCPUArrayMap<weft_count>
    let events: RingBuffer
    let policySets: MappedArray<UInt64>
    let policyPeers: HashMap<weft_policy_peer_key, UInt64>
    let policyIntervals: MappedArray<UInt64>
    let policyBlocks: LongestPrefixMap<weft_policy_block_key, UInt32>
    let policyKnown: HashMap<weft_policy_known_key, UInt32>
    var nextInterval = 1
    private var nextBackend = 0
    private var nextList = 1

    /// - Parameters:
    ///   - programs: those to load.
    ///   - test: an object of bpf/tests instead of the one that ships.
    init(
        _ programs: [String] = ["weft_from_endpoint"], test: String? = nil,
        connections capacity: Int = 1024, configure: (inout weft_config) -> Void = { _ in }
    ) throws {
        let object = try Self.open(test)
        for name in object.programNames where !programs.contains(name) {
            try object.setAutoload(false, program: name)
        }
        try object.setMaxEntries(capacity, of: "weft_connections")
        var config = Self.config
        configure(&config)
        try object.setConstant(config, named: "weft_config")
        let loaded = try object.load()
        clusters = try MappedArray(loaded.map(named: "weft_clusters"))
        nodes = try MappedArray(loaded.map(named: "weft_nodes"))
        services = try MappedArray(loaded.map(named: "weft_services"))
        lists = try MappedArray(loaded.map(named: "weft_lists"))
        backends = try MappedArray(loaded.map(named: "weft_backends"))
        tunnels = try MappedArray(loaded.map(named: "weft_tunnels"))
        frontends = try HashMap(loaded.map(named: "weft_frontends"))
        endpoints = try HashMap(loaded.map(named: "weft_endpoints"))
        outerSources = try HashMap(loaded.map(named: "weft_outer_sources"))
        prefixes = try LongestPrefixMap(loaded.map(named: "weft_prefixes"))
        settings = try ArrayMap(loaded.map(named: "weft_cluster_settings"))
        connections = try HashMap(loaded.map(named: "weft_connections"))
        evidence = try HashMap(loaded.map(named: "weft_evidence"))
        counters = try PerCPUArrayMap(loaded.map(named: "weft_counters"))
        events = try RingBuffer(loaded.map(named: "weft_events"))
        policySets = try MappedArray(loaded.map(named: "weft_policy_sets"))
        policyPeers = try HashMap(loaded.map(named: "weft_policy_peers"))
        policyIntervals = try MappedArray(loaded.map(named: "weft_policy_intervals"))
        policyBlocks = try LongestPrefixMap(loaded.map(named: "weft_policy_blocks"))
        policyKnown = try HashMap(loaded.map(named: "weft_policy_known"))
        self.object = loaded
        try populate()
    }

    /// A node whose host side is tested, too.
    static func withHost(
        connections capacity: Int = 1024, configure: (inout weft_config) -> Void = { _ in }
    ) throws -> World {
        let world = try World(
            ["weft_from_endpoint", "weft_to_endpoint"], connections: capacity,
            configure: configure)
        // As the agent does: this node is among the nodes that packets may come from.
        try world.outerSources.update(
            weft_address(outerSource),
            weft_outer_source(node: UInt32(WEFT_NODE_LOCAL), cluster: 1, pad: 0))
        return world
    }

    /// A node that runs the test programs of bpf/tests/overlay.c.
    static func withOverlay(configure: (inout weft_config) -> Void = { _ in }) throws -> World {
        try World(
            [
                "weft_test_from_overlay", "weft_test_from_endpoint", "weft_to_endpoint",
            ], test: "overlay",
            configure: configure)
    }

    private static let config: weft_config = {
        var config = weft_config()
        config.outer_source = weft_address(outerSource)
        config.cluster = ownCluster
        config.underlay_mtu = 1500
        config.overlay_ifindex = 42
        config.initial_identity = World.identity(cluster: 1, 5)
        config.flow_events = 1
        config.tcp_idle_nanoseconds = 3_600_000_000_000
        config.tcp_opening_nanoseconds = 60_000_000_000
        config.other_idle_nanoseconds = 60_000_000_000
        return config
    }()

    private static func open(_ test: String?) throws -> BPFObject {
        guard let test else {
            return try BPFObject(
                bytes: UnsafeRawBufferPointer(
                    start: weft_object_bytes(), count: Int(weft_object_size())),
                name: "weft")
        }
        let bytes = try contents(ofTestObject: test)
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 8)
        defer { copy.deallocate() }
        copy.copyBytes(from: bytes)
        return try BPFObject(bytes: UnsafeRawBufferPointer(copy), name: test)
    }

    private func populate() throws {
        for cluster in 1...3 {
            setCluster(cluster, .up)
            let node = Self.node(cluster: cluster)
            setNode(node, .up)
            let outer = Self.outer(cluster: cluster)
            if cluster != 1 {
                tunnels[node] = weft_tunnel(
                    address: weft_address(outer), cluster: UInt16(cluster), mtu: 0, pad: 0)
                try outerSources.update(
                    weft_address(outer),
                    weft_outer_source(node: UInt32(node), cluster: UInt16(cluster), pad: 0))
            }
            for family in Family.allCases {
                try prefixes.update(
                    weft_prefix_key(
                        length: family == .ipv4 ? 112 : 32,
                        address: weft_address(family.address(cluster: cluster, host: 0))),
                    weft_cluster_settings(cluster: UInt16(cluster), source_check: 0, pad: 0))
            }
        }
        for family in Family.allCases {
            try addEndpoint(family.client, cluster: 1)
            try addEndpoint(family.neighbour, cluster: 1)
            try addEndpoint(family.remote, cluster: 2)
            try addEndpoint(family.address(cluster: 3, host: 2), cluster: 3)
        }
    }

    // MARK: - Tables

    static func identity(cluster: Int, _ local: UInt32) -> UInt32 { UInt32(cluster) << 20 | local }
    static func node(cluster: Int) -> Int { cluster == 1 ? 0 : cluster * 10 }
    static func outer(cluster: Int) -> Address { Address("192.0.2.\(cluster * 10)")! }

    /// The identity that addEndpoint gives without being told.
    static func identity(of address: Address) -> UInt32 {
        let bytes = address.bytes
        let cluster = address.isIPv4 ? Int(bytes[13]) : Int(bytes[3])
        return identity(cluster: cluster, 256 + UInt32(bytes[15]))
    }

    func setCluster(_ id: Int, _ verdict: Verdict, weight: UInt8? = nil, generation: UInt32 = 1) {
        clusters[id] = Self.word(verdict, weight, generation)
    }

    func setNode(_ index: Int, _ verdict: Verdict, weight: UInt8? = nil, generation: UInt32 = 1) {
        nodes[index] = Self.word(verdict, weight, generation)
    }

    private static func word(_ verdict: Verdict, _ weight: UInt8?, _ generation: UInt32) -> UInt64 {
        LivenessWord(
            verdict: verdict, weight: weight ?? (verdict == .up ? 255 : 0), generation: generation
        ).rawValue
    }

    func addEndpoint(
        _ address: Address, cluster: Int, node: Int? = nil, policySet: UInt32 = 0,
        flags: weft_endpoint_flag? = nil
    ) throws {
        var endpoint = weft_endpoint()
        endpoint.identity = Self.identity(of: address)
        endpoint.node = UInt32(node ?? Self.node(cluster: cluster))
        endpoint.policy_set = policySet
        if cluster == 1 {
            endpoint.ifindex = Self.loopback
            endpoint.mac_low = UInt32(bigEndian: 0x0a00_0000)
            endpoint.mac_high = UInt16(address.bytes[15]).bigEndian
            endpoint.flags = UInt16(WEFT_ENDPOINT_LOCAL.rawValue)
        }
        endpoint.flags |= UInt16(flags?.rawValue ?? 0)
        try endpoints.update(weft_address(address), endpoint)
    }

    static func mac(of address: Address) -> [UInt8] { [0x0a, 0, 0, 0, 0, address.bytes[15]] }

    /// One cluster's part of a service.
    struct Slice {
        var cluster: Int
        var tier: UInt8 = 0
        var weight: UInt8 = 1
        var backends: [Peer]
        /// Node of each backend; the cluster's one node if there are fewer.
        var nodes: [Int] = []
    }

    /// Publishes a service in slot `slot`.
    func addService(
        _ frontend: Peer, protocol transport: UInt8 = IPProtocol.tcp, slot: Int = 1,
        affinitySeconds: UInt32 = 0, generation: UInt32 = 1, _ slices: [Slice]
    ) throws {
        let header = nextList
        var list = weft_list()
        list.slices = UInt32(slices.count)
        list.affinity_seconds = affinitySeconds
        lists[header] = unsafeBitCast(list, to: weft_slice.self)
        nextList += 1 + slices.count
        for (index, slice) in slices.enumerated() {
            lists[header + 1 + index] = weft_slice(
                cluster: UInt16(slice.cluster), tier: slice.tier, weight: slice.weight,
                first: UInt32(nextBackend), count: UInt32(slice.backends.count), pad: 0)
            for (place, backend) in slice.backends.enumerated() {
                let node =
                    place < slice.nodes.count
                    ? slice.nodes[place] : Self.node(cluster: slice.cluster)
                backends[nextBackend] = weft_backend(
                    address: weft_address(backend.address), port: backend.port.bigEndian,
                    cluster: UInt16(slice.cluster), node: UInt32(node))
                nextBackend += 1
            }
        }
        services[slot] = UInt64(generation) << 32 | UInt64(header)
        try frontends.update(
            weft_frontend_key(
                address: weft_address(frontend.address), port: frontend.port.bigEndian,
                protocol: transport, pad: 0),
            weft_service_slot(slot))
    }

    // MARK: - Test runs

    /// Runs from-endpoint on a packet that an endpoint sent.
    func send(_ bytes: [UInt8], segmentSize: UInt32 = 0) throws -> Outcome {
        let name =
            object.programNames.contains("weft_test_from_endpoint")
            ? "weft_test_from_endpoint" : "weft_from_endpoint"
        var context = PacketContext()
        context.segmentSize = segmentSize
        return try run(name, bytes, context)
    }

    /// Runs from-overlay on a packet that arrived from another node.
    ///
    /// - Parameters:
    ///   - outer: outer source; nil: the packet has no tunnel metadata.
    ///   - groupPolicy: the group policy field, by default as the identity needs it.
    func receive(
        _ bytes: [UInt8], outer: Address?, identity: UInt32, groupPolicy: UInt32? = nil
    ) throws -> Outcome {
        var context = PacketContext()
        context.network = identity & 0xff_ffff
        context.groupPolicy = groupPolicy ?? (0x8000 | identity >> 24)
        context.outerSource = outer?.ipv4 ?? 0
        return try run("weft_test_from_overlay", bytes, context)
    }

    /// As the other node of `cluster` would send it.
    func receive(_ bytes: [UInt8], cluster: Int = 2) throws -> Outcome {
        try receive(
            bytes, outer: Self.outer(cluster: cluster),
            identity: Self.identity(of: PacketReading(bytes).source))
    }

    /// Runs to-endpoint on a packet that the host's stack sends.
    ///
    /// - Parameter ingress: where it came in; 0: the host made it.
    func pass(_ bytes: [UInt8], from ingress: UInt32 = 0) throws -> Outcome {
        var context = PacketContext()
        context.ingressInterface = ingress
        return try run("weft_to_endpoint", bytes, context)
    }

    private func run(
        _ program: String, _ bytes: [UInt8], _ context: PacketContext
    ) throws -> Outcome {
        var context = context
        let run = try object.program(named: program).testRun(data: bytes, context: &context)
        return Outcome(action: run.returnValue, bytes: run.data, metadata: context.metadata)
    }

    // MARK: - Readings

    func count(_ reason: weft_drop_reason) throws -> UInt64 { try count(reason.rawValue) }
    func count(_ counter: weft_counter) throws -> UInt64 { try count(counter.rawValue) }

    private func count(_ index: UInt32) throws -> UInt64 {
        try counters.sum(Int(index), weft_count()) { $0.packets += $1.packets }.packets
    }

    func takeEvents() throws -> [weft_event] {
        var taken: [weft_event] = []
        try events.consume { taken.append($0.loadUnaligned(as: weft_event.self)) }
        return taken
    }

    /// The entries of the connection table that are connections, not forward entries.
    func openConnections() throws -> [weft_connection] {
        var entries: [weft_connection] = []
        try connections.walk { key, entry in
            if key.scope == 0 { entries.append(entry) }
            return true
        }
        return entries
    }
}
