// SPDX-License-Identifier: Apache-2.0

import MeshAdmin
import MeshTransport

extension Metric {
    static let ofState = [
        ledgerAge, ledgerRecords, ledgerQuarantined, ledgerRefused, ledgerFrozen, ledgerRejected,
        stateFaults, publisherAnswers, isPublisher, stateComplete,
    ]

    static let ledgerAge = Metric(
        "weft_ledger_age_seconds", .gauge, .seconds,
        "Time since a cluster's state was known to be its newest, all hops added up.",
        labels: [.cluster()], limit: MetricCatalogue.clusters, overflow: .largest)
    static let ledgerRecords = Metric(
        "weft_ledger_records", .gauge, .count, "Records held of a cluster.", labels: [.cluster()],
        limit: MetricCatalogue.clusters)
    static let ledgerQuarantined = Metric(
        "weft_ledger_quarantined_records", .gauge, .count,
        "Records of a cluster that can't be decoded and are set aside.", labels: [.cluster()],
        limit: MetricCatalogue.clusters)
    static let ledgerRefused = Metric(
        "weft_ledger_refused_records", .gauge, .count,
        "Records of a cluster that its charter doesn't allow.", labels: [.cluster()],
        limit: MetricCatalogue.clusters)
    static let ledgerFrozen = Metric(
        "weft_ledger_frozen", .gauge, .number,
        "1: a cluster signed two histories, and its state stays as it is until its next epoch.",
        labels: [.cluster()], limit: MetricCatalogue.clusters, overflow: .largest)
    static let ledgerRejected = Metric(
        "weft_ledger_rejected_total", .counter, .count,
        "Ledger messages that were rejected, by reason; weft status -o json names the peers.",
        labels: [Label(open: "reason", "Why, of some twenty reasons.")], limit: 24)
    static let stateFaults = Metric(
        "weft_state_faults_total", .counter, .count, "Faults in the state channel, by kind.",
        labels: [
            Label(
                "kind", "What went wrong.",
                values: [
                    "journal_failed", "journal_unusable", "persist_failed", "publish_failed",
                    "lease_unanswered", "ledger_rejected", "record_refused", "link_refused",
                    "message_undecodable", "message_out_of_turn", "statement_ignored",
                ] + LinkDownReason.allCases.map { "link_down.\($0.rawValue)" })
        ])
    static let publisherAnswers = Metric(
        "weft_publisher_answers", .gauge, .number,
        "0: this cluster's publisher doesn't answer, and the nodes go by each other's own reports.")
    static let isPublisher = Metric(
        "weft_publisher_is_local", .gauge, .number, "1 on the node that publishes.")
    static let stateComplete = Metric(
        "weft_state_complete", .gauge, .number,
        "0: not every cluster's state has arrived since the agent's start.")

    static let ofObjects = [objectWatch, objects, objectProblems]

    /// More than an agent ever watches.
    private static let watches = 12
    private static let resource = Label(open: "resource", "What is watched.")

    static let objectWatch = Metric(
        "weft_kubernetes_watch_synced", .gauge, .number,
        "1: what the API server has is known here, but for what is on its way; 0: what it last said stays in force.",
        labels: [resource], limit: watches, overflow: .smallest)
    static let objects = Metric(
        "weft_kubernetes_objects", .gauge, .count, "Objects of the API server that are known here.",
        labels: [resource], limit: watches)
    static let objectProblems = Metric(
        "weft_kubernetes_object_problems", .gauge, .count,
        "Objects of the API server that aren't in force as they are now.")

    static let ofTrust = [certificateLeft, certificateLeftRatio, denials, attestations]

    private static let kind = Label(
        "kind", "What it is for.", values: CertificateStatus.Kind.allCases.map(\.rawValue))
    /// A root for each cluster, and the own chain.
    private static let certificates = MetricCatalogue.clusters + 3

    static let certificateLeft = Metric(
        "weft_trust_certificate_left_seconds", .gauge, .seconds,
        "Time until the first certificate of a kind and cluster ends; negative afterwards.",
        labels: [kind, .cluster()], limit: certificates, overflow: .smallest)
    static let certificateLeftRatio = Metric(
        "weft_trust_certificate_left_ratio", .gauge, .ratio,
        "Share of its life that the certificate nearest to its end has left. Nodes' are renewed at 1/3.",
        labels: [kind, .cluster()], limit: certificates, overflow: .smallest)
    static let denials = Metric(
        "weft_trust_denials", .gauge, .count, "Denials in force.",
        labels: [.cluster("The cluster that denies; without one: this node's own denials.")],
        limit: MetricCatalogue.clusters)

    static let attestations = Metric(
        "weft_trust_attestations_total", .counter, .count,
        "Nodes that showed a service account's token to this authority, which takes them.",
        labels: [
            Label(
                "outcome", "What came of it; unanswered: the API server didn't say.",
                values: AttestationOutcome.allCases.map(\.rawValue))
        ])

    static let ofTransport = [
        links, transportRejected, heartbeatsReceived, overlayHeartbeats, gossipDatagrams,
        gossipBytes, responderProbes, membershipEvents, membershipRejected,
    ]

    private static let direction = Label(
        "direction", "As this node sees it.", values: ["sent", "received"])

    static let links = Metric(
        "weft_transport_links", .gauge, .count, "Streams to other agents that are up.")
    static let transportRejected = Metric(
        "weft_transport_rejected_total", .counter, .count, "What the transport rejected.",
        labels: [
            Label("reason", "Why.", values: TransportRejection.allCases.map(\.rawValue))
        ])
    static let heartbeatsReceived = Metric(
        "weft_transport_heartbeats_received_total", .counter, .count,
        "Authentic heartbeats received.")
    static let overlayHeartbeats = Metric(
        "weft_transport_overlay_heartbeats_total", .counter, .count,
        "Heartbeats that went or came through the overlay.", labels: [direction])
    static let gossipDatagrams = Metric(
        "weft_gossip_datagrams_total", .counter, .count, "Gossip datagrams.", labels: [direction])
    static let gossipBytes = Metric(
        "weft_gossip_bytes_total", .counter, .bytes, "UDP payload of gossip.",
        labels: [direction])
    static let responderProbes = Metric(
        "weft_gossip_responder_probes_total", .counter, .count,
        "Kernels of accused nodes asked, and their answers.",
        labels: [Label("kind", "Question or answer.", values: ["asked", "answered"])])
    static let membershipEvents = Metric(
        "weft_membership_events_total", .counter, .count,
        "What happened among the nodes of this cluster, as this node saw it.",
        labels: [
            Label(
                "event", "What happened.",
                values: [
                    "probe", "probe-failed", "accusation", "accusation-withheld", "refutation",
                    "death", "death-doubted", "revival", "late",
                ])
        ])
    static let membershipRejected = Metric(
        "weft_membership_rejected_total", .counter, .count, "Authentic gossip that was ignored.",
        labels: [
            Label(
                "reason",
                "Why; strange-testimony: what a heartbeat says of a node of this cluster, from a relay beyond the 32 that count.",
                values: [
                    "unknown-sender", "oversized", "unsupported-version", "malformed", "stranger",
                    "strange-testimony", "errand-refused",
                ])
        ])
}
