// SPDX-License-Identifier: Apache-2.0

import MeshAdmin
import MeshKubernetes
import MeshModel
import MeshReachability
import MeshReplication
import MeshStore

extension Distribution {
    /// Empty, with the buckets that the catalogue has for it.
    init(of metric: Metric) {
        guard case .histogram(let bounds) = metric.kind else { preconditionFailure(metric.name) }
        self.init(bounds)
    }
}

/// What the verdicts of this process came to.
struct HealthFigures: Sendable {
    struct Failures: Sendable {
        var count: UInt64 = 0
        var lastUnixSeconds: UInt64 = 0
    }

    private(set) var changes: [ClusterID: [Verdict: UInt64]] = [:]
    /// Verdicts of unreachable.
    private(set) var failures: [ClusterID: Failures] = [:]
    private(set) var gap = Distribution(of: .failoverGap)

    /// - Parameter silence: since the cluster's last heartbeat, as far as a relay heard one.
    mutating func note(
        _ change: LivenessChange, silence: Duration?, atUnixSeconds now: UInt64
    ) {
        guard let verdict = change.word.verdict else { return }
        changes[change.cluster, default: [:]][verdict, default: 0] += 1
        if verdict == .unreachable {
            failures[change.cluster, default: Failures()].count += 1
            failures[change.cluster]?.lastUnixSeconds = now
        }
        let isFailover =
            [.suspect, .unreachable].contains(verdict) && change.word.weight == 0
            && change.previous.weight > 0
        if isFailover, let silence { gap.observe(silence.seconds) }
    }

    mutating func forget(_ cluster: ClusterID) {
        changes[cluster] = nil
        failures[cluster] = nil
    }
}

/// How long the kernel lagged behind.
struct Delays: Sendable {
    var apply = Distribution(of: .applyDelay)
    var compile = Distribution(of: .policyCompile)
}

struct PolicyFigures: Sendable {
    let sets: Int
    let versions: Int
    let unplaced: Int
    let unknown: Int
    let isCurrent: Bool
}

extension ReconcileService {
    /// Counted here: a copy of the reconciler held elsewhere would have its next pass copy its tables.
    var policyFigures: PolicyFigures {
        PolicyFigures(
            sets: policies.setCount, versions: policies.versionCount,
            unplaced: policies.unplacedCount, unknown: policies.unknownCount,
            isCurrent: policies.isCurrent)
    }
}

struct StateFigures: Sendable {
    struct Ledger: Sendable {
        let owner: ClusterID
        let age: Duration?
        let records: Int
        let quarantined: Int
        let refused: Int
        let isFrozen: Bool
    }

    /// Own first.
    let ledgers: [Ledger]
    let rejections: [String: UInt64]
    let faults: [String: UInt64]
    let publisherAnswers: Bool
    let isPublisher: Bool
    let isComplete: Bool
    let links: Int
    let manifestProblems: Int
    /// Services of more than one cluster.
    let globalServices: Int
}

extension StateService {
    /// Counted here: a copy of the core held elsewhere would have its next step copy its tables.
    func figures(at now: Instant) -> StateFigures {
        let owners = [core.configuration.cluster] + core.peers.map(\.id).sorted()
        return StateFigures(
            ledgers: owners.map { owner in
                StateFigures.Ledger(
                    owner: owner, age: core.synchroniser.age(of: owner, at: now),
                    records: core.synchroniser.replica(of: owner)?.count ?? 0,
                    quarantined: core.tables.quarantine[owner]?.count ?? 0,
                    refused: core.refusals[owner]?.count ?? 0,
                    isFrozen: core.frozen.contains(owner))
            },
            rejections: rejections.reduce(into: [:]) { $0[$1.key.reason, default: 0] += $1.value },
            faults: counters, publisherAnswers: core.publisherAnswers, isPublisher: core.isOpen,
            isComplete: core.isComplete, links: linkViews.count,
            manifestProblems: manifests.problems.count,
            globalServices: Set(
                core.store.snapshot().frontends.unorderedRows.lazy.filter(\.isGlobal)
                    .map(\.service)
            ).count)
    }
}
