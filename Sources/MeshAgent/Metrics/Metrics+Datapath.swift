// SPDX-License-Identifier: Apache-2.0

import MeshAdmin
import MeshDatapath

extension Metric {
    static let ofDatapath = [
        droppedPackets, droppedBytes, forwardedPackets, forwardedBytes, datapathEvents,
        mapEntries, mapCapacity, mapPressure, mapWrites, applyDelay,
        datapathFailures,
    ]

    static let dropReason = Label(
        "reason", "Drop reason; weft drops says what each means.",
        values: DropReason.allCases.dropFirst().map(\.label))
    private static let path = Label(
        "path",
        "To an endpoint of this node; to another node; or into the host's stack.",
        values: DatapathCounter.forwarding.map(\.label))
    private static let map = Label(open: "map", "Name of the map.")
    private static let maps = 32

    static let droppedPackets = Metric(
        "weft_datapath_dropped_packets_total", .counter, .packets, "Packets dropped.",
        labels: [dropReason])
    static let droppedBytes = Metric(
        "weft_datapath_dropped_bytes_total", .counter, .bytes, "Bytes of the packets dropped.",
        labels: [dropReason])
    static let forwardedPackets = Metric(
        "weft_datapath_forwarded_packets_total", .counter, .packets, "Packets forwarded.",
        labels: [path])
    static let forwardedBytes = Metric(
        "weft_datapath_forwarded_bytes_total", .counter, .bytes, "Bytes of the packets forwarded.",
        labels: [path])
    static let datapathEvents = Metric(
        "weft_datapath_events_total", .counter, .count,
        "What the programs did besides forwarding and dropping.",
        labels: [
            Label("event", "What it was.", values: DatapathCounter.events.map(\.label))
        ])
    static let mapEntries = Metric(
        "weft_datapath_map_entries", .gauge, .count,
        "Elements in use. Tables that the programs fill are counted every half minute.",
        labels: [map], limit: maps)
    static let mapCapacity = Metric(
        "weft_datapath_map_capacity", .gauge, .count, "Elements that there is room for.",
        labels: [map], limit: maps)
    static let mapPressure = Metric(
        "weft_datapath_map_pressure_ratio", .gauge, .ratio,
        "Entries by capacity. What doesn't fit is refused, except where the least used one goes: weft_connections, weft_affinity, weft_udp_peers, weft_evidence.",
        labels: [map], limit: maps, overflow: .largest)
    static let mapWrites = Metric(
        "weft_datapath_map_writes_total", .counter, .count,
        "Elements written or deleted by this agent.", labels: [map], limit: maps)
    static let applyDelay = Metric(
        "weft_datapath_apply_delay_seconds",
        .histogram([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5]), .seconds,
        "Time from a change of what this node knows, wherever it came from, until the kernel holds it."
    )
    static let datapathFailures = Metric(
        "weft_datapath_failures", .gauge, .count,
        "What the kernel should hold and doesn't, in sentences of weft status.")

    static let ofPolicies = [
        policies, policySets, policyVersions, policiesInForce, policyUnplaced, policyUnknown,
        policyWouldDeny, policyCompile,
    ]

    static let policies = Metric(
        "weft_policies", .gauge, .count, "Policies of the own cluster by state.",
        labels: [
            Label(
                "state", "As in weft policy list.",
                values: PolicyStatus.State.allCases.map(\.rawValue))
        ])
    static let policySets = Metric(
        "weft_policy_sets", .gauge, .count, "Policy sets of this node's endpoints.")
    static let policyVersions = Metric(
        "weft_policy_versions", .gauge, .count,
        "Compiled policies in force, which sets with the same rules share.")
    static let policiesInForce = Metric(
        "weft_policy_current", .gauge, .number,
        "0: the newest policies aren't in force; the former ones stay.")
    static let policyUnplaced = Metric(
        "weft_policy_unplaced_endpoints", .gauge, .count,
        "Addresses of endpoints whose policies the kernel has no room for: new ones reach nobody.")
    static let policyUnknown = Metric(
        "weft_policy_unknown_identities", .gauge, .count,
        "Identities of endpoints whose labels aren't known here yet: where a policy depends on them, their packets are dropped."
    )
    static let policyWouldDeny = Metric(
        "weft_policy_would_deny_total", .counter, .count,
        "Denials that were told and not enforced, because the endpoint is only watched.")
    static let policyCompile = Metric(
        "weft_policy_compile_seconds",
        .histogram([0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5]), .seconds,
        "Time to compile changed policies and put them in force, or to fail at it.")
}

extension DatapathCounter {
    static let forwarding: [DatapathCounter] = [.delivered, .encapsulated, .toHost]
    /// Those without a metric of their own.
    static let events = allCases.filter {
        !forwarding.contains($0) && $0 != .eventsLost && $0 != .audited
    }
}
