// SPDX-License-Identifier: Apache-2.0

internal import CMeshABI
public import MeshModel
internal import Synchronization

/// A datapath without a kernel, for scenarios: the same tables, bounds, errors and write counts,
/// over maps of plain memory. Packets don't flow; what programs would tell is put in by the test.
public final class MemoryDatapath: Datapath {
    public let core: DatapathCore

    private struct Told {
        var interfaces: Set<UInt32> = []
        var counters: [CounterReading] = []
        var connections: [ConnectionReading] = []
        var events: [FlowEvent] = []
    }

    private let told = Mutex(Told())

    /// - Parameter node: the local one; has index 0.
    public init(node: NodeID, capacities: MapCapacities = MapCapacities()) throws(DatapathError) {
        let writes = WriteCounter()
        core = try DatapathCore(
            .inMemory(capacities, writes), local: node, writes: writes, reclamation: .immediate)
    }

    /// Interfaces whose programs are in place.
    public var attachedInterfaces: Set<UInt32> { told.withLock { $0.interfaces } }

    public func attach(endpointInterface interface: UInt32) {
        told.withLock { _ = $0.interfaces.insert(interface) }
    }

    public func detach(endpointInterface interface: UInt32) {
        told.withLock { _ = $0.interfaces.remove(interface) }
    }

    public func isAttached(endpointInterface interface: UInt32) -> Bool {
        told.withLock { $0.interfaces.contains(interface) }
    }

    /// Replaces what ``counters()``, ``connections(limit:)`` and ``connection(_:_:over:)`` say.
    public func set(counters: [CounterReading], connections: [ConnectionReading]) {
        told.withLock {
            $0.counters = counters
            $0.connections = connections
        }
    }

    /// Puts evidence where programs would, over what stood there.
    public func note(_ evidence: BackendEvidence) throws(DatapathError) {
        let node = evidence.node.flatMap(nodeIndex) ?? UInt32(WEFT_NODE_UNKNOWN)
        try core.storage.evidence.update(
            weft_evidence_key(evidence.backend), weft_evidence(evidence, node: node),
            for: "noting evidence")
    }

    /// Lets an event wait for ``consumeEvents(_:)``.
    public func emit(_ event: FlowEvent) { told.withLock { $0.events.append(event) } }

    public func counters() -> [CounterReading] { told.withLock { $0.counters } }

    public func connections(
        limit: Int, where isWanted: (ConnectionReading) -> Bool
    ) -> [ConnectionReading] {
        Array(told.withLock { $0.connections }.filter(isWanted).prefix(limit))
    }

    public func connection(
        _ one: FlowAddress, _ other: FlowAddress, over transport: UInt8
    ) -> ConnectionReading? {
        told.withLock {
            $0.connections.first {
                $0.transport == transport && [$0.opener.at, $0.replier.at] == [one, other]
            }
        }
    }

    public var eventDescriptor: Int32? { nil }

    @discardableResult
    public func consumeEvents(_ body: (FlowEvent) -> Void) -> Int {
        let events = told.withLock { told in
            defer { told.events = [] }
            return told.events
        }
        for event in events { body(event) }
        return events.count
    }

    public func mapUsage() throws(DatapathError) -> [MapReading] { try core.mapUsage() }
}
