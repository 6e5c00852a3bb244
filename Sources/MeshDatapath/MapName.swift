// SPDX-License-Identifier: Apache-2.0

/// Names of the maps, in the object and under the pin folder.
enum MapName {
    static let frontends = "weft_frontends"
    static let services = "weft_services"
    static let lists = "weft_lists"
    static let backends = "weft_backends"
    static let clusters = "weft_clusters"
    static let nodes = "weft_nodes"
    static let affinity = "weft_affinity"
    static let udpPeers = "weft_udp_peers"
    static let endpoints = "weft_endpoints"
    static let tunnels = "weft_tunnels"
    static let outerSources = "weft_outer_sources"
    static let prefixes = "weft_prefixes"
    static let clusterSettings = "weft_cluster_settings"
    static let connections = "weft_connections"
    static let evidence = "weft_evidence"
    static let responder = "weft_responder"
    static let policySets = "weft_policy_sets"
    static let policyPeers = "weft_policy_peers"
    static let policyIntervals = "weft_policy_intervals"
    static let policyBlocks = "weft_policy_blocks"
    static let policyKnown = "weft_policy_known"
    static let counters = "weft_counters"
    static let events = "weft_events"
    static let beats = "weft_beats"
    /// Not the object's: which node has which index. Only the agent reads it.
    static let nodeNames = "weft_node_names"
}
