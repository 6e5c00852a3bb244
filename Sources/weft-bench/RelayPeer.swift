// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import Logging
import MeshLab
import MeshModel
import MeshReachability
import MeshTransport
import MeshTrust

/// A relay of another cluster: its link, its sealed heartbeats and its path to one relay, as an agent has
/// them, and nothing else.
actor RelayPeer {
    private let own: NodeID
    private let remote: NodeID
    private let destination: TransportAddress
    private nonisolated let links: LinkService
    private nonisolated let socket: DatagramSocket
    private var monitor: PathMonitor

    /// - Parameters:
    ///   - bundle: of the other relay's cluster.
    ///   - destination: where the other relay takes heartbeats; it dials.
    init(
        _ own: NodeID, at address: Address,
        credentials: NodeCredentials, bundle: TrustBundle, to remote: NodeID,
        at destination: TransportAddress, isInUse: Bool
    ) throws {
        self.own = own
        self.remote = remote
        self.destination = destination
        let statistics = TransportStatistics()
        let configuration = LinkConfiguration(
            listen: TransportAddress(address: address, port: LargeMesh.statePort),
            clusterID: own.cluster,
            incarnation: monotonicNow(),
            security: LinkSecurity(
                credentials: credentials, trust: TrustStore([bundle]),
                clusters: [
                    credentials.identity.cluster: own.cluster,
                    bundle.trustDomain.cluster: remote.cluster,
                ]))
        var log = Logger(label: "bench")
        log.logLevel = .critical
        links = try LinkService(
            configuration: configuration, statistics: statistics, logger: log)
        socket = DatagramSocket(
            own: own, addresses: [TransportAddress(address: address, port: LargeMesh.healthPort)],
            statistics: statistics)
        monitor = PathMonitor(
            cluster: own.cluster, node: own.name, instance: .random(in: 1...(.max)))
        var effects = PathEffects()
        monitor.configure(
            [
                PathPlan(
                    path: PathID(local: own.name, remote: remote), isInUse: isInUse, isSingle: true)
            ], at: .monotonicNow, into: &effects)
    }

    /// Until it is cancelled.
    func run() async throws {
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { try await self.links.run() }
            group.addTask { try await self.socket.run() }
            group.addTask { await self.followLinks() }
            group.addTask { await self.followHeartbeats() }
            group.addTask { try await self.followTime() }
        }
    }

    private func followLinks() async {
        for await event in links.events {
            if case .up(let link) = event { socket.install(link.heartbeatKeys, for: link.node) }
        }
    }

    private func followHeartbeats() async {
        for await arrival in socket.heartbeats {
            guard let beat = try? Heartbeat(encoded: arrival.plaintext) else {
                tell("a heartbeat of \(arrival.peer) can't be read")
                continue
            }
            act {
                monitor.receive(
                    beat, on: PathID(local: own.name, remote: arrival.peer), at: arrival.arrival,
                    into: &$0)
            }
        }
    }

    private func followTime() async throws {
        while let wake = monitor.nextWake {
            try await Task.sleep(for: max(wake - .monotonicNow, .milliseconds(1)))
            act { monitor.tick(at: .monotonicNow, into: &$0) }
        }
    }

    private func act(_ body: (inout PathEffects) -> Void) {
        var effects = PathEffects()
        body(&effects)
        for outgoing in effects.beats {
            socket.send(outgoing.beat.encoded, to: remote, at: destination)
        }
    }
}
