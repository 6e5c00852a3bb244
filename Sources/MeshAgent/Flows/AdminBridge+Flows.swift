// SPDX-License-Identifier: Apache-2.0

import MeshAdmin
import MeshDatapath
import MeshModel
import MeshReplication
import MeshStore
import MeshTransport
import Synchronization

/// Flows that readers of this node were too slow for.
final class FlowLosses: Sendable {
    private let losses = Mutex<UInt64>(0)

    var count: UInt64 { losses.withLock { $0 } }
    func add(_ lost: UInt64) { losses.withLock { $0 += lost } }
}

/// Where readers of flows get them.
protocol FlowSource: Sendable {
    var hub: FlowHub<FlowEvent> { get }
    var exchange: FlowExchange { get }
    /// Flows that readers were too slow for.
    var readerLosses: FlowLosses { get }
    /// `CLUSTER/NODE`.
    var nodeName: String { get }
    func name(of node: NodeID) -> String
    /// Of this cluster, as they are known now.
    func otherNodes() async -> [NodeID]
    /// Since the programs were loaded.
    var flowsLostByKernel: UInt64 { get }
    func flow(_ event: FlowEvent, _ names: inout FlowNames) async -> Flow
}

extension AdminBridge: FlowSource {
    func flows(_ question: FlowQuestion) async throws -> AsyncStream<FlowLine> {
        let reader = FlowReader(self, question)
        return AsyncStream { await reader.next() }
    }

    var nodeName: String { name(of: configuration.node) }

    func name(of node: NodeID) -> String { "\(configuration.clusterName)/\(node.name)" }

    /// Those that are listed by now, and those that say that they are there.
    func otherNodes() async -> [NodeID] {
        let listed = await state.members.compactMap {
            NodeID(cluster: configuration.cluster, name: $0.name)
        }
        let known = store.snapshot().nodes.rows.map(\.id).filter {
            $0.cluster == configuration.cluster
        }
        return Set(listed + known).subtracting([configuration.node]).sorted()
    }

    /// Since the programs were loaded; 0 where that can't be read.
    var flowsLostByKernel: UInt64 {
        do throws(DatapathError) {
            return try datapath.counters().first { $0.subject == .counter(.eventsLost) }?.packets
                ?? 0
        } catch {
            return 0
        }
    }

    func flow(_ event: FlowEvent, _ names: inout FlowNames) async -> Flow {
        let tables = store.snapshot()
        let now = Instant.monotonicNow
        let ago = now - Instant(nanoseconds: event.nanoseconds)
        let kind: Flow.Kind =
            switch event.kind {
            case .opened: .opened
            case .closed: .closed
            case .denied: .denied
            case .dropped: .dropped
            case .reset: .reset
            case .audited: .audited
            }
        func service(_ side: FlowSide, _ frontend: FlowAddress? = nil) -> String? {
            services.service(of: frontend ?? side.at, event.transport, tables, at: now)
                .map(\.description)
        }
        var source = await peer(event.source, tables, &names)
        source.service = service(event.source)
        var destination = await peer(event.destination, tables, &names)
        destination.service =
            event.frontend.flatMap { service(event.destination, $0) } ?? service(event.destination)
        return Flow(
            timeUnixMilliseconds: Int64(realTimeNanoseconds() / 1_000_000)
                - ago.nanoseconds / 1_000_000,
            node: nodeName, type: kind, verdict: event.kind.verdict,
            transport: transportName(event.transport), source: source, destination: destination,
            frontend: event.frontend.map(\.text), reason: event.reason?.label,
            policy: await explanation(of: event.policy),
            packets: event.packets, bytes: event.bytes)
    }

    private func peer(
        _ side: FlowSide, _ tables: MeshTables, _ names: inout FlowNames
    ) async -> FlowPeer {
        let endpoint = tables.endpoints[side.at.address]
        var object: ObjectName?
        if let endpoint {
            object = await names.endpoints.name(of: endpoint) {
                await state.core.synchroniser.replica(of: $0)
            }
        }
        return FlowPeer(
            address: "\(side.at.address)", port: side.at.port, identity: side.identity.rawValue,
            namespace: object?.namespace, name: object?.name,
            cluster: endpoint.map { reference($0.node.cluster, tables).name },
            labels: tables.identities[side.identity]?.labels)
    }
}

extension FlowEvent.Kind {
    var verdict: Flow.Verdict {
        switch self {
        case .opened, .closed, .audited: .forwarded
        case .denied: .denied
        case .dropped, .reset: .dropped
        }
    }
}
