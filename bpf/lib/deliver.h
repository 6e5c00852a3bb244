/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A packet's last steps: into a local endpoint's namespace, or into the overlay. */
#pragma once

#include "connection.h"
#include "denial.h"
#include "drop.h"
#include "encap.h"
#include "endpoint.h"
#include "mtu.h"

/*
 * A packet's fate travels as one number: a TC action, or a drop reason's negative, with which every
 * program ends in conclude().
 */
static __always_inline int conclude(struct __sk_buff *skb, struct packet *packet, int fate,
				    enum answer_way way)
{
	if (fate >= 0)
		return fate;
	drop(skb, packet, -fate);
	/* RFC 1122 §3.2.2: about a packet only its first fragment is answered. */
	if (packet_is_later_fragment(packet))
		return TC_ACT_SHOT;
	/* These senders are told. */
	switch (-fate) {
	case WEFT_DROP_TOO_BIG:
		return answer_too_big(skb, packet);
	case WEFT_DROP_NO_BACKEND:
	case WEFT_DROP_PEER_DEAD:
		return answer_refusal(skb, packet);
	case WEFT_DROP_POLICY_DENIED:
		if (weft_config.denied_answer == WEFT_DENIED_REJECT)
			return answer_denial(skb, packet, way);
		__attribute__((fallthrough));
	case WEFT_DROP_UNKNOWN_IDENTITY:
		/* Else the opener's node would take silence for the backend's. */
		if (way == WEFT_ANSWER_TO_OVERLAY && packet_opens_tcp(packet))
			return answer_denial(skb, packet, WEFT_ANSWER_TO_NODE);
		return TC_ACT_SHOT;
	default:
		return TC_ACT_SHOT;
	}
}

/* Source of every frame to an endpoint: locally administered, "weft" at the end. */
#define WEFT_GATEWAY_MAC { 0x02, 0x00, 0x77, 0x65, 0x66, 0x74 }

/* One hop further. Returns 0 or a drop reason. */
static __always_inline int decrement_hop_limit(struct __sk_buff *skb, struct packet *packet)
{
	struct cursor cursor = cursor_at(skb, ETH_HLEN);

	if (packet->hop_limit <= 1)
		return WEFT_DROP_TTL_EXCEEDED;
	if (packet->ipv6) {
		struct ipv6hdr *ip = cursor_take(&cursor, sizeof(*ip));

		if (!ip)
			return WEFT_DROP_REWRITE_FAILED;
		ip->hop_limit--;
	} else {
		struct iphdr *ip = cursor_take(&cursor, sizeof(*ip));
		__u32 sum;

		if (!ip)
			return WEFT_DROP_REWRITE_FAILED;
		ip->ttl--;
		/* RFC 1624: the word with the TTL shrank by 0x0100, so the checksum grows by it. */
		sum = (__u32)ip->check + bpf_htons(0x0100);
		ip->check = sum + (sum >= 0xffff);
	}
	return 0;
}

/* Returns the packet's fate. */
static __always_inline int deliver(struct __sk_buff *skb, struct packet *packet,
				   const struct weft_endpoint *endpoint)
{
	struct cursor cursor;
	struct ethhdr *frame;
	int reason;

	if (endpoint->flags & WEFT_ENDPOINT_ISOLATED)
		return -WEFT_DROP_ISOLATED;
	reason = decrement_hop_limit(skb, packet);
	if (reason)
		return -reason;
	cursor = cursor_at(skb, 0);
	frame = cursor_take(&cursor, sizeof(*frame));
	if (!frame)
		return -WEFT_DROP_REWRITE_FAILED;
	__builtin_memcpy(frame->h_dest, &endpoint->mac_low, 4);
	__builtin_memcpy(frame->h_dest + 4, &endpoint->mac_high, 2);
	__builtin_memcpy(frame->h_source, (__u8[])WEFT_GATEWAY_MAC, ETH_ALEN);
	/* Frames out of the overlay are for another host's address; the stack would drop them. */
	if (skb->pkt_type != WEFT_PACKET_HOST)
		bpf_skb_change_type(skb, WEFT_PACKET_HOST);
	return bpf_redirect_peer(endpoint->ifindex, 0);
}

/* Sends a packet to the remote side of a connection, if it fits. Returns its fate. */
WEFT_SEPARATE int send_to_overlay(struct __sk_buff *skb, struct packet *packet,
				  const struct weft_connection *entry, __u32 identity)
{
	int reason;

	if (!packet || !entry)
		return -WEFT_DROP_REWRITE_FAILED;
	reason = decrement_hop_limit(skb, packet);
	if (!reason && packet->tcp_flags & WEFT_TCP_SYN)
		reason = clamp_mss(skb, packet, entry->mtu);
	if (reason)
		return -reason;
	if (encapsulate(skb, &entry->outer, identity, 0))
		return -WEFT_DROP_ENCAPSULATION_FAILED;
	return bpf_redirect(weft_config.overlay_ifindex, 0);
}
