// SPDX-License-Identifier: Apache-2.0

import MeshAdmin
import MeshDatapath

/// Names, labels and meanings are those of Cilium's documentation, so that its dashboards show this
/// mesh. What has no counterpart here isn't exported: ``Metric/withoutCounterpart``.
extension Metric {
    static let compatible = [
        ciliumGlobalServices, ciliumRemoteClusters, ciliumRemoteReadiness, ciliumRemoteFailures,
        ciliumRemoteLastFailure, ciliumRemoteNodes, ciliumRemoteServices, ciliumRemoteEndpoints,
        ciliumMapPressure, ciliumDropCount, ciliumDropBytes, ciliumForwardCount,
        ciliumForwardBytes,
    ]

    private static let source = [
        Label(open: "source_cluster", "This node's cluster."),
        Label(open: "source_node_name", "This node."),
    ]
    private static let remote =
        source + [Label(open: "target_cluster", "The other cluster.")]

    private static func remote(_ name: String, _ unit: Unit, _ help: String) -> Metric {
        Metric(
            "cilium_clustermesh_remote_cluster_" + name, .gauge, unit, help, labels: remote,
            limit: MetricCatalogue.clusters, overflow: .omitted)
    }

    static let ciliumGlobalServices = Metric(
        "cilium_clustermesh_global_services", .gauge, .count,
        "The total number of global services in the cluster mesh", labels: source, limit: 1,
        overflow: .omitted)
    static let ciliumRemoteClusters = Metric(
        "cilium_clustermesh_remote_clusters", .gauge, .count,
        "The total number of remote clusters meshed with the local cluster", labels: source,
        limit: 1, overflow: .omitted)
    static let ciliumRemoteReadiness = remote(
        "readiness_status", .number,
        "The readiness status of the remote cluster: 1 if its state is here and it takes flows or drains"
    )
    static let ciliumRemoteFailures = remote(
        "failures", .count,
        "The total number of failures related to the remote cluster: verdicts of unreachable")
    static let ciliumRemoteLastFailure = remote(
        "last_failure_ts", .seconds,
        "The timestamp of the last failure of the remote cluster, 0 for none")
    static let ciliumRemoteNodes = remote(
        "nodes", .count, "The total number of nodes in the remote cluster")
    static let ciliumRemoteServices = remote(
        "services", .count,
        "The total number of services of the remote cluster that have backends here known")
    static let ciliumRemoteEndpoints = remote(
        "endpoints", .count, "The total number of endpoints in the remote cluster")
    static let ciliumMapPressure = Metric(
        "cilium_bpf_map_pressure", .gauge, .ratio,
        "Ratio of the map's entries to its size; the maps are Weft's, without weft_",
        labels: [Label(open: "map_name", "Name of the map.")], limit: 32, overflow: .largest)

    private static let drop = [
        Label(
            "reason", "Cilium's sentence where the reason is the same, otherwise Weft's label.",
            values: dropReason.values!.map(ciliumReason)),
        Label("direction", "Drops don't say theirs.", values: ["UNKNOWN"]),
    ]
    private static let direction = Label(
        "direction", "INGRESS: to an endpoint of this node. EGRESS: from one.",
        values: ["INGRESS", "EGRESS"])

    static let ciliumDropCount = Metric(
        "cilium_drop_count_total", .counter, .packets,
        "Total dropped packets, tagged by drop reason and ingress/egress direction", labels: drop)
    static let ciliumDropBytes = Metric(
        "cilium_drop_bytes_total", .counter, .bytes,
        "Total dropped bytes, tagged by drop reason and ingress/egress direction", labels: drop)
    static let ciliumForwardCount = Metric(
        "cilium_forward_count_total", .counter, .packets,
        "Total forwarded packets, tagged by ingress/egress direction", labels: [direction])
    static let ciliumForwardBytes = Metric(
        "cilium_forward_bytes_total", .counter, .bytes,
        "Total forwarded bytes, tagged by ingress/egress direction", labels: [direction])

    /// Cilium's words for what means the same there.
    static func ciliumReason(_ label: String) -> String {
        let words = [
            "malformed": "Invalid packet", "unknown_protocol": "Unsupported L2 protocol",
            "invalid_source": "Invalid source ip", "policy_denied": "Policy denied",
            "no_backend": "Service backend not found",
            "no_tunnel": "No tunnel/encapsulation endpoint (datapath BUG!)",
            "connection_table_full": "CT: Map insertion failed",
            "not_local": "No matching local container found",
            "rewrite_failed": "Error writing to packet",
        ]
        return words[label] ?? label
    }

    /// Series of Cilium's that its dashboards may ask for in vain, and why.
    static let withoutCounterpart: KeyValuePairs<String, String> = [
        "cilium_clustermesh_remote_cluster_cache_revocations":
            "nothing is cached until a time is over: state stays, and verdicts take flows away",
        "cilium_clustermesh_apiserver_bootstrap_seconds": "there is no API server of the mesh",
        "cilium_clustermesh_apiserver_kvstore_operations_duration_seconds":
            "no key-value store stands between clusters",
        "cilium_clustermesh_apiserver_kvstore_events_queue_seconds":
            "as above; weft_datapath_apply_delay_seconds says what changes wait for",
        "cilium_clustermesh_apiserver_kvstore_quorum_errors_total":
            "as above; weft_publisher_answers says whether the publisher is there",
        "cilium_clustermesh_apiserver_kvstore_sync_errors_total":
            "as above; weft_state_faults_total counts what goes wrong",
        "cilium_clustermesh_apiserver_kvstore_sync_queue_size": "as above",
        "cilium_clustermesh_apiserver_kvstore_initial_sync_completed":
            "weft_state_complete says the same",
        "cilium_kvstoremesh_*": "there is no such process",
    ]
}
