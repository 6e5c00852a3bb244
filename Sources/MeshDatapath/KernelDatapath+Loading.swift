// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import CMeshABI
internal import MeshModel

/// Names of the programs in the object.
enum ProgramName {
    static let fromEndpoint = "weft_from_endpoint"
    static let toEndpoint = "weft_to_endpoint"
    static let fromOverlay = "weft_from_overlay"
    static let fromUnderlay = "weft_from_underlay"
    static let sendBeat = "weft_send_beat"
    static let socket = [
        "weft_connect4", "weft_connect6", "weft_sendmsg4", "weft_sendmsg6", "weft_recvmsg4",
        "weft_recvmsg6", "weft_getpeername4", "weft_getpeername6",
    ]
}

extension KernelDatapath {
    /// Sizes and configures the embedded object and loads it over the pinned maps.
    static func load(_ configuration: DatapathConfiguration) throws(BPFError) -> LoadedObject {
        let object = try BPFObject(
            bytes: UnsafeRawBufferPointer(
                start: weft_object_bytes(), count: Int(weft_object_size())),
            name: "weft")
        for (map, capacity) in configuration.capacities.byMap {
            try object.setMaxEntries(capacity, of: map)
        }
        try object.setConstant(weft_config(configuration), named: "weft_config")
        _ = try object.reusePinnedMaps(in: PinLayout(configuration.pinDirectory).maps)
        return try object.load()
    }

    /// The agent's own map: pinned beside the object's, so that both live equally long.
    static func nodeNames(_ pins: PinLayout) throws(BPFError) -> BPFMap {
        let path = "\(pins.maps)/\(MapName.nodeNames)"
        do {
            return try BPFMap(pinnedAt: path, name: MapName.nodeNames)
        } catch {
            guard error.code == .notFound else { throw error }
            return try BPFMap(
                creating: .hash, name: MapName.nodeNames, keySize: 4,
                valueSize: MemoryLayout<NodeNameRecord>.size,
                maxEntries: WEFT_NODES_MAX, flags: .noPreallocation)
        }
    }

    /// Maps of the object that ``DatapathCore/mapUsage()`` doesn't know: programs write them.
    static func observedMaps(_ object: borrowing LoadedObject) throws(BPFError) -> [MapReading] {
        var readings: [MapReading] = []
        for name in object.mapNames where !DatapathCore.countedMaps.contains(name) {
            let info = try object.map(named: name).info
            readings.append(
                MapReading(
                    name: name, kind: info.typeName, keyBytes: Int(info.keySize),
                    valueBytes: Int(info.valueSize), capacity: Int(info.maxEntries), entries: nil))
        }
        return readings
    }
}

extension MapCapacities {
    var byMap: [(String, Int)] {
        [
            (MapName.frontends, frontends), (MapName.services, frontends),
            (MapName.lists, lists), (MapName.backends, backends),
            (MapName.endpoints, endpoints), (MapName.connections, connections),
            (MapName.affinity, affinities), (MapName.udpPeers, udpPeers),
            (MapName.prefixes, prefixes), (MapName.evidence, evidence),
            (MapName.policySets, policySets), (MapName.policyPeers, policyPeers),
            (MapName.policyIntervals, policyIntervals), (MapName.policyBlocks, policyBlocks),
            (MapName.policyKnown, policyKnown), (MapName.events, eventBytes),
        ]
    }
}

extension weft_config {
    init(_ configuration: DatapathConfiguration) {
        func nanoseconds(_ duration: Duration) -> UInt64 {
            UInt64(clamping: duration.nanoseconds)
        }
        self.init()
        outer_source = weft_address(configuration.underlayAddress)
        cluster = configuration.node.cluster.rawValue
        underlay_mtu = configuration.underlayMTU
        overlay_ifindex = configuration.overlayInterface
        initial_identity =
            Identity(cluster: configuration.node.cluster, reserved: .initializing).rawValue
        flow_events = configuration.flowEvents ? 1 : 0
        tcp_idle_nanoseconds = nanoseconds(configuration.timeouts.tcpIdle)
        tcp_opening_nanoseconds = nanoseconds(configuration.timeouts.tcpOpening)
        other_idle_nanoseconds = nanoseconds(configuration.timeouts.otherIdle)
        denied_answer = configuration.deniedAnswer.rawValue
        health_port = (configuration.responder?.port ?? 0).bigEndian
    }
}

extension Storage {
    static func inKernel(
        _ object: borrowing LoadedObject, _ nodeNames: consuming BPFMap, _ writes: WriteCounter
    ) throws(BPFError) -> Storage {
        Storage(
            frontends: KernelMap(
                try HashMap(try object.map(named: MapName.frontends)), writes),
            services: KernelWords(
                try MappedArray(try object.map(named: MapName.services)), writes),
            lists: KernelSlab(try MappedArray(try object.map(named: MapName.lists)), writes),
            backends: KernelSlab(
                try MappedArray(try object.map(named: MapName.backends)), writes),
            clusters: KernelWords(
                try MappedArray(try object.map(named: MapName.clusters)), writes),
            nodes: KernelWords(try MappedArray(try object.map(named: MapName.nodes)), writes),
            nodeNames: KernelMap(try HashMap(nodeNames), writes),
            tunnels: KernelArray(try ArrayMap(try object.map(named: MapName.tunnels)), writes),
            outerSources: KernelMap(
                try HashMap(try object.map(named: MapName.outerSources)), writes),
            endpoints: KernelMap(
                try HashMap(try object.map(named: MapName.endpoints)), writes),
            prefixes: KernelMap(
                try LongestPrefixMap(try object.map(named: MapName.prefixes)), writes),
            clusterSettings: KernelArray(
                try ArrayMap(try object.map(named: MapName.clusterSettings)), writes),
            evidence: KernelMap(try HashMap(try object.map(named: MapName.evidence)), writes),
            responder: KernelWords(
                try MappedArray(try object.map(named: MapName.responder)), writes),
            policySets: KernelWords(
                try MappedArray(try object.map(named: MapName.policySets)), writes),
            policyPeers: KernelMap(
                try HashMap(try object.map(named: MapName.policyPeers)), writes),
            policyIntervals: KernelSlab(
                try MappedArray(try object.map(named: MapName.policyIntervals)), writes),
            policyBlocks: KernelMap(
                try LongestPrefixMap(try object.map(named: MapName.policyBlocks)), writes),
            policyKnown: KernelMap(
                try HashMap(try object.map(named: MapName.policyKnown)), writes))
    }
}
