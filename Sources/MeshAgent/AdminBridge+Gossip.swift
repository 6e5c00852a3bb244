// SPDX-License-Identifier: Apache-2.0

import MeshAdmin
import MeshMembership
import MeshTransport

extension AdminBridge {
    /// Of gossip inside the cluster. What was rejected before it was opened is among
    /// `weft_transport_rejected_total`.
    func gossipMetrics(
        _ transport: TransportCounters, _ membership: MembershipCounters
    ) -> [MetricFamily] {
        func counter(
            _ name: String, _ help: String, _ label: String, _ values: [(String, UInt64)]
        ) -> MetricFamily {
            MetricFamily(
                name: name, help: help, kind: .counter,
                samples: values.map {
                    MetricFamily.Sample(Double($0.1), labels: [.init(label, $0.0)])
                })
        }
        return [
            counter(
                "weft_gossip_datagrams_total", "Gossip datagrams, by direction.", "direction",
                [("sent", transport.gossipSent), ("received", transport.gossipReceived)]),
            counter(
                "weft_gossip_bytes_total", "UDP payload of gossip, by direction.", "direction",
                [
                    ("sent", transport.gossipBytesSent),
                    ("received", transport.gossipBytesReceived),
                ]),
            counter(
                "weft_gossip_responder_probes_total",
                "Kernels of accused nodes asked, and their answers.", "kind",
                [("asked", transport.probesSent), ("answered", transport.probesAnswered)]),
            counter(
                "weft_membership_events_total",
                "What happened among the nodes of this cluster, as this node saw it.", "event",
                [
                    ("probe", membership.probes), ("probe-failed", membership.probesFailed),
                    ("accusation", membership.accusations),
                    ("accusation-withheld", membership.accusationsWithheld),
                    ("refutation", membership.refutations), ("death", membership.deaths),
                    ("death-doubted", membership.deathsDoubted), ("revival", membership.revivals),
                    ("late", membership.late),
                ]),
            counter(
                "weft_membership_rejected_total",
                "Authentic gossip that was ignored, by reason; strange-testimony: what a heartbeat says of "
                    + "a node of this cluster, from a relay beyond the 32 that count.", "reason",
                [
                    ("unknown-sender", membership.unknownSenders),
                    ("oversized", membership.oversized),
                    ("unsupported-version", membership.unsupportedVersions),
                    ("malformed", membership.malformed),
                    ("stranger", membership.strangers),
                    ("strange-testimony", membership.strangeTestimonies),
                    ("errand-refused", membership.errandsRefused),
                ]),
        ]
    }
}
