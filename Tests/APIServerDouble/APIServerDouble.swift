// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import HummingbirdCore
import HummingbirdHTTP2
public import Logging
import NIOCore
import NIOPosix
public import NIOSSL
import ServiceLifecycle
import Synchronization

/// Serves a ``DoubleState`` over HTTP/1.1 and, with TLS, HTTP/2.
public final class APIServerDouble: Sendable {
    public struct Configuration: Sendable {
        public var host = "127.0.0.1"
        /// 0: whatever is free.
        public var port = 0
        /// Nil: without TLS, and so without HTTP/2.
        public var tls: TLSConfiguration?
        /// Between bookmarks; a real server takes about a minute.
        public var bookmarkInterval = Duration.seconds(60)
        /// When watches end that don't say how long they last.
        public var watchTimeout = Duration.seconds(1800)
        /// Gets lines for what was written, before anybody is told of it; one that throws ends the process, as
        /// an etcd without a disk would.
        public var keep: (@Sendable ([UInt8]) throws -> Void)?

        public init() {}
    }

    struct Shared {
        var state: DoubleState
        var faults: [(scope: DoubleFaultScope, fault: DoubleFault)] = []
        var counters = DoubleCounters()
        var waiters: [UInt64: AsyncStream<Void>.Continuation] = [:]
        var channels: [ObjectIdentifier: any Channel] = [:]
        var accepted = 0
        var lastID: UInt64 = 0
        var port: Int?
    }

    let configuration: Configuration
    let shared: Mutex<Shared>
    let logger: Logger

    public init(
        _ state: DoubleState, configuration: Configuration = Configuration(), logger: Logger
    ) {
        self.configuration = configuration
        self.logger = logger
        shared = Mutex(Shared(state: state))
    }

    /// Nil until it listens.
    public var port: Int? { shared.withLock { $0.port } }
    public var counters: DoubleCounters { shared.withLock { $0.counters } }
    public var state: DoubleState { shared.withLock { $0.state } }

    /// Connections that asked something and are open.
    public var connections: Int { shared.withLock { $0.channels.count } }
    /// Connections that ever asked something.
    public var accepted: Int { shared.withLock { $0.accepted } }

    /// Changes what is served; watches are told at once.
    @discardableResult
    public func change<Result: Sendable>(_ body: (inout DoubleState) -> Result) -> Result {
        let (result, waiters) = shared.withLock { shared in
            let version = shared.state.version
            let result = body(&shared.state)
            if let keep = configuration.keep, shared.state.version != version {
                do {
                    try keep(shared.state.lines(after: version))
                } catch {
                    fatalError("what was written can't be kept: \(error)")
                }
            }
            return (result, Array(shared.waiters.values))
        }
        for waiter in waiters { waiter.yield() }
        return result
    }

    /// Meets the next `count` requests of a kind.
    public func inject(
        _ fault: DoubleFault, into scope: DoubleFaultScope = .everything, count: Int = 1
    ) {
        shared.withLock { shared in
            for _ in 0..<count { shared.faults.append((scope, fault)) }
        }
    }

    public func forgetFaults() { shared.withLock { $0.faults = [] } }

    public func forgetCounters() { shared.withLock { $0.counters = DoubleCounters() } }

    /// Breaks every connection, as a server that ends does.
    public func cutConnections() {
        let channels = shared.withLock { Array($0.channels.values) }
        for channel in channels { channel.close(promise: nil) }
    }

    /// Serves until cancelled.
    ///
    /// - Parameter listening: told of the port as soon as it is open.
    public func run(_ listening: @escaping @Sendable (_ port: Int) -> Void = { _ in }) async throws
    {
        let builder: HTTPServerBuilder =
            try configuration.tls.map { try .http2Upgrade(tlsConfiguration: $0) } ?? .http1()
        let server = try builder.buildServer(
            configuration: ServerConfiguration(
                address: .hostname(configuration.host, port: configuration.port)),
            eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: logger
        ) { [self] request, writer, channel in
            try await respond(to: request, writer, channel)
        } onServerRunning: { [self] channel in
            guard let port = channel.localAddress?.port else { return }
            shared.withLock { $0.port = port }
            listening(port)
        }
        try await withThrowingTaskGroup { group in
            group.addTask { try await server.run() }
            group.addTask { [self] in
                // Watches look at the clock when they are woken.
                let pace = min(configuration.bookmarkInterval / 2, .seconds(1))
                while true {
                    try await Task.sleep(for: pace)
                    change { _ in }
                }
            }
            try await group.next()
            group.cancelAll()
        }
    }
}
