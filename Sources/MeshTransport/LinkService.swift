// SPDX-License-Identifier: Apache-2.0

public import FoundationEssentials
public import Logging
import MeshModel
import MeshTrust
import NIOCore
public import NIOPosix
public import ServiceLifecycle
import Synchronization

/// Mutually authenticated TLS 1.3 streams to other nodes: listens, dials the configured targets until
/// they answer, keeps one link for each pair of nodes.
///
/// All channels live on one event loop.
public final class LinkService: Service {
    /// For one reader.
    public let events: LinkEvents
    public let statistics: TransportStatistics

    let configuration: LinkConfiguration
    let logger: Logger
    let loop: any EventLoop

    struct State {
        var security: LinkSecurity
        var verifier: PeerVerifier
        /// Of ``verifier``: counts its changes, and those of what is denied.
        var generation: UInt64 = 0
        var known = KnownPeers()
        var contexts: TLSContexts
        var table: LinkTable<LinkConnection>
        var targets: Set<LinkTarget> = []
        var diallers: [LinkTarget: Task<Void, Never>] = [:]
        /// Who answered at an address, so that nobody is dialled while a link exists.
        var learned: [TransportAddress: NodeID] = [:]
        /// One for all who ask to start.
        var starting: Task<any Channel, any Error>?
        var listener: (any Channel)?
        var isStopped = false
        var handshakes = 0
        var dials: DialBudget
        var nextID: UInt64 = 1
        var refusalLog = RefusalLog()
    }
    let state: Mutex<State>

    /// - Throws: when the credentials can't be used for TLS, or name no node of the configured cluster.
    public init(
        configuration: LinkConfiguration, statistics: TransportStatistics, logger: Logger,
        group: MultiThreadedEventLoopGroup = .singleton
    ) throws {
        let security = configuration.security
        guard
            let own = NodeID(
                cluster: configuration.clusterID, name: security.credentials.identity.node)
        else { throw TrustError.invalidNode(security.credentials.identity.node) }
        self.configuration = configuration
        self.statistics = statistics
        self.logger = logger
        loop = group.next()
        events = LinkEvents(queue: LinkEventQueue())
        state = Mutex(
            State(
                security: security,
                verifier: PeerVerifier(store: security.trust, denied: configuration.denied),
                contexts: try TLSContexts(credentials: security.credentials),
                table: LinkTable(own: own),
                dials: DialBudget(
                    burst: configuration.timing.dialBurst,
                    perSecond: configuration.timing.dialsPerSecond)))
    }

    /// Binds the listener and starts to dial.
    ///
    /// - Returns: where the listener is bound.
    /// - Throws: the system's error; nothing was started.
    @discardableResult
    public func start() async throws -> TransportAddress {
        let starting = state.withLock { state in
            let starting = state.starting ?? Task { try await self.listen() }
            state.starting = starting
            return starting
        }
        let listener = try await starting.value
        state.withLock { $0.listener = listener }
        startDiallers()
        return TransportAddress(listener.localAddress) ?? configuration.listen
    }

    /// Runs until graceful shutdown or cancellation, then closes every link and ends the events.
    public func run() async throws {
        try await start()
        try? await gracefulShutdown()  // cancellation ends it as well
        await stop()
    }

    /// Queues a frame for the peer without waiting.
    ///
    /// - Parameter frame: at most ``Frame/payloadMaximum`` bytes.
    /// - Returns: false, and counted, when the link is gone, the frame is too large, or the peer reads
    ///   too slowly; then the link goes down as ``LinkDownReason/slowPeer``.
    @discardableResult
    public func send(_ frame: [UInt8], on id: LinkID) -> Bool {
        guard frame.count <= Frame.payloadMaximum else {
            statistics.count(.frameTooLarge)
            return false
        }
        guard let connection = state.withLock({ $0.table.entries[id]?.connection }) else {
            statistics.count(.unknownLink)
            return false
        }
        let buffer = Frame.encode(.data, frame, allocator: connection.channel.allocator)
        switch connection.send(buffer) {
        case .queued:
            statistics.update {
                $0.framesSent &+= 1
                $0.bytesSent &+= UInt64(frame.count)
            }
            return true
        case .closing:
            statistics.count(.unknownLink)
        case .overflow:
            statistics.count(.slowPeer)
            connection.close(.slowPeer)
        }
        return false
    }

    /// Ends a link; both sides' targets dial again.
    public func close(_ id: LinkID) {
        state.withLock { $0.table.entries[id]?.connection }?.close(.closedLocally)
    }

    /// Replaces the targets. Links to former ones stay until they end by themselves.
    public func updateTargets(_ targets: [LinkTarget]) {
        let former = state.withLock { state in
            state.targets = Set(targets)
            let addresses = Set(targets.map(\.remote))
            state.learned = state.learned.filter { addresses.contains($0.key) }
            let former = state.diallers.filter { !state.targets.contains($0.key) }
            for target in former.keys { state.diallers[target] = nil }
            return Array(former.values)
        }
        for dialler in former { dialler.cancel() }
        startDiallers()
    }

    /// Takes new certificates and bundles into use without a restart. Open links stay unless the new
    /// bundles, at the time the link was made, would have refused the peer.
    ///
    /// - Throws: when the credentials can't be used: everything stays as it was.
    public func reload(_ security: LinkSecurity) throws {
        let contexts = try TLSContexts(credentials: security.credentials)
        state.withLock { state in
            state.security = security
            state.contexts = contexts
            state.verifier = PeerVerifier(store: security.trust, denied: configuration.denied)
            state.generation += 1
        }
        judgePeers()
    }

    /// What is in use.
    public var security: LinkSecurity { state.withLock { $0.security } }

    /// Ends links whose peer's certificate ended `grace` seconds before `now`; diallers make them
    /// anew with the one it has now.
    public func closeExpired(at now: Date, grace: TimeInterval) {
        let expired = state.withLock { state in
            state.table.entries.values.map(\.connection).filter {
                now.timeIntervalSince($0.peerNotAfter) > grace
            }
        }
        for connection in expired { connection.close(.expired) }
    }

    private func stop() async {
        let (listener, diallers, connections) = state.withLock { state in
            state.isStopped = true
            defer {
                state.listener = nil
                state.diallers = [:]
            }
            return (
                state.listener, Array(state.diallers.values),
                state.table.entries.values.map(\.connection)
            )
        }
        for dialler in diallers { dialler.cancel() }
        try? await listener?.close()  // closed already is closed
        for connection in connections {
            connection.close(.shutdown)
            try? await connection.channel.closeFuture.get()
        }
        events.queue.finish()
    }
}
