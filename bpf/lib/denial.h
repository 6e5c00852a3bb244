/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Answers to what a policy denies, by the way that the packet came: in the name of the destination, if
 * the operator wants them, and to the node of who opened a connection in any case.
 */
#pragma once

#include "encap.h"
#include "endpoint.h"
#include "outside.h"
#include "reset.h"

enum answer_way {
	WEFT_ANSWER_TO_ENDPOINT,	/* from-endpoint: back into its namespace */
	WEFT_ANSWER_TO_OVERLAY,		/* from-overlay: to the node that sent it */
	WEFT_ANSWER_TO_HOST,		/* to-endpoint: into the host's stack */
	WEFT_ANSWER_TO_NODE,		/* from-overlay: as TO_OVERLAY, and there it ends */
};

/* skb->mark of an answer for the host's stack, which passes from-endpoint on its way there. No
 * endpoint can send it: a mark doesn't cross into another namespace. */
#define WEFT_MARK_ANSWER 0x77656674

struct denial_budget {
	__u64 second;
	__u64 answers;
};

/* One element. Written by the programs. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct denial_budget);
	__uint(max_entries, 1);
} weft_denial_budget SEC(".maps");

/* Whether one more answer fits into this second. */
static __always_inline bool denial_is_affordable(void)
{
	__u64 second = bpf_ktime_get_coarse_ns() / WEFT_NANOSECONDS_PER_SECOND;
	__u32 index = 0;
	struct denial_budget *budget = bpf_map_lookup_elem(&weft_denial_budget, &index);

	if (!budget)
		return false;
	if (budget->second != second) {
		budget->second = second;
		budget->answers = 0;
	}
	return budget->answers++ < WEFT_DENIALS_PER_SECOND_MAX;
}

/* RFC 1122 §3.2.2, RFC 4443 §2.4: no error about an error, to a group or from one; RFC 9293: no RST
 * in answer to a RST. Later fragments aren't answered at all (conclude). */
static __always_inline bool may_be_answered(const struct __sk_buff *skb,
					    const struct packet *packet)
{
	return !packet->is_error && !(packet->tcp_flags & WEFT_TCP_RST) &&
	       skb->pkt_type != WEFT_PACKET_BROADCAST && skb->pkt_type != WEFT_PACKET_MULTICAST &&
	       !address_is_multicast(&packet->destination) &&
	       !address_is_multicast(&packet->source) && !address_is_zero(&packet->source);
}

/* Sends an answer to the node that the packet came from, which lets it pass as one of the endpoint
 * that its sender addressed. */
WEFT_SEPARATE int answer_to_overlay(struct __sk_buff *skb, struct packet *packet, __u32 marks)
{
	const struct weft_endpoint *endpoint;
	struct origin origin = {};

	if (!packet)
		return TC_ACT_SHOT;
	endpoint = endpoint_find_local(&packet->destination);
	if (!endpoint || decapsulate(skb, &origin) ||
	    encapsulate(skb, &origin.outer, endpoint->identity, marks))
		return drop(skb, packet, WEFT_DROP_ENCAPSULATION_FAILED);
	return bpf_redirect(weft_config.overlay_ifindex, 0);
}

/*
 * Tells the sender of a denied packet, if it may be told.
 *
 * A packet that never left the machine may wait for a device to fill its checksum in, and then its
 * answer does, too, although it has one: it goes back to where nobody looks at it.
 */
WEFT_SEPARATE int answer_denial(struct __sk_buff *skb, struct packet *packet, __u32 way)
{
	int reason;

	if (!packet || !may_be_answered(skb, packet))
		return TC_ACT_SHOT;
	if (!denial_is_affordable()) {
		count(WEFT_COUNTER_DENIALS_UNANSWERED, packet->length);
		return TC_ACT_SHOT;
	}
	count(way == WEFT_ANSWER_TO_NODE ? WEFT_COUNTER_DENIALS_SIGNALLED
					 : WEFT_COUNTER_DENIALS_ANSWERED,
	      packet->length);
	reason = packet->protocol == IPPROTO_TCP
			 ? make_tcp_reset(skb, packet)
			 : make_icmp_error(skb, packet,
					   packet->ipv6 ? WEFT_ICMPV6_UNREACHABLE
							: WEFT_ICMP_UNREACHABLE,
					   packet->ipv6 ? WEFT_ICMPV6_UNREACHABLE_PROHIBITED
							: WEFT_ICMP_UNREACHABLE_PROHIBITED,
					   0);
	if (way == WEFT_ANSWER_TO_ENDPOINT)
		return answer_send(skb, packet, reason);
	if (reason || answer_turn_frame(skb))
		return drop(skb, packet, WEFT_DROP_REWRITE_FAILED);
	if (way == WEFT_ANSWER_TO_NODE)
		return answer_to_overlay(skb, packet, WEFT_OVERLAY_MARKS);
	if (way == WEFT_ANSWER_TO_OVERLAY)
		return answer_to_overlay(skb, packet, packet->protocol == IPPROTO_TCP
							      ? WEFT_OVERLAY_DENIED
							      : 0);
	skb->mark = WEFT_MARK_ANSWER;
	return bpf_redirect(skb->ifindex, BPF_F_INGRESS);
}
