// SPDX-License-Identifier: Apache-2.0

import MeshModel

/// Which labels of an endpoint are relevant to policy, and so make its identity. The fewer differ
/// between the replicas of a workload, the fewer identities a cluster needs.
///
/// What an operator configures goes first: of the configured patterns that match a label's key the
/// most specific decides (``NamePatterns``). Where none matches, the list of labels that are ignored
/// by default decides; where that doesn't match either, the label is relevant. So `exclude: ["*"]`
/// with some `include` keeps nothing but those, and `include: [job-name]` brings back one default.
struct IdentityLabels: Hashable, Sendable {
    static let standard = IdentityLabels()
    /// The endpoint's namespace. Pods can't set it.
    static let namespace = "io.kubernetes.pod.namespace"
    static let cluster = "io.weft.cluster"
    /// The ports that it names: `dns=UDP/53,http=TCP/8080`. Policies ask for them by name.
    static let ports = "io.weft.ports"
    /// In a node's report only.
    static let audit = "io.weft.policy-audit"
    /// Labels that this mesh adds. Pods can't set any of them, so that more can come.
    static let ownPrefix = "io.weft."

    private let configured: NamePatterns?

    private init() { configured = nil }

    /// - Parameters: keys, or beginnings of keys with a `*` behind them.
    init(include: [String], exclude: [String]) throws(NamePatterns.Fault) {
        configured = try NamePatterns(include: include, exclude: exclude)
    }

    func isRelevant(_ key: String) -> Bool {
        configured?.includes(key) ?? !Self.isIgnoredByDefault(key)
    }

    /// The labels that make an endpoint's identity: its own as far as they are relevant, in the order
    /// of their keys as many as a record can carry, and always its namespace, its cluster and the
    /// ports that it names.
    func labels(of endpoint: EndpointRecord, cluster: ClusterName) -> Labels {
        var added = [
            Self.namespace: endpoint.object.namespace, Self.cluster: cluster.rawValue,
        ]
        added[Self.ports] = endpoint.labels[Self.ports]
        return endpoint.labels.filter {
            $0.key != Self.namespace && !$0.key.hasPrefix(Self.ownPrefix) && isRelevant($0.key)
        }
        .limited(to: RecordLimit.labels - added.count)
        .merging(added) { $1 }
    }
}

extension Labels {
    /// The first `count` labels in the order of their keys: what a record can carry.
    func limited(to count: Int) -> Labels {
        guard self.count > count else { return self }
        return Labels(uniqueKeysWithValues: sorted { $0.key < $1.key }.prefix(count).map { $0 })
    }
}

// MARK: The default list

extension IdentityLabels {
    private static func isIgnoredByDefault(_ key: String) -> Bool {
        ignoredKeys.contains(key)
            || ignoredPrefixes.contains { key.utf8.starts(with: $0.utf8) }
    }

    /// What Cilium ignores (`defaultLabelPrefixCfg` in pkg/labelsfilter/filter.go), so that policies
    /// written for it meet the same identities: hashes of templates and revisions, the names and
    /// indexes of pods, `io.kubernetes`, `kubernetes.io`, `k8s.io`, `annotation` and `etcd_node`, but
    /// not `app.kubernetes.io`. And what others put on pods that changes with every run or release.
    private static let ignoredKeys: Set<String> = [
        "pod-template-hash",  // A Deployment's revision: another with every rollout.
        "pod-template-generation", "controller-revision-hash",  // The same of DaemonSets.
        "rollouts-pod-template-hash",  // The same of Argo Rollouts.
        "statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index",  // One a pod.
        "etcd_node",  // One a member.
        "controller-uid", "job-name",  // One for each run of a CronJob; their old names.
        "helm.sh/chart",  // Name and version: another with every upgrade of the chart.
        "istio.io/rev",  // Another with every upgrade of that mesh.
        "spark-app-selector", "spark-exec-id",  // One for each run, one for each executor.
        "training.kubeflow.org/replica-index",  // One a pod.
        // One for each run; and one that changes before its pod ends.
        "workflows.argoproj.io/workflow", "workflows.argoproj.io/completed",
    ]

    private static let ignoredPrefixes: [String] = [
        "io.kubernetes.", "kubernetes.io/", "k8s.io/", "annotation.",  // The system's own notes.
        "beta.kubernetes.io/", "node.kubernetes.io/", "failure-domain.beta.kubernetes.io/",
        "topology.kubernetes.io/",  // Where a pod runs: copied from its node since 1.35 (KEP-4742).
        "batch.kubernetes.io/",  // Names, UIDs and indexes: one for each run, or for each pod.
        "jobset.sigs.k8s.io/job-", "jobset.sigs.k8s.io/restart-attempt",  // One for each run.
        "leaderworkerset.sigs.k8s.io/",  // Indexes and hashes of groups and workers.
        "argocd.argoproj.io/",  // How a deployment tool finds its objects.
        "tekton.dev/taskRun", "tekton.dev/pipelineRun",  // Names and UIDs of runs.
        "velero.io/",  // The backup and the restore that a pod came from.
    ]
}
