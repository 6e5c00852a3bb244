// SPDX-License-Identifier: Apache-2.0

public import MeshModel
import NIOCore
public import NIOPosix
public import ServiceLifecycle
import Synchronization

/// An authenticated heartbeat as it arrived.
public struct HeartbeatArrival: Sendable {
    public let peer: NodeID
    public let plaintext: [UInt8]
    /// `CLOCK_MONOTONIC`, taken when the datagram was read.
    public let arrival: Instant
    /// For display only: a path is known by its key.
    public let source: TransportAddress?
}

/// The UDP sockets for heartbeats. Whatever isn't a fresh, authentic heartbeat of a known peer is
/// dropped and counted.
public final class HeartbeatSocket: Service {
    public static let plaintextMaximum = HeartbeatDatagram.plaintextMaximum
    static let arrivalsMaximum = 4_096

    /// Lost when the reader is more than 4,096 behind: the oldest first, and counted.
    public let events: AsyncStream<HeartbeatArrival>

    private let addresses: [TransportAddress]
    private let group: MultiThreadedEventLoopGroup
    private let statistics: TransportStatistics
    private let continuation: AsyncStream<HeartbeatArrival>.Continuation
    private let sessions = Mutex(HeartbeatSessions())
    private let channels = Mutex<[any Channel]>([])
    /// One for all who ask to start.
    private let starting = Mutex<Task<[any Channel], any Error>?>(nil)

    /// - Parameter addresses: one socket for each; the first sends unless told otherwise. Port 0
    ///   takes a free one.
    public init(
        addresses: [TransportAddress], statistics: TransportStatistics,
        group: MultiThreadedEventLoopGroup = .singleton
    ) {
        self.addresses = addresses
        self.statistics = statistics
        self.group = group
        (events, continuation) = AsyncStream.makeStream(
            bufferingPolicy: .bufferingNewest(Self.arrivalsMaximum))
    }

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
                                HeartbeatHandler { self.receive($0, from: $1) })
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

    /// Runs until graceful shutdown or cancellation, then closes the sockets and ends the events.
    public func run() async throws {
        try await start()
        try? await gracefulShutdown()  // cancellation ends it as well
        await stop()
        continuation.finish()
    }

    /// Sends to `peer` with these keys from now on; what it sent under its previous ones is still
    /// accepted for 60 s. Installing the same keys again changes nothing.
    public func install(_ keys: HeartbeatKeys, for peer: NodeID) {
        sessions.withLock { $0.install(keys, for: peer, at: .monotonicNow) }
    }

    /// Forgets the peer's keys at once.
    public func remove(_ peer: NodeID) {
        sessions.withLock { $0.remove(peer) }
    }

    /// Seals and sends without waiting.
    ///
    /// - Parameters:
    ///   - plaintext: at most ``plaintextMaximum`` bytes.
    ///   - source: one of the addresses given at the start; nil is the first.
    /// - Returns: false, and counted, when there is no key, the text is too long, or no such socket.
    @discardableResult
    public func send(
        _ plaintext: [UInt8], to peer: NodeID, at remote: TransportAddress,
        from source: Address? = nil
    ) -> Bool {
        do throws(TransportRejection) {
            let datagram = try sessions.withLock { sessions throws(TransportRejection) in
                try sessions.seal(plaintext, for: peer)
            }
            let index = source.map { source in addresses.firstIndex { $0.address == source } } ?? 0
            let channel = channels.withLock { channels in
                index.flatMap { channels.indices.contains($0) ? channels[$0] : nil }
            }
            guard let channel, let destination = try? remote.socketAddress()
            else { throw .heartbeatUnsent }
            let envelope = AddressedEnvelope(
                remoteAddress: destination, data: channel.allocator.buffer(bytes: datagram))
            channel.writeAndFlush(envelope).whenComplete { [statistics] result in
                switch result {
                case .success: statistics.update { $0.heartbeatsSent &+= 1 }
                case .failure: statistics.count(.heartbeatUnsent)
                }
            }
            return true
        } catch {
            statistics.count(error)
            return false
        }
    }

    private func receive(_ datagram: [UInt8], from source: SocketAddress) {
        let arrival = Instant.monotonicNow
        do throws(TransportRejection) {
            let (peer, plaintext) = try sessions.withLock { sessions throws(TransportRejection) in
                try sessions.open(datagram, at: arrival)
            }
            statistics.update { $0.heartbeatsReceived &+= 1 }
            let event = HeartbeatArrival(
                peer: peer, plaintext: plaintext, arrival: arrival,
                source: TransportAddress(source))
            if case .dropped = continuation.yield(event) { statistics.count(.heartbeatLost) }
        } catch {
            statistics.count(error)
        }
    }

    private func stop() async {
        let open = channels.withLock { channels in
            defer { channels = [] }
            return channels
        }
        for channel in open { try? await channel.close() }  // closed already is closed
    }
}

/// Hands each datagram on; errors of single datagrams (ICMP answers) don't close the socket.
private final class HeartbeatHandler: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>
    private let receive: @Sendable ([UInt8], SocketAddress) -> Void

    init(_ receive: @escaping @Sendable ([UInt8], SocketAddress) -> Void) {
        self.receive = receive
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let envelope = unwrapInboundIn(data)
        receive(Array(envelope.data.readableBytesView), envelope.remoteAddress)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {}
}
