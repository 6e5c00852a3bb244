/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The verdict on a connection, with everything that it was taken with. */
#pragma once

#include <stddef.h>

#include "connection.h"
#include "drop.h"
#include "encap.h"
#include "endpoint.h"
#include "policy.h"

/* What the policies of an endpoint here look at. */
static __always_inline __u32 packet_traffic(const struct packet *packet, bool from_opener)
{
	__u16 port = bpf_ntohs(from_opener ? packet->destination_port : packet->source_port);

	if (packet_is_icmp(packet))
		port = icmp_request(packet->icmp_type, packet->protocol == IPPROTO_ICMPV6);
	return WEFT_POLICY_TRAFFIC(packet->protocol, port);
}

/* Tells of a verdict that isn't enforced. */
WEFT_SEPARATE int judge_audited(const struct packet *packet, const struct policy_question *question,
				__u32 reason, __u32 ifindex)
{
	struct weft_event *event;

	if (!packet || !question)
		return 0;
	count(WEFT_COUNTER_AUDITED, packet->length);
	if (!event_is_affordable(WEFT_EVENT_BUDGET_AUDITED, bpf_ktime_get_coarse_ns())) {
		count(WEFT_COUNTER_EVENTS_LOST, 0);
		return 0;
	}
	event = event_reserve(WEFT_EVENT_AUDITED);
	if (!event)
		return 0;
	event_describe_packet(event, packet);
	event_describe_policy(event, question);
	event->reason = reason;
	event->packets = 1;
	event->bytes = packet->length;
	event->ifindex = ifindex;
	event_submit_reason(event, reason);
	return 0;
}

enum judged_side {
	WEFT_JUDGE_INGRESS = 1 << 0,	/* the replier, else the opener */
	WEFT_JUDGE_OPENERS_PACKET = 1 << 1,
};

/*
 * Asks the set of one end, if its endpoint's flags say that it is here. Returns 0 or a drop reason,
 * of which policy_scratch() then says more.
 */
WEFT_SEPARATE int judge_side(struct packet *packet, struct weft_connection *entry, __u32 set,
			     __u32 flags, __u32 side)
{
	struct policy_question *question = policy_scratch();
	bool from_opener = side & WEFT_JUDGE_OPENERS_PACKET;
	__u8 direction = side & WEFT_JUDGE_INGRESS ? WEFT_INGRESS : WEFT_EGRESS;
	int reason;

	if (!packet || !entry || !question)
		return WEFT_DROP_POLICY_DENIED;
	if (!(flags & WEFT_ENDPOINT_LOCAL))
		return 0;
	entry->policy_set = question->set = set;
	if (set == WEFT_POLICY_ALLOW_ALL)
		return 0;
	/* Nobody is kept from himself; but nobody is at another node, too. */
	if (!(entry->flags & WEFT_CONNECTION_FROM_OVERLAY) &&
	    address_equal(&packet->source, &packet->destination))
		return 0;
	question->traffic = packet_traffic(packet, from_opener);
	question->key.direction = direction;
	question->key.identity = direction == WEFT_EGRESS ? entry->replier_identity
							  : entry->opener_identity;
	question->peer.address = from_opener == (direction == WEFT_EGRESS) ? packet->destination
									     : packet->source;
	reason = policy_decide();
	if (!reason)
		return 0;
	if (flags & WEFT_ENDPOINT_AUDIT) {
		__u32 ifindex = from_opener ? entry->opener_ifindex : entry->replier_ifindex;

		judge_audited(packet, question, reason,
			      ifindex ? ifindex : weft_config.overlay_ifindex);
		return 0;
	}
	packet->is_judged = 1;
	return reason;
}

/*
 * Notes a verdict with the generation that it was taken under, in one store: of two CPUs that judge
 * at once, one before and one after a change, the last must not leave its verdict under the other's
 * generation.
 */
static __always_inline void connection_set_verdict(struct weft_connection *entry, __u16 generation,
						   __u8 verdict)
{
	union {
		struct { __u16 generation; __u8 verdict, pad; } fields;
		__u32 word;
	} judged = { .fields = { .generation = generation, .verdict = verdict } };

	_Static_assert(offsetof(struct weft_connection, verdict) ==
		       offsetof(struct weft_connection, identity_generation) + 2, "not one word");
	*(volatile __u32 *)&entry->identity_generation = judged.word;
}

/*
 * Takes the verdict of a connection, or takes it again: for each end that is here by its policy
 * set. An end that weft_endpoints knows has the identity that is said there, but for a remote
 * opener, which keeps that of its packets; any other has the one that the entry says already.
 * Returns 0, which allows, or a drop reason; the packet then says what decided.
 */
WEFT_SEPARATE int connection_judge(struct weft_connection *entry, struct packet *packet,
				   bool from_opener)
{
	__u32 opener_set = 0, opener_flags = 0, replier_set = 0, replier_flags = 0;
	__u32 side = from_opener ? WEFT_JUDGE_OPENERS_PACKET : 0;
	const struct weft_endpoint *endpoint;
	__u16 generation;
	int reason;

	if (!entry || !packet)
		return WEFT_DROP_POLICY_DENIED;

	/* Read before identities and sets: the agent writes them first, then the generation. */
	generation = WEFT_LIVENESS_POLICY(cluster_liveness(entry->cluster));
	/* Each row is read at once: the kernel may reuse it for another endpoint. */
	endpoint = endpoint_find(from_opener ? &packet->source : &packet->destination);
	if (endpoint) {
		opener_set = endpoint->policy_set;
		opener_flags = endpoint->flags;
		if (!(entry->flags & WEFT_CONNECTION_FROM_OVERLAY))
			entry->opener_identity = endpoint->identity;
	}
	endpoint = endpoint_find(from_opener ? &packet->destination : &packet->source);
	if (endpoint) {
		replier_set = endpoint->policy_set;
		replier_flags = endpoint->flags;
		entry->replier_identity = endpoint->identity;
	}
	packet->destination_identity = from_opener ? entry->replier_identity
						   : entry->opener_identity;
	reason = judge_side(packet, entry, opener_set, opener_flags, side);
	if (!reason)
		reason = judge_side(packet, entry, replier_set, replier_flags,
				    side | WEFT_JUDGE_INGRESS);
	connection_set_verdict(entry, generation,
			       reason ? WEFT_VERDICT_DENY : WEFT_VERDICT_ALLOW);
	return reason;
}

/*
 * Fills in the remote side of a new connection: cluster and node, their generations, and where
 * packets to the node are sent. Generations are read first, so that a change in between is seen as
 * one. Returns 0 or a drop reason.
 */
static __always_inline int connection_set_remote(struct weft_connection *entry, __u32 node,
						 __u16 cluster)
{
	const struct weft_tunnel *tunnel;

	entry->node = node;
	entry->cluster = cluster;
	entry->cluster_generation = WEFT_LIVENESS_GENERATION(cluster_liveness(cluster));
	entry->node_generation = WEFT_LIVENESS_GENERATION(node_liveness(node));
	tunnel = tunnel_at(node);
	entry->mtu = tunnel_mtu(tunnel);
	if (!tunnel)
		return WEFT_DROP_NO_TUNNEL;
	entry->outer = tunnel->address;
	return 0;
}

/* Follows a node to its new underlay address. */
static __always_inline void connection_refresh_remote(struct weft_connection *entry,
						      weft_liveness word)
{
	const struct weft_tunnel *tunnel = tunnel_at(entry->node);

	if (tunnel) {
		entry->outer = tunnel->address;
		entry->mtu = tunnel_mtu(tunnel);
	}
	entry->node_generation = WEFT_LIVENESS_GENERATION(word);
}
