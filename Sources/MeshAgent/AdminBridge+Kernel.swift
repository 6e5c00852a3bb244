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
                frontend: connection.frontend.map(\.text),
                cluster: connection.cluster?.rawValue ?? 0, node: connection.nodeIndex,
                ageSeconds: (now - Instant(nanoseconds: connection.created)).seconds,
                idleSeconds: (now - Instant(nanoseconds: connection.seen)).seconds)
        }
    }

    func state(of flags: ConnectionReading.Flags) -> ConnectionEntry.State {
        if flags.contains(.reset) { return .reset }
        if flags.contains(.openerFinished) || flags.contains(.replierFinished) { return .closing }
        return flags.contains(.replied) ? .established : .opening
    }

    /// IP protocol numbers, as Kubernetes and tcpdump write them.
    func transportName(_ number: UInt8) -> String {
        switch number {
        case 1: "ICMP"
        case 58: "ICMPv6"
        default: TransportProtocol(rawValue: number).map { "\($0)" } ?? "\(number)"
        }
    }
}

extension FlowAddress {
    /// As a socket's address is written.
    var text: String { address.isIPv4 ? "\(address):\(port)" : "[\(address)]:\(port)" }
}
