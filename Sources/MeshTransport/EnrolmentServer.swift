// SPDX-License-Identifier: Apache-2.0

public import MeshModel
public import MeshTrust
import NIOCore
public import NIOPosix
import NIOSSL
public import ServiceLifecycle
import Synchronization

/// Bounds of an exchange with somebody who has no certificate yet.
public enum EnrolmentLimit {
    public static let questionBytes = 256 * 1024
    public static let answerBytes = JoinLimit.responseBytes
    /// At once; the next is closed unheard.
    public static let connections = 32
    /// From connecting to the answer.
    public static let deadline = Duration.seconds(10)
}

/// Takes one request and gives one answer on each connection, over TLS 1.3 in which only this side
/// has a certificate: how nodes and clusters that have none yet get one.
///
/// Who asks, and whether it may, is for the answer to find out from the request. The certificates
/// presented end with the root, so that the other side can compare its key with a pin.
public final class EnrolmentServer: Service {
    /// - Parameters: the request, and where it came from.
    public typealias Answer = @Sendable ([UInt8], Address) async -> [UInt8]

    private let listen: TransportAddress
    private let statistics: TransportStatistics
    private let group: MultiThreadedEventLoopGroup
    private let answer: Answer
    private let context: Mutex<NIOSSLContext>
    private let connections = Mutex(0)

    /// - Parameter root: of the own cluster, to which the credentials' chain leads.
    /// - Throws: ``TrustError`` or the TLS library's error when the credentials can't be used.
    public init(
        listen: TransportAddress, credentials: NodeCredentials, root: [UInt8],
        statistics: TransportStatistics, group: MultiThreadedEventLoopGroup = .singleton,
        answer: @escaping Answer
    ) throws {
        self.listen = listen
        self.statistics = statistics
        self.group = group
        self.answer = answer
        context = Mutex(try Self.context(credentials, root))
    }

    /// Presents other certificates from the next connection on.
    ///
    /// - Throws: as the initialiser; then everything stays as it was.
    public func reload(credentials: NodeCredentials, root: [UInt8]) throws {
        let context = try Self.context(credentials, root)
        self.context.withLock { $0 = context }
    }

    private static func context(
        _ credentials: NodeCredentials, _ root: [UInt8]
    ) throws -> NIOSSLContext {
        let chain = try (credentials.chainDER() + [root]).map {
            NIOSSLCertificateSource.certificate(try NIOSSLCertificate(bytes: $0, format: .der))
        }
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain,
            privateKey: .privateKey(
                try NIOSSLPrivateKey(
                    bytes: Array(credentials.privateKeyPEM().utf8), format: .pem)))
        configuration.minimumTLSVersion = .tlsv13
        return try NIOSSLContext(configuration: configuration)
    }

    /// Listens until graceful shutdown or cancellation.
    ///
    /// - Throws: the system's error when the address can't be bound.
    public func run() async throws {
        try await run { _ in }
    }

    /// - Parameter isBound: hears where the listener is bound.
    func run(isBound: @Sendable (TransportAddress) -> Void) async throws {
        let server = try await ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .bind(to: listen.socketAddress()) { [self] channel in
                channel.eventLoop.makeCompletedFuture {
                    let context = context.withLock { $0 }
                    try channel.pipeline.syncOperations.addHandler(
                        NIOSSLServerHandler(context: context))
                    return try Exchange.channel(
                        channel, bytesMaximum: EnrolmentLimit.questionBytes)
                }
            }
        isBound(TransportAddress(server.channel.localAddress) ?? listen)
        try await cancelWhenGracefulShutdown {
            try await server.executeThenClose { inbound in
                await withDiscardingTaskGroup { group in
                    do {
                        for try await connection in inbound {
                            group.addTask { await self.serve(connection) }
                        }
                    } catch {
                        // The listener is gone: so is whoever could ask.
                    }
                    group.cancelAll()
                }
            }
        }
    }

    private func serve(_ connection: Exchange.Channel) async {
        let isAdmitted = connections.withLock { count in
            guard count < EnrolmentLimit.connections else { return false }
            count += 1
            return true
        }
        defer { if isAdmitted { connections.withLock { $0 -= 1 } } }
        guard isAdmitted, let source = TransportAddress(connection.channel.remoteAddress)
        else {
            statistics.count(.tooManyHandshakes)
            return await Exchange.close(connection)
        }
        let deadline = connection.channel.eventLoop.scheduleTask(
            in: TimeAmount(EnrolmentLimit.deadline)
        ) { connection.channel.close(mode: .all, promise: nil) }
        defer { deadline.cancel() }
        do {
            try await connection.executeThenClose { inbound, outbound in
                guard let request = try await inbound.first(where: { _ in true }) else { return }
                try await outbound.write(
                    Exchange.frame(await answer(request, source.address)))
            }
        } catch {
            statistics.count(.enrolmentFailed)
        }
    }
}
