// SPDX-License-Identifier: Apache-2.0

import Foundation
import Logging
import MeshModel
import MeshTrust
import NIOCore
import NIOPosix
import NIOSSL
import Testing

@testable import MeshTransport

let loopback = Address(ipv4: 0x7f00_0001)
let meshName = "weft.test"
let east = ClusterName(rawValue: "east")!
let west = ClusterName(rawValue: "west")!

/// Authorities of some clusters, IDs from 1 in order.
struct Mesh {
    let authorities: [ClusterName: CertificateAuthority]
    let clusters: [ClusterName: ClusterID]
    private let folder: Folder

    private final class Folder {
        let path = FileManager.default.temporaryDirectory
            .appendingPathComponent("weft-transport-\(UUID().uuidString)").path
        deinit { try? FileManager.default.removeItem(atPath: path) }
    }

    init(_ names: ClusterName..., now: Date = Date()) throws {
        folder = Folder()
        var authorities: [ClusterName: CertificateAuthority] = [:]
        var clusters: [ClusterName: ClusterID] = [:]
        try FileManager.default.createDirectory(
            atPath: folder.path, withIntermediateDirectories: true)
        for (index, name) in names.enumerated() {
            authorities[name] = try CertificateAuthority.create(
                cluster: name, mesh: meshName, in: "\(folder.path)/\(name)", now: now)
            clusters[name] = ClusterID(rawValue: UInt16(index + 1))
        }
        self.authorities = authorities
        self.clusters = clusters
    }

    var trust: TrustStore { TrustStore(authorities.values.map(\.bundle)) }

    func security(
        _ cluster: ClusterName, _ node: String, trust: TrustStore? = nil,
        clusters: [ClusterName: ClusterID]? = nil, now: Date = Date()
    ) throws -> LinkSecurity {
        LinkSecurity(
            credentials: try NodeCredentials.issue(node: node, by: authorities[cluster]!, now: now),
            trust: trust ?? self.trust, clusters: clusters ?? self.clusters)
    }

    /// A node on a free port of the loopback, not yet started.
    func node(
        _ cluster: ClusterName, _ name: String, security: LinkSecurity? = nil,
        incarnation: UInt64 = 1, adjust: (inout LinkConfiguration) -> Void = { _ in }
    ) throws -> TestNode {
        var configuration = LinkConfiguration(
            listen: TransportAddress(address: loopback, port: 0), clusterID: clusters[cluster]!,
            incarnation: incarnation, security: try security ?? self.security(cluster, name))
        configuration.timing.backoffMinimum = .milliseconds(10)
        configuration.timing.backoffMaximum = .milliseconds(50)
        adjust(&configuration)
        return try TestNode(configuration)
    }
}

/// A link service that runs until the test lets go of it.
final class TestNode: Sendable {
    let service: LinkService
    let log: EventLog<LinkEvent>
    private let running: Task<Void, any Error>

    init(_ configuration: LinkConfiguration, isRead: Bool = true) throws {
        let service = try LinkService(
            configuration: configuration, statistics: TransportStatistics(),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        self.service = service
        log = EventLog(service.events)
        running = Task { try await service.run() }
    }

    deinit { running.cancel() }

    func stop() async {
        running.cancel()
        _ = await running.result
    }

    var counters: TransportCounters { service.statistics.snapshot }

    func dial(_ port: UInt16, cluster: ClusterName? = nil, node: String? = nil) {
        service.updateTargets([
            LinkTarget(address: loopback, port: port, cluster: cluster, node: node)
        ])
    }

    func link(to node: String, after id: LinkID? = nil) async throws -> Link {
        try await log.wait("no link to \(node)") { events in
            events.lazy.compactMap { event in
                if case .up(let link) = event, link.peer.node == node,
                    id.map({ link.id > $0 }) ?? true
                {
                    link
                } else {
                    nil
                }
            }.first
        }
    }

    func frame(on id: LinkID, _ index: Int = 0) async throws -> [UInt8] {
        try await log.wait("no frame") { events in
            let frames = events.compactMap { event -> [UInt8]? in
                if case .frame(id, let bytes) = event { bytes } else { nil }
            }
            return frames.indices.contains(index) ? frames[index] : nil
        }
    }

    func down(_ id: LinkID) async throws -> LinkDownReason {
        try await log.wait("link stayed up") { events in
            events.lazy.compactMap { event in
                if case .down(id, let reason) = event { reason } else { nil }
            }.first
        }
    }

    func refusal(
        _ matches: @escaping @Sendable (RefusalReason) -> Bool
    ) async throws -> LinkRefusal {
        try await log.wait("no such refusal") { events in
            events.lazy.compactMap { event in
                if case .refused(let refusal) = event, matches(refusal.reason) {
                    refusal
                } else {
                    nil
                }
            }.first
        }
    }
}

/// A peer that speaks TLS properly and then whatever a test wants.
struct RawPeer {
    let channel: any Channel

    init(security: LinkSecurity, port: UInt16) async throws {
        let contexts = try TLSContexts(credentials: security.credentials)
        let verifier = PeerVerifier(store: security.trust)
        channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        NIOSSLClientHandler(
                            context: contexts.client, serverHostname: nil,
                            customVerificationCallbackWithMetadata: { certificates, promise in
                                promise.completeWith(
                                    Result {
                                        try PeerVerification().judge(
                                            certificates, with: verifier, now: Date())
                                    })
                            }))
                }
            }
            .connect(host: "127.0.0.1", port: Int(port)).get()
    }

    func write(_ bytes: [UInt8]) async throws {
        try await channel.writeAndFlush(channel.allocator.buffer(bytes: bytes))
    }

    func write(_ kind: Frame.Kind, _ payload: [UInt8]) async throws {
        try await channel.writeAndFlush(
            Frame.encode(kind, payload, allocator: channel.allocator))
    }

    static func hello(
        _ cluster: ClusterName, _ id: UInt16, _ node: String, incarnation: UInt64 = 1
    ) -> Hello {
        let half = HeartbeatKeys.Half()
        return Hello(
            clusterID: ClusterID(rawValue: id)!, clusterName: cluster, node: node,
            incarnation: incarnation, publicKey: half.publicKey, receiveKeyID: half.receiveKeyID)
    }
}
