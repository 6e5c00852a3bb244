// SPDX-License-Identifier: Apache-2.0

import Hummingbird
import HummingbirdCore
public import Logging
import NIOCore
public import ServiceLifecycle
import Synchronization

/// Serves an agent's state and its administration over two unix sockets, and its metrics and its page
/// over TCP on the loopback interface.
public struct AdminServer: Service {
    public struct Configuration: Sendable {
        /// Everybody on the machine may read.
        public var socketPath: String
        /// Only the agent's own user may administrate.
        public var administrationSocketPath: String
        /// Loopback TCP port of `/metrics`; nil: none.
        public var metricsPort: UInt16?
        /// Loopback TCP port of the page; nil: none.
        public var pagePort: UInt16?

        public init(
            socketPath: String, administrationSocketPath: String, metricsPort: UInt16? = nil,
            pagePort: UInt16? = nil
        ) {
            self.socketPath = socketPath
            self.administrationSocketPath = administrationSocketPath
            self.metricsPort = metricsPort
            self.pagePort = pagePort
        }

        /// Both sockets in one folder, with their usual names.
        public init(folder: String, metricsPort: UInt16? = nil, pagePort: UInt16? = nil) {
            self.init(
                socketPath: "\(folder)/weft.sock",
                administrationSocketPath: "\(folder)/weft-admin.sock", metricsPort: metricsPort,
                pagePort: pagePort)
        }
    }

    /// Largest request body.
    public static let requestBytesMaximum = 64 << 10
    /// Of a list of containers that a network has.
    public static let garbageBytesMaximum = 2 << 20
    /// Of a file of policies to be looked at.
    public static let manifestBytesMaximum = 4 << 20
    /// Connections at one listener; more wait in the backlog.
    public static let connectionsMaximum = 64
    /// A connection that asks nothing for this long is closed.
    static let idleTimeout = TimeAmount.seconds(60)
    static let headerBytesMaximum = 16 << 10
    /// How every answer says whose it is.
    static let programName = "weftd"
    static let serverName = "\(programName)/\(weftVersion)"

    private let provider: any AdminProvider
    private let configuration: Configuration
    private let logger: Logger

    public init(provider: any AdminProvider, configuration: Configuration, logger: Logger) {
        self.provider = provider
        self.configuration = configuration
        self.logger = logger
    }

    /// Serves until graceful shutdown or cancellation; both sockets are gone afterwards.
    ///
    /// - Throws: ``SocketFileError``, or what the system says about the metrics port.
    public func run() async throws {
        let reading = try SocketFile(path: configuration.socketPath, mode: 0o666)
        defer { reading.remove() }
        let administration = try SocketFile(
            path: configuration.administrationSocketPath, mode: 0o600)
        defer { administration.remove() }

        try await withThrowingTaskGroup { group in
            group.addTask { try await serve(at: reading, administration: false) }
            group.addTask { try await serve(at: administration, administration: true) }
            if let port = configuration.metricsPort {
                group.addTask { try await serveMetrics(port: port) }
            }
            if let port = configuration.pagePort {
                group.addTask { await servePage(port: port) }
            }
            try await group.waitForAll()
        }
    }

    private func serve(at socket: SocketFile, administration: Bool) async throws {
        let router = adminRouter(provider, administration: administration)
        let failure = Mutex<SocketFileError?>(nil)
        let application = Application(
            router: router, server: Self.http,
            configuration: Self.listener(.unixDomainSocket(path: socket.bindPath)),
            onServerRunning: { channel in
                do throws(SocketFileError) {
                    try socket.publish()
                } catch {
                    failure.withLock { $0 = error }
                    channel.close(promise: nil)
                }
            },
            logger: logger)
        do {
            try await application.run()
        } catch {
            throw failure.withLock { $0 } ?? error
        }
    }

    private func serveMetrics(port: UInt16) async throws {
        let application = Application(
            router: metricsRouter(provider), server: Self.http,
            configuration: Self.listener(.hostname("127.0.0.1", port: Int(port))), logger: logger)
        try await application.run()
    }

    /// Returns without having served where the port is taken: an agent does its work without a page.
    private func servePage(port: UInt16) async {
        let application = Application(
            router: pageRouter(provider), server: Self.http,
            configuration: Self.listener(.hostname("127.0.0.1", port: Int(port))), logger: logger)
        do {
            try await application.run()
        } catch {
            logger.warning(
                "The page isn't served", metadata: ["port": "\(port)", "error": "\(error)"])
        }
    }

    private static var http: HTTPServerBuilder {
        .http1(
            configuration: .init(
                idleTimeout: idleTimeout,
                httpDecoderConfiguration: .init(
                    maxHeaderFieldSize: headerBytesMaximum, maxHeaderListSize: headerBytesMaximum,
                    maxHeaderFieldCount: 64)))
    }

    private static func listener(_ address: BindAddress) -> ApplicationConfiguration {
        ApplicationConfiguration(
            address: address, serverName: serverName,
            availableConnectionsDelegate: MaximumAvailableConnections(connectionsMaximum))
    }
}
