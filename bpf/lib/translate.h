/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Rewriting addresses and ports of a packet, checksums included. */
#pragma once

#include <stddef.h>

#include "drop.h"

struct rewrite {
	struct weft_address from;
	struct weft_address to;
	__be16 from_port;
	__be16 to_port;
	__u32 is_source;
};

static __always_inline __u32 checksum_offset(__u8 protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
		return offsetof(struct tcphdr, check);
	case IPPROTO_UDP:
		return offsetof(struct udphdr, check);
	case IPPROTO_ICMPV6:
		return offsetof(struct icmp_header, checksum);
	default:
		return 0;
	}
}

/* Stores an address into an IP header of the packet at `offset`, IPv4's checksum included. */
static __always_inline long store_address(struct __sk_buff *skb, struct packet *packet, __u32 offset,
					  const struct rewrite *rewrite, __s64 difference)
{

	if (packet->ipv6)
		return bpf_skb_store_bytes(
			skb,
			offset + (rewrite->is_source ? offsetof(struct ipv6hdr, saddr)
						     : offsetof(struct ipv6hdr, daddr)),
			&rewrite->to, sizeof(rewrite->to), 0);
	return bpf_l3_csum_replace(skb, offset + offsetof(struct iphdr, check), 0, difference, 0) ?:
	       bpf_skb_store_bytes(
		       skb,
		       offset + (rewrite->is_source ? offsetof(struct iphdr, saddr)
						    : offsetof(struct iphdr, daddr)),
		       &rewrite->to.word3, sizeof(rewrite->to.word3), 0);
}

/* Mapped addresses differ as plain ones do, so one sum serves both families. */
static __always_inline __s64 address_difference(struct rewrite *rewrite)
{
	return bpf_csum_diff(&rewrite->from.word0, sizeof(rewrite->from), &rewrite->to.word0,
			     sizeof(rewrite->to), 0);
}

/* Rewrites source or destination of the packet; of a later fragment the address only. Returns 0 or a drop reason. */
WEFT_SEPARATE int rewrite_packet(struct __sk_buff *skb, struct packet *packet,
				 struct rewrite *rewrite)
{
	__s64 difference;
	__u32 check;
	__u64 flags;

	if (!packet || !rewrite)
		return WEFT_DROP_REWRITE_FAILED;
	check = packet_is_later_fragment(packet) ? 0 : checksum_offset(packet->protocol);
	difference = address_difference(rewrite);
	/* A UDP checksum of zero stays: there is none. */
	flags = packet->protocol == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0;
	if (check && bpf_l4_csum_replace(skb, packet->transport + check, 0, difference,
					 BPF_F_PSEUDO_HDR | flags))
		return WEFT_DROP_REWRITE_FAILED;
	if (check && packet->has_ports && rewrite->from_port != rewrite->to_port &&
	    (bpf_l4_csum_replace(skb, packet->transport + check, rewrite->from_port,
				 rewrite->to_port, flags | sizeof(rewrite->to_port)) ||
	     bpf_skb_store_bytes(skb, packet->transport + (rewrite->is_source ? 0 : 2),
				 &rewrite->to_port, sizeof(rewrite->to_port), 0)))
		return WEFT_DROP_REWRITE_FAILED;
	return store_address(skb, packet, ETH_HLEN, rewrite, difference) ? WEFT_DROP_REWRITE_FAILED : 0;
}
