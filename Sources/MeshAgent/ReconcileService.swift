// SPDX-License-Identifier: Apache-2.0

import Logging
import MeshDatapath
import MeshModel
import MeshReconciler
import MeshStore
import MeshTransport
import ServiceLifecycle

/// Makes the kernel hold what the tables say, whenever they change.
actor ReconcileService: Service {
    /// A restarted agent waits this long for other clusters' state before it touches services:
    /// until then the backends that its predecessor left are the better picture.
    static let patience = Duration.seconds(5)

    private let store: MeshStore
    private let log: Logger
    private var clusters: Reconciler<ClusterTarget>
    private var nodes: Reconciler<NodeTarget>
    private var endpoints: Reconciler<EndpointTarget>
    private var frontends: Reconciler<FrontendTarget>
    private let frontendsFrom: Instant
    /// Sentences about what can't be realised.
    private(set) var failures: [String] = []

    init(store: MeshStore, datapath: any Datapath, isRestart: Bool, log: Logger) {
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
            group.addTask {
                for await _ in self.store.watch().cancelOnGracefulShutdown() {
                    await self.reconcile()
                }
            }
            group.addTask {
                for await _ in AsyncTimer(every: .milliseconds(500)).cancelOnGracefulShutdown() {
                    await self.retry()
                }
            }
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
        var results = [
            clusters.pass(store, now: now), nodes.pass(store, now: now),
            endpoints.pass(store, now: now),
        ]
        if now >= frontendsFrom || store.read({ $0.frontends.isComplete }) {
            results.append(frontends.pass(store, now: now))
        }
        isRetryDue = results.contains { $0.nextRetry != nil }
        let failures = results.compactMap(\.firstFailure)
        for failure in failures where !self.failures.contains(failure) {
            log.error("The kernel doesn't hold what it should", metadata: ["reason": "\(failure)"])
        }
        if !failures.isEmpty || !isRetryDue { self.failures = failures }
    }
}
