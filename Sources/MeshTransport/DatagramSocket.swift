// SPDX-License-Identifier: Apache-2.0

import Crypto
public import MeshModel
import NIOCore
public import NIOPosix
public import ServiceLifecycle
import Synchronization

/// The UDP sockets for heartbeats between clusters, gossip inside one, and probes of nodes' kernels, on
/// one port. Whatever isn't fresh and authentic (an answer to a probe: expected) is dropped and
/// counted, and an address that keeps forging isn't listened to.
public final class DatagramSocket: Service {
    /// Of a heartbeat and of gossip.
    public static let plaintextMaximum = HeartbeatDatagram.plaintextMaximum
    static let arrivalsMaximum = 4_096
    static let rotationInterval = TimeAmount.minutes(1)

    /// Lost when the reader is more than 4,096 behind: the oldest first, and counted.
    public let heartbeats: AsyncStream<HeartbeatArrival>
    /// As ``heartbeats``.
    public let gossip: AsyncStream<GossipArrival>
    /// To ``send(probe:to:)``; as ``heartbeats``.
    public let answers: AsyncStream<ResponderAnswer>
    /// ``gossipKeys`` whenever they changed; only the newest waits for its reader.
    public let gossipKeyChanges: AsyncStream<[GossipKey]>

    let heartbeatSessions = Mutex(HeartbeatSessions())
    let gossipSessions: Mutex<GossipSessions>
    let probes = Mutex(ResponderProbe())
    let heartbeatContinuation: AsyncStream<HeartbeatArrival>.Continuation
    let gossipContinuation: AsyncStream<GossipArrival>.Continuation
    let answersContinuation: AsyncStream<ResponderAnswer>.Continuation
    let keysContinuation: AsyncStream<[GossipKey]>.Continuation
    let statistics: TransportStatistics
    private let addresses: [TransportAddress]
    private let group: MultiThreadedEventLoopGroup
    private let channels = Mutex<[any Channel]>([])
    private let limiter = Mutex(ForgeryLimiter())
    /// One for all who ask to start.
    private let starting = Mutex<Task<[any Channel], any Error>?>(nil)

    /// Sends a datagram through the overlay; nil: this node has no such way.
    let inside: (@Sendable (_ datagram: [UInt8], _ remote: Address) -> Bool)?

    /// - Parameters:
    ///   - own: this node, as the others gossip with it.
    ///   - addresses: one socket for each; the first sends unless told otherwise. Port 0 takes a
    ///     free one.
    ///   - inside: sends a datagram through the overlay to the node with an underlay address, without
    ///     waiting; false if that fails.
    public init(
        own: NodeID, addresses: [TransportAddress], statistics: TransportStatistics,
        group: MultiThreadedEventLoopGroup = .singleton,
        inside: (@Sendable (_ datagram: [UInt8], _ remote: Address) -> Bool)? = nil
    ) {
        self.inside = inside
        self.addresses = addresses
        self.statistics = statistics
        self.group = group
        gossipSessions = Mutex(
            GossipSessions(
                own: own, key: Curve25519.KeyAgreement.PrivateKey(), at: .monotonicNow))
        (heartbeats, heartbeatContinuation) = AsyncStream.makeStream(
            bufferingPolicy: .bufferingNewest(Self.arrivalsMaximum))
        (gossip, gossipContinuation) = AsyncStream.makeStream(
            bufferingPolicy: .bufferingNewest(Self.arrivalsMaximum))
        (answers, answersContinuation) = AsyncStream.makeStream(
            bufferingPolicy: .bufferingNewest(Self.arrivalsMaximum))
        (gossipKeyChanges, keysContinuation) = AsyncStream.makeStream(
            bufferingPolicy: .bufferingNewest(1))
    }

    // MARK: Life

    /// Binds the sockets.
    ///
    /// - Throws: the system's error; none stays bound.
    /// - Returns: where they are bound, in the order of the addresses.
    @discardableResult
    public func start() async throws -> [TransportAddress] {
        let task = starting.withLock { starting in
            let task = starting ?? Task { try await self.bind() }
            starting = task
            return task
        }
        let bound = try await task.value
        channels.withLock { $0 = bound }
        return bound.compactMap { TransportAddress($0.localAddress) }
    }

    private func bind() async throws -> [any Channel] {
        var bound: [any Channel] = []
        do {
            for address in addresses {
                let bootstrap = DatagramBootstrap(group: group)
                    .channelInitializer { [self] channel in
                        channel.eventLoop.makeCompletedFuture {
                            try channel.pipeline.syncOperations.addHandler(
                                DatagramHandler {
                                    self.receive($0, from: $1, at: .monotonicNow)
                                })
                        }
                    }
                bound.append(try await bootstrap.bind(to: address.socketAddress()).get())
            }
            return bound
        } catch {
            for channel in bound { try? await channel.close() }  // the first error counts
            throw error
        }
    }

    /// Runs until graceful shutdown or cancellation, then closes the sockets and ends the streams.
    public func run() async throws {
        try await start()
        let rotation = group.next().scheduleRepeatedTask(
            initialDelay: Self.rotationInterval, delay: Self.rotationInterval
        ) { [weak self] _ in self?.rotateGossipKeys(at: .monotonicNow) }
        try? await gracefulShutdown()  // cancellation ends it as well
        rotation.cancel()
        await stop()
        heartbeatContinuation.finish()
        gossipContinuation.finish()
        answersContinuation.finish()
        keysContinuation.finish()
    }

    private func stop() async {
        let open = channels.withLock { channels in
            defer { channels = [] }
            return channels
        }
        for channel in open { try? await channel.close() }  // closed already is closed
    }

    // MARK: Datagrams

    /// Sends without waiting.
    ///
    /// - Parameter source: one of the addresses given at the start; nil is the first.
    /// - Returns: false when there is no such socket or the destination is none.
    func transmit(
        _ datagram: [UInt8], to remote: TransportAddress, from source: Address? = nil,
        completion: @escaping @Sendable (_ isSent: Bool) -> Void
    ) -> Bool {
        let index = source.map { source in addresses.firstIndex { $0.address == source } } ?? 0
        let channel = channels.withLock { channels in
            index.flatMap { channels.indices.contains($0) ? channels[$0] : nil }
        }
        guard let channel, let destination = try? remote.socketAddress() else { return false }
        let envelope = AddressedEnvelope(
            remoteAddress: destination, data: channel.allocator.buffer(bytes: datagram))
        channel.writeAndFlush(envelope).whenComplete { result in
            if case .success = result { completion(true) } else { completion(false) }
        }
        return true
    }

    /// Takes a datagram as it came from the network.
    func receive(
        _ datagram: [UInt8], from source: TransportAddress, isInside: Bool = false, at now: Instant
    ) {
        do throws(TransportRejection) {
            guard limiter.withLock({ $0.admits(source, at: now) })
            else { throw .datagramRateLimited }
            guard datagram.count <= HeartbeatDatagram.bytesMaximum
            else { throw .datagramOversized }
            switch datagram.first {
            case HeartbeatDatagram.version:
                try receiveHeartbeat(datagram, from: source, isInside: isInside, at: now)
            case _ where isInside: throw .datagramVersion
            case HeartbeatDatagram.gossipVersion:
                try receiveGossip(datagram, from: source, at: now)
            case ResponderProbe.answerVersion:
                try receiveAnswer(datagram, from: source, at: now)
            case ResponderProbe.questionVersion: throw .probeUnanswered
            default: throw .datagramVersion
            }
            limiter.withLock { $0.prove(source) }
        } catch {
            statistics.count(error)
            if error == .heartbeatForged || error == .gossipForged {
                limiter.withLock { $0.punish(source, at: now) }
            }
        }
    }
}

/// Hands each datagram on; errors of single datagrams (ICMP answers) don't close the socket.
private final class DatagramHandler: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>
    private let receive: @Sendable ([UInt8], TransportAddress) -> Void

    init(_ receive: @escaping @Sendable ([UInt8], TransportAddress) -> Void) {
        self.receive = receive
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let envelope = unwrapInboundIn(data)
        guard let source = TransportAddress(envelope.remoteAddress) else { return }
        receive(Array(envelope.data.readableBytesView), source)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {}
}
