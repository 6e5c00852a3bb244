// SPDX-License-Identifier: Apache-2.0

import Logging
import MeshAdmin
import MeshDatapath
import MeshModel
import MeshReconciler
import MeshStore
import MeshTransport
import ServiceLifecycle
import Synchronization

/// Makes the kernel hold what the tables say, whenever they change.
actor ReconcileService: Service {
    /// A restarted agent waits this long for other clusters' state before it touches services and
    /// policies: until then what its predecessor left is the better picture.
    static let patience = Duration.seconds(5)

    private let store: MeshStore
    private let log: Logger
    private var clusters: Reconciler<ClusterTarget>
    private var nodes: Reconciler<NodeTarget>
    private var endpoints: Reconciler<EndpointTarget>
    private var frontends: Reconciler<FrontendTarget>
    private(set) var policies: PolicyReconciler
    private let frontendsFrom: Instant
    /// Sentences about what can't be realised.
    private(set) var failures: [String] = []
    private(set) var delays = Delays()
    /// Since when there is something that the kernel doesn't hold yet.
    private let changedAt = Mutex<Instant?>(nil)

    init(
        store: MeshStore, datapath: any Datapath, policies: PolicyReconciler, isRestart: Bool,
        log: Logger
    ) {
        self.policies = policies
        self.store = store
        self.log = log
        clusters = Reconciler(ClusterTarget(datapath), table: \.clusters)
        nodes = Reconciler(NodeTarget(datapath), table: \.nodes)
        endpoints = Reconciler(EndpointTarget(datapath), table: \.endpoints)
        frontends = Reconciler(FrontendTarget(datapath, store), table: \.frontends)
        frontendsFrom = .monotonicNow + (isRestart ? Self.patience : .zero)
    }

    func run() async throws {
        await withDiscardingTaskGroup { group in
            let (changes, change) = AsyncStream.makeStream(
                of: Void.self, bufferingPolicy: .bufferingNewest(1))
            // By itself, to see what comes during a pass when it comes.
            group.addTask {
                for await _ in self.store.watch().cancelOnGracefulShutdown() {
                    self.changedAt.withLock { $0 = $0 ?? .monotonicNow }
                    change.yield()
                }
                change.finish()
            }
            group.addTask {
                for await _ in changes { await self.reconcile() }
            }
            group.addTask {
                for await _ in AsyncTimer(every: .milliseconds(500)).cancelOnGracefulShutdown() {
                    await self.retry()
                }
            }
        }
    }

    /// Endpoints whose row the kernel refused when only their policies had changed.
    private var unwritten: Set<Address> = []

    private func passPolicies(_ tables: MeshTables, _ now: Instant) -> Set<Address> {
        guard now >= frontendsFrom || tables.identities.isComplete else { return [] }
        let attempts = policies.attempts
        let replaced = policies.pass(store, tables, now: now)
        if policies.attempts != attempts {
            delays.compile.observe((Instant.monotonicNow - now).seconds)
        }
        endpoints.target.placements = policies.placements
        return replaced.union(unwritten)
    }

    /// Rows whose policies changed, whether they did or not.
    private func write(_ replaced: Set<Address>, _ tables: MeshTables) {
        guard !replaced.isEmpty else { return }
        let failures = endpoints.target.update(replaced.compactMap { tables.endpoints[$0] })
        unwritten = Set(failures.map(\.key))
        for failure in failures {
            log.error(
                "An endpoint's policies can't be written",
                metadata: ["endpoint": "\(failure.key)", "reason": "\(failure.error)"])
        }
    }

    private var isRetryDue = false

    private func retry() {
        let isWaiting = frontendsFrom > .monotonicNow
        if isRetryDue || isWaiting || hasWaited { reconcile() }
        hasWaited = isWaiting
    }

    private var hasWaited = false

    /// One pass over all tables, in the order in which rows refer to each other.
    func reconcile() {
        let now = Instant.monotonicNow
        let since = changedAt.withLock { $0.take() }
        var results = [clusters.pass(store, now: now), nodes.pass(store, now: now)]
        // Before their endpoints: an endpoint has its policies from its first packet.
        let tables = store.snapshot()
        let replaced = passPolicies(tables, now)
        results.append(endpoints.pass(store, now: now, tables: tables))
        write(replaced, tables)
        if now >= frontendsFrom || store.read({ $0.frontends.isComplete }) {
            results.append(frontends.pass(store, now: now))
            if let since { delays.apply.observe((Instant.monotonicNow - since).seconds) }
        } else {
            changedAt.withLock { $0 = since ?? $0 }
        }
        isRetryDue =
            results.contains { $0.nextRetry != nil } || policies.isRetryDue || !unwritten.isEmpty
        let failures =
            results.compactMap(\.firstFailure).filter { $0 != EndpointTarget.Unplaced.sentence }
            + (policies.failure.map { ["policies: \($0)"] } ?? [])
        for failure in failures where !self.failures.contains(failure) {
            log.error("The kernel doesn't hold what it should", metadata: ["reason": "\(failure)"])
        }
        if !failures.isEmpty || !isRetryDue { self.failures = failures }
    }
}

extension ReconcileService {
    func renewFlows(_ renews: Bool) { policies.renewsFlows = renews }

    /// Which policy decided, as far as this process knows.
    func explanation(of mark: FlowPolicy) -> String? {
        guard let reason = policies.history.reason(version: mark.version, code: mark.rule)
        else { return nil }
        return "\(mark.direction == .egress ? "egress" : "ingress"): \(reason)"
    }
}
