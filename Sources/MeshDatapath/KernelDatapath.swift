// SPDX-License-Identifier: Apache-2.0

internal import BPF
internal import CMeshABI
internal import Synchronization

/// The programs and maps of this node.
///
/// Maps and attachments are pinned, so that they outlive the process: a new one takes over the maps
/// with what they hold and replaces the programs in one step. No packet meets a node without them.
public final class KernelDatapath: Datapath {
    public let core: DatapathCore
    public let beats: OverlayBeats
    let pins: PinLayout
    let endpointPrograms: EndpointPrograms
    private let countersMap: PerCPUArrayMap<weft_count>
    private let connectionsMap: HashMap<weft_connection_key, weft_connection>
    private let events: Mutex<RingBuffer>
    private let observed: [MapReading]

    /// Loads the programs, takes over pinned maps, attaches to the overlay device, the cgroup and
    /// every endpoint interface that an earlier process left.
    ///
    /// Call it on a thread in the node's network namespace.
    ///
    /// - Throws: ``DatapathError`` with the verifier's words, or naming the pinned map that does not
    ///   fit. What was there before is unchanged: maps, pins and running programs.
    public convenience init(_ configuration: DatapathConfiguration) throws {
        do {
            let object = try Self.load(configuration)
            try self.init(object, configuration)
        } catch let error as BPFError {
            throw DatapathError.kernel(error)
        }
    }

    private convenience init(
        _ object: borrowing LoadedObject, _ configuration: DatapathConfiguration
    ) throws {
        let pins = PinLayout(configuration.pinDirectory)
        let nodeNames = try Self.nodeNames(pins)
        let writes = WriteCounter()
        let storage = try Storage.inKernel(object, try nodeNames.reopened(), writes)
        let core = try DatapathCore(
            storage, local: configuration.node, writes: writes, reclamation: .afterReaders)
        let programs = try EndpointPrograms.of(object)
        let counters = try PerCPUArrayMap<weft_count>(try object.map(named: MapName.counters))
        let connections = try HashMap<weft_connection_key, weft_connection>(
            try object.map(named: MapName.connections))
        let events = try RingBuffer(try object.map(named: MapName.events))
        let beats = OverlayBeats(
            sender: try object.program(named: ProgramName.sendBeat),
            ring: try RingBuffer(try object.map(named: MapName.beats)))
        try Self.pin(object, nodeNames, pins) { () throws(BPFError) in
            try Self.attach(object, configuration, pins)
        }
        self.init(
            core, pins, programs, counters, connections, events, beats,
            observed: try Self.observedMaps(object))
    }

    // Nothing throws here: see the note in BPFMap.
    private init(
        _ core: DatapathCore, _ pins: PinLayout, _ programs: consuming EndpointPrograms,
        _ counters: consuming PerCPUArrayMap<weft_count>,
        _ connections: consuming HashMap<weft_connection_key, weft_connection>,
        _ events: consuming RingBuffer, _ beats: OverlayBeats, observed: [MapReading]
    ) {
        self.core = core
        self.beats = beats
        self.pins = pins
        self.observed = observed
        endpointPrograms = programs
        countersMap = counters
        connectionsMap = connections
        eventDescriptor = events.pollDescriptor
        self.events = Mutex(events)
    }

    public let eventDescriptor: Int32?

    public func counters() throws(DatapathError) -> [CounterReading] {
        var readings: [CounterReading] = []
        for subject in CounterReading.Subject.all {
            let sum: weft_count
            do {
                sum = try countersMap.sum(subject.index, weft_count()) {
                    $0.packets += $1.packets
                    $0.bytes += $1.bytes
                }
            } catch {
                throw .kernel(error)
            }
            readings.append(
                CounterReading(subject: subject, packets: sum.packets, bytes: sum.bytes))
        }
        return readings
    }

    public func connections(
        limit: Int, where isWanted: (ConnectionReading) -> Bool
    ) throws(DatapathError) -> [ConnectionReading] {
        var readings: [ConnectionReading] = []
        guard limit > 0 else { return [] }
        do {
            try connectionsMap.walk { key, value in
                if let reading = ConnectionReading(key, value), isWanted(reading) {
                    readings.append(reading)
                }
                return readings.count < limit
            }
        } catch {
            throw .kernel(error)
        }
        return readings
    }

    public func connection(
        _ one: FlowAddress, _ other: FlowAddress, over transport: UInt8
    ) throws(DatapathError) -> ConnectionReading? {
        let key = weft_connection_key(one, other, over: transport)
        do {
            return try connectionsMap.lookup(key).flatMap { ConnectionReading(key, $0) }
        } catch {
            throw .kernel(error)
        }
    }

    @discardableResult
    public func consumeEvents(_ body: (FlowEvent) -> Void) throws(DatapathError) -> Int {
        do {
            return try events.withLock { ring throws(BPFError) in
                try ring.consume { bytes in
                    guard bytes.count >= MemoryLayout<weft_event>.size,
                        let event = FlowEvent(bytes.loadUnaligned(as: weft_event.self))
                    else { return }
                    body(event)
                }
            }
        } catch {
            throw .kernel(error)
        }
    }

    public func mapUsage() throws(DatapathError) -> [MapReading] {
        try (core.mapUsage() + observed).sorted { $0.name < $1.name }
    }

    public func countedEntries() throws(DatapathError) -> [String: Int] {
        func map(_ name: String) throws(BPFError) -> BPFMap {
            try BPFMap(pinnedAt: "\(pins.maps)/\(name)", name: name)
        }
        do {
            return [
                MapName.connections: try connectionsMap.count(),
                MapName.affinity: try HashMap<weft_affinity_key, weft_affinity>(
                    try map(MapName.affinity)
                ).count(),
                MapName.udpPeers: try HashMap<weft_udp_peer_key, weft_udp_peer>(
                    try map(MapName.udpPeers)
                ).count(),
                MapName.evidence: try HashMap<weft_evidence_key, weft_evidence>(
                    try map(MapName.evidence)
                ).count(),
            ]
        } catch {
            throw .kernel(error)
        }
    }
}
