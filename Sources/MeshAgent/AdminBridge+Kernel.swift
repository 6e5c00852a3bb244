// SPDX-License-Identifier: Apache-2.0

import MeshAdmin
import MeshDatapath
import MeshLease
import MeshModel
import MeshReplication
import MeshStore
import MeshTransport

extension AdminBridge {
    static let connectionsMaximum = 10_000

    func maps() async throws -> [MapUsage] {
        try datapath.mapUsage().map {
            MapUsage(
                name: $0.name, type: $0.kind, keyBytes: UInt32($0.keyBytes),
                valueBytes: UInt32($0.valueBytes), maximumEntries: UInt32($0.capacity),
                entries: $0.entries.map { UInt32($0) })
        }
    }

    func kernelServices() async throws -> [KernelService] {
        datapath.services().map { service in
            KernelService(
                address: "\(service.key.address)", port: service.key.port,
                transport: "\(service.key.transport)", slot: service.slot, list: service.list,
                generation: service.generation, affinitySeconds: service.sessionAffinitySeconds,
                slices: service.slices.map { slice in
                    KernelSlice(
                        cluster: slice.cluster.rawValue, tier: slice.tier, weight: slice.weight,
                        clusterWeight: slice.clusterWord.weight,
                        backends: slice.backends.map {
                            KernelBackend(
                                address: "\($0.address)", port: $0.port, node: $0.nodeIndex,
                                nodeWeight: $0.nodeWord.weight)
                        })
                })
        }
    }

    func connections() async throws -> [ConnectionEntry] {
        let now = Instant.monotonicNow
        return try datapath.connections(limit: Self.connectionsMaximum).map { connection in
            func side(_ side: ConnectionReading.Side) -> ConnectionSide {
                ConnectionSide(
                    address: "\(side.at.address)", port: side.at.port,
                    identity: side.identity.rawValue, packets: side.packets, bytes: side.bytes)
            }
            return ConnectionEntry(
                transport: transportName(connection.transport), state: state(of: connection.flags),
                source: side(connection.opener), destination: side(connection.replier),
                frontend: connection.frontend.map(socketText),
                cluster: connection.cluster?.rawValue ?? 0, node: connection.nodeIndex,
                ageSeconds: (now - Instant(nanoseconds: connection.created)).seconds,
                idleSeconds: (now - Instant(nanoseconds: connection.seen)).seconds)
        }
    }

    private func state(of flags: ConnectionReading.Flags) -> ConnectionEntry.State {
        if flags.contains(.reset) { return .reset }
        if flags.contains(.openerFinished) || flags.contains(.replierFinished) { return .closing }
        return flags.contains(.replied) ? .established : .opening
    }

    func flow(
        _ event: FlowEvent, _ tables: MeshTables, _ names: inout EndpointNames
    ) async -> Flow {
        let ago = Instant.monotonicNow - Instant(nanoseconds: event.nanoseconds)
        let kind: Flow.Kind =
            switch event.kind {
            case .opened: .opened
            case .closed: .closed
            case .denied: .denied
            case .dropped: .dropped
            case .reset: .reset
            case .audited: .audited
            }
        let verdict: Flow.Verdict =
            switch event.kind {
            case .opened, .closed, .audited: .forwarded
            case .denied: .denied
            case .dropped, .reset: .dropped
            }
        return Flow(
            timeUnixMilliseconds: Int64(realTimeNanoseconds() / 1_000_000)
                - ago.nanoseconds / 1_000_000,
            type: kind, verdict: verdict, transport: transportName(event.transport),
            source: await peer(event.source, tables, &names, labelled: event.policy != nil),
            destination: await peer(
                event.destination, tables, &names, labelled: event.policy != nil),
            frontend: event.frontend.map(socketText), reason: event.reason?.label,
            policy: await explanation(of: event.policy),
            packets: event.packets, bytes: event.bytes)
    }

    private func peer(
        _ side: FlowSide, _ tables: MeshTables, _ names: inout EndpointNames, labelled: Bool
    ) async -> FlowPeer {
        let endpoint = tables.endpoints[side.at.address]
        var object: ObjectName?
        if let endpoint {
            object = await names.name(of: endpoint) {
                await state.core.synchroniser.replica(of: $0)
            }
        }
        return FlowPeer(
            address: "\(side.at.address)", port: side.at.port, identity: side.identity.rawValue,
            namespace: object?.namespace, name: object?.name,
            cluster: endpoint.map { reference($0.node.cluster, tables).name },
            labels: labelled ? tables.identities[side.identity]?.labels : nil)
    }

    private func socketText(_ side: FlowAddress) -> String {
        side.address.isIPv4 ? "\(side.address):\(side.port)" : "[\(side.address)]:\(side.port)"
    }

    /// IP protocol numbers, as Kubernetes and tcpdump write them.
    private func transportName(_ number: UInt8) -> String {
        switch number {
        case 1: "ICMP"
        case 58: "ICMPv6"
        default: TransportProtocol(rawValue: number).map { "\($0)" } ?? "\(number)"
        }
    }

    private func counted<Key: RawRepresentable<String>>(
        _ counts: [Key: UInt64], _ label: String
    ) -> [MetricFamily.Sample] {
        counts.sorted { $0.key.rawValue < $1.key.rawValue }.map {
            MetricFamily.Sample(Double($0.value), labels: [.init(label, $0.key.rawValue)])
        }
    }

    func metrics() async throws -> [MetricFamily] {
        typealias Sample = MetricFamily.Sample
        let tables = store.snapshot()
        let readings = try datapath.counters()
        let transport = statistics.snapshot
        let remote = tables.clusters.rows
        let core = await state.core
        let now = Instant.bootNow
        let backends = await backends.counts
        let capacities = await health.capacities
        var faults = await state.counters
        faults["statement_ignored"] = await mesh.ignored
        return [
            MetricFamily(
                name: "weft_datapath_dropped_packets_total",
                help: "Packets dropped, by reason.", kind: .counter,
                samples: readings.compactMap { reading in
                    guard case .drop(let reason) = reading.subject, reason.rawValue != 0
                    else { return nil }
                    return Sample(
                        Double(reading.packets), labels: [.init("reason", reason.label)])
                }),
            MetricFamily(
                name: "weft_datapath_events_total",
                help: "What the programs did besides forwarding.", kind: .counter,
                samples: readings.compactMap { reading in
                    guard case .counter(let counter) = reading.subject else { return nil }
                    return Sample(
                        Double(reading.packets), labels: [.init("event", counter.label)])
                }),
            MetricFamily(
                name: "weft_datapath_map_writes_total",
                help: "Elements of kernel maps written or deleted by this agent, by map.",
                kind: .counter,
                samples: datapath.writeCount.byMap.sorted { $0.key < $1.key }.map {
                    Sample(Double($0.value), labels: [.init("map", $0.key)])
                }),
            MetricFamily(
                name: "weft_cluster_verdict",
                help:
                    "Verdict on a cluster: 0 unknown, 1 up, 2 suspect, 3 unreachable, 4 probation, 5 draining.",
                kind: .gauge,
                samples: remote.map {
                    Sample(
                        Double(datapath.clusterWord($0.id).verdict?.rawValue ?? 0),
                        labels: [.init("cluster", $0.name.rawValue)])
                }),
            MetricFamily(
                name: "weft_cluster_weight", help: "Weight of a cluster for new flows, 0 to 255.",
                kind: .gauge,
                samples: remote.map {
                    Sample(
                        Double(datapath.clusterWord($0.id).weight),
                        labels: [.init("cluster", $0.name.rawValue)])
                }),
            MetricFamily(
                name: "weft_cluster_capacity",
                help: "What a cluster says it can do, in thousandths of its unit.", kind: .gauge,
                samples: remote.compactMap { row in
                    capacities[row.id].map {
                        Sample(
                            Double($0.workload.capacity),
                            labels: [.init("cluster", row.name.rawValue)])
                    }
                }),
            MetricFamily(
                name: "weft_cluster_spare", help: "What of its capacity a cluster doesn't use.",
                kind: .gauge,
                samples: remote.compactMap { row in
                    capacities[row.id].map {
                        Sample(
                            Double($0.workload.spare),
                            labels: [.init("cluster", row.name.rawValue)])
                    }
                }),
            MetricFamily(
                name: "weft_backend_quarantines_total",
                help: "Backends put into quarantine, by how they failed last.", kind: .counter,
                samples: counted(backends.quarantined, "failure")),
            MetricFamily(
                name: "weft_backend_releases_total",
                help: "Backends released from quarantine, by reason.", kind: .counter,
                samples: counted(backends.released, "reason")),
            MetricFamily(
                name: "weft_backend_probes_total",
                help: "Connections tried to backends in quarantine, by outcome.", kind: .counter,
                samples: counted(backends.probes, "outcome")),
            MetricFamily(
                name: "weft_backend_spared_total",
                help: "Failing backends that a bound kept out of quarantine.", kind: .counter,
                samples: [Sample(Double(backends.spared))]),
            MetricFamily(
                name: "weft_transport_rejected_total",
                help: "What the transport rejected, by reason.", kind: .counter,
                samples: TransportRejection.allCases.map {
                    Sample(Double(transport[$0]), labels: [.init("reason", $0.rawValue)])
                }),
            MetricFamily(
                name: "weft_transport_heartbeats_received_total",
                help: "Authentic heartbeats received.", kind: .counter,
                samples: [Sample(Double(transport.heartbeatsReceived))]),
            MetricFamily(
                name: "weft_transport_overlay_heartbeats_total",
                help: "Heartbeats that went or came through the overlay, by direction.",
                kind: .counter,
                samples: [
                    Sample(
                        Double(transport.heartbeatsSentInside),
                        labels: [.init("direction", "sent")]),
                    Sample(
                        Double(transport.heartbeatsReceivedInside),
                        labels: [.init("direction", "received")]),
                ]),
            MetricFamily(
                name: "weft_flows_lost_total", help: "Flows that a slow reader didn't get.",
                kind: .counter, samples: [Sample(Double(hub.lost))]),
            MetricFamily(
                name: "weft_ledger_age_seconds",
                help: "Time since a cluster's state was known to be its newest.", kind: .gauge,
                samples: core.synchroniser.owners.compactMap { owner in
                    core.synchroniser.age(of: owner, at: now).map {
                        Sample(
                            $0.seconds,
                            labels: [.init("cluster", reference(owner, tables).name)])
                    }
                }),
            MetricFamily(
                name: "weft_ledger_records", help: "Records held of a cluster.", kind: .gauge,
                samples: core.synchroniser.owners.map { owner in
                    Sample(
                        Double(core.synchroniser.replica(of: owner)?.count ?? 0),
                        labels: [.init("cluster", reference(owner, tables).name)])
                }),
            MetricFamily(
                name: "weft_ledger_rejected_total",
                help: "Ledger messages that were rejected, by peer and reason.", kind: .counter,
                samples: await state.rejections.sorted { $0.key < $1.key }.map {
                    Sample(
                        Double($0.value),
                        labels: [
                            .init("peer", $0.key.node.map { "\($0)" } ?? ""),
                            .init("reason", $0.key.reason),
                        ])
                }),
            MetricFamily(
                name: "weft_state_faults_total", help: "Faults in the state channel, by kind.",
                kind: .counter,
                samples: faults.sorted { $0.key < $1.key }.map {
                    Sample(Double($0.value), labels: [.init("kind", $0.key)])
                }),
        ] + gossipMetrics(transport, await health.membershipCounters) + trustMetrics()
    }
}
