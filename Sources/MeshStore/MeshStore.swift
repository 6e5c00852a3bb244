// SPDX-License-Identifier: Apache-2.0

public import MeshModel
public import MeshPolicy
import Synchronization

/// Everything the agent wants the kernel to hold.
public struct MeshTables: Sendable {
    public var frontends = Table<FrontendKey, ServiceFrontend>()
    public var endpoints = EndpointRows()
    public var nodes = Table<NodeID, NodeRow>()
    public var clusters = Table<ClusterID, ClusterRow>()
    public var identities = Table<Identity, IdentityRow>()
    public var namespaces = Table<NamespaceName, NamespaceRow>()
    /// Of the own cluster: other clusters' select none of its endpoints.
    public var policies = Table<PolicyName, PolicyRow>()
    /// Backends that frontends leave out; ``quarantine(_:)`` and ``release(_:)`` write it.
    public internal(set) var quarantines: [BackendKey: QuarantineRow] = [:]

    public init() {}

    /// Changes whenever a row or the completeness of a table does, not with statuses.
    fileprivate var version: [UInt64] {
        func version(_ table: some ReconciledTable) -> UInt64 {
            table.revision << 1 | (table.isComplete ? 1 : 0)
        }
        return [
            version(frontends), version(endpoints), version(nodes), version(clusters),
            version(identities), version(namespaces), version(policies),
        ]
    }
}

/// The tables, shared: sources write, reconcilers and status readers read.
public final class MeshStore: Sendable {
    private struct State {
        var tables = MeshTables()
        var watchers: [UInt64: AsyncStream<Void>.Continuation] = [:]
        var nextWatcher: UInt64 = 0
    }

    private let state = Mutex(State())

    public init() {}

    /// Runs `body` alone with the tables and wakes the watchers if a row changed.
    ///
    /// Many writes that belong together go into one `body`: readers see all of them or none. What
    /// `body` wrote before it threw stays, and watchers are woken for it.
    public func write<Result: Sendable, Failure: Error>(
        _ body: (inout MeshTables) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let (result, watchers) = state.withLock { state in
            let before = state.tables.version
            let result: Swift.Result<Result, Failure>
            do throws(Failure) {
                result = .success(try body(&state.tables))
            } catch {
                result = .failure(error)
            }
            let changed = state.tables.version != before
            return (result, changed ? Array(state.watchers.values) : [])
        }
        for watcher in watchers { watcher.yield() }
        return try result.get()
    }

    /// Runs `body` with the tables while nobody writes; keep it short, or take a ``snapshot()``.
    public func read<Result: Sendable, Failure: Error>(
        _ body: (MeshTables) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let result = state.withLock { state -> Swift.Result<Result, Failure> in
            do throws(Failure) {
                return .success(try body(state.tables))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    /// All tables as they are now, in constant time.
    public func snapshot() -> MeshTables { state.withLock { $0.tables } }

    /// Yields once at the start and then after every change of a row. Changes that come faster than
    /// they are consumed become one: ``ReconciledTable/changedKeys(since:)`` says what was missed.
    public func watch() -> AsyncStream<Void> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let watcher = state.withLock { state in
            state.nextWatcher += 1
            state.watchers[state.nextWatcher] = continuation
            return state.nextWatcher
        }
        continuation.onTermination = { [weak self] _ in
            self?.state.withLock { _ = $0.watchers.removeValue(forKey: watcher) }
        }
        continuation.yield()
        return stream
    }

    deinit {
        for watcher in state.withLock({ $0.watchers.values }) { watcher.finish() }
    }
}
