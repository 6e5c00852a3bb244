// SPDX-License-Identifier: Apache-2.0

import MeshAdmin
import MeshReachability

extension Metric {
    static let ofAgent = [agentInfo, processStart, processMemory, manifestProblems]

    static let agentInfo = Metric(
        "weft_agent_info", .gauge, .number, "Always 1; which agent this is stands in its labels.",
        labels: [
            Label(open: "version", "Version of the agent."), .cluster("Its own cluster."),
            Label(open: "node", "Its node."),
        ], limit: 1, overflow: .omitted)
    static let processStart = Metric(
        "process_start_time_seconds", .gauge, .seconds, "When the agent started, in Unix time.")
    static let processMemory = Metric(
        "process_resident_memory_bytes", .gauge, .bytes, "Resident memory of the agent.")
    static let manifestProblems = Metric(
        "weft_manifest_problems", .gauge, .count,
        "Problems of files in the manifests' folder; what they last said stays in force.")

    static let ofClusters = [
        clusters, clusterVerdict, clusterWeight, clusterVerdictChanges, failoverGap,
        clusterCapacity, clusterSpare, clusterNodes, clusterEndpoints, nodes,
    ]

    private static let verdict = Label(
        "verdict", "What this node believes.", values: VerdictName.allCases.map(\.rawValue))

    static let clusters = Metric(
        "weft_clusters", .gauge, .count,
        "Clusters of the mesh by verdict, this node's own included.", labels: [verdict])
    static let clusterVerdict = Metric(
        "weft_cluster_verdict", .gauge, .number,
        "Verdict on a cluster: 0 unknown, 1 up, 2 suspect, 3 unreachable, 4 probation, 5 draining. Those that aren't up come first.",
        labels: [.cluster()], limit: MetricCatalogue.clusters, overflow: .omitted)
    static let clusterWeight = Metric(
        "weft_cluster_weight_ratio", .gauge, .ratio,
        "Weight of a cluster for new flows: 1 is full, 0 gets none.",
        labels: [.cluster()], limit: MetricCatalogue.clusters, overflow: .smallest)
    static let clusterVerdictChanges = Metric(
        "weft_cluster_verdict_changes_total", .counter, .count,
        "Verdicts taken on a cluster, by the new one.", labels: [.cluster(), verdict],
        limit: 6 * MetricCatalogue.clusters)
    static let failoverGap = Metric(
        "weft_cluster_failover_gap_seconds",
        .histogram([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1, 2, 5]), .seconds,
        "Time from the last heartbeat that any relay heard of a cluster to the store that sends new flows elsewhere."
    )
    static let clusterCapacity = Metric(
        "weft_cluster_capacity", .gauge, .number,
        "What a cluster says it can do, in processors or the unit of its own file.",
        labels: [.cluster()], limit: MetricCatalogue.clusters)
    static let clusterSpare = Metric(
        "weft_cluster_spare_capacity", .gauge, .number,
        "What of its capacity a cluster doesn't use.",
        labels: [.cluster()], limit: MetricCatalogue.clusters)
    static let clusterNodes = Metric(
        "weft_cluster_nodes", .gauge, .count, "Nodes of a cluster that this node knows.",
        labels: [.cluster()], limit: MetricCatalogue.clusters)
    static let clusterEndpoints = Metric(
        "weft_cluster_endpoints", .gauge, .count,
        "Endpoints of a cluster that this node knows; one with several addresses counts once.",
        labels: [.cluster()], limit: MetricCatalogue.clusters)
    static let nodes = Metric(
        "weft_nodes", .gauge, .count, "Nodes of all clusters by verdict.", labels: [verdict])

    static let ofBackends = [
        backendsQuarantined, backendQuarantines, backendReleases, backendProbes, backendSpared,
    ]

    static let backendsQuarantined = Metric(
        "weft_backends_quarantined", .gauge, .count,
        "Backends that get no new flows of this node because connections to them failed.")
    static let backendQuarantines = Metric(
        "weft_backend_quarantines_total", .counter, .count,
        "Backends put into quarantine, by how they failed last.",
        labels: [
            Label("failure", "The last failure.", values: ["silent", "refused", "unreachable"])
        ])
    static let backendReleases = Metric(
        "weft_backend_releases_total", .counter, .count,
        "Backends released from quarantine, by reason.",
        labels: [
            Label(
                "reason", "Why it was released.",
                values: ["answered", "expired", "needed", "gone"])
        ])
    static let backendProbes = Metric(
        "weft_backend_probes_total", .counter, .count,
        "Connections tried to backends in quarantine, by outcome.",
        labels: [
            Label(
                "outcome", "What came of it.",
                values: ["answered", "refused", "silent", "unreachable", "impossible"])
        ])
    static let backendSpared = Metric(
        "weft_backend_spared_total", .counter, .count,
        "Failing backends that a bound kept out of quarantine.")
}
