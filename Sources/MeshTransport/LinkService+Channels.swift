// SPDX-License-Identifier: Apache-2.0

import MeshModel
import MeshTrust
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization

/// Listening and dialling.
extension LinkService {
    static let backlog: Int32 = 256

    func listen() async throws -> any Channel {
        try await ServerBootstrap(group: loop)
            .serverChannelOption(.backlog, value: Self.backlog)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { [self] channel in
                guard handshakeBegins() else {
                    refused(
                        .tooManyHandshakes, peer: nil,
                        remote: TransportAddress(channel.remoteAddress))
                    return channel.close()
                }
                return channel.eventLoop.makeCompletedFuture {
                    try prepare(channel, target: nil)
                }
            }
            .bind(to: configuration.listen.socketAddress()).get()
    }

    func startDiallers() {
        state.withLock { state in
            guard state.listener != nil, !state.isStopped else { return }
            for target in state.targets where state.diallers[target] == nil {
                state.diallers[target] = Task { await self.keepLink(to: target) }
            }
        }
    }

    /// Dials whenever no link to the target's node exists, until cancelled.
    private func keepLink(to target: LinkTarget) async {
        let timing = configuration.timing
        var backoff = Backoff(minimum: timing.backoffMinimum, maximum: timing.backoffMaximum)
        var random = SystemRandomNumberGenerator()
        while !Task.isCancelled {
            if existingLink(to: target) == nil {
                let wait = state.withLock { $0.dials.take(at: .monotonicNow) }
                if wait > .zero { try? await Task.sleep(for: wait) }
                if Task.isCancelled { return }
            }
            let start = Instant.monotonicNow
            if let connection = existingLink(to: target) {
                try? await connection.channel.closeFuture.get()  // never fails
            } else {
                await dial(target)
            }
            // What fell at once, however well it began, isn't hammered.
            if Instant.monotonicNow - start > timing.backoffMaximum { backoff.reset() }
            try? await Task.sleep(for: backoff.next(using: &random))
        }
    }

    /// Returns when the attempt has failed or its link has ended.
    private func dial(_ target: LinkTarget) async {
        let channel: any Channel
        do { channel = try await connect(to: target) } catch {
            return refused(
                .cannotConnect(String("\(error)".prefix(200))), peer: nil, remote: target.remote)
        }
        try? await channel.closeFuture.get()  // never fails
    }

    private func connect(to target: LinkTarget) async throws -> any Channel {
        let remote = try target.remote.socketAddress()
        var bootstrap = ClientBootstrap(group: loop)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .connectTimeout(TimeAmount(configuration.timing.handshake))
            .channelInitializer { [self] channel in
                channel.eventLoop.makeCompletedFuture {
                    try prepare(channel, target: target)
                }
            }
        let own = configuration.listen.address
        if !own.isWildcard, own.isIPv4 == target.remote.address.isIPv4 {
            bootstrap = bootstrap.bind(
                to: try TransportAddress(address: own, port: 0).socketAddress())
        }
        return try await bootstrap.connect(to: remote).get()
    }

    private func prepare(_ channel: any Channel, target: LinkTarget?) throws {
        let (contexts, verifier, generation) = state.withLock {
            ($0.contexts, $0.verifier, $0.generation)
        }
        let verification = PeerVerification(generation: generation)
        let wallClock = configuration.wallClock
        let judge: NIOSSLCustomVerificationCallbackWithMetadata = { certificates, promise in
            promise.completeWith(
                Result { try verification.judge(certificates, with: verifier, now: wallClock()) })
        }
        let pipeline = channel.pipeline.syncOperations
        if target == nil {
            try pipeline.addHandler(
                NIOSSLServerHandler(
                    context: contexts.server, customVerificationCallbackWithMetadata: judge))
        } else {
            try pipeline.addHandler(
                NIOSSLClientHandler(
                    context: contexts.client, serverHostname: nil,
                    customVerificationCallbackWithMetadata: judge))
        }
        let activity = LinkActivity()
        try pipeline.addHandler(ByteToMessageHandler(FrameDecoder(activity: activity)))
        try pipeline.addHandler(
            LinkHandler(
                target: target, service: self, verification: verification, activity: activity))
    }

    private func existingLink(to target: LinkTarget) -> LinkConnection? {
        state.withLock { state in
            var node = state.learned[target.remote]
            if node == nil, let name = target.node, let cluster = target.cluster,
                let id = state.security.clusters[cluster]
            {
                node = NodeID(cluster: id, name: name)
            }
            return node.flatMap { state.table[$0]?.connection }
        }
    }
}

extension Address {
    /// `0.0.0.0` or `::`.
    fileprivate var isWildcard: Bool { self == .unspecified || ipv4 == 0 }
}
