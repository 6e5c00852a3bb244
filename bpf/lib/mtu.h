/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Packets that don't fit through the overlay: too big, and the MSS that avoids it. */
#pragma once

#include "reset.h"

enum {
	WEFT_TCP_OPTIONS_MAX = 20,	/* options looked through for the MSS */
	WEFT_TCP_OPTION_END = 0,
	WEFT_TCP_OPTION_NOP = 1,
	WEFT_TCP_OPTION_MSS = 2,
	WEFT_TCP_CHECKSUM_OFFSET = 16,
};

/* Whether a packet, or a segment it will be cut into, is longer than `mtu`. */
static __always_inline bool packet_exceeds(struct __sk_buff *skb, const struct packet *packet,
					   __u32 mtu)
{
	__u32 headers = packet->transport - ETH_HLEN + sizeof(struct udphdr);
	__u8 offset;

	if (skb->len - ETH_HLEN <= mtu)
		return false;
	if (!skb->gso_size)
		return true;
	if (packet->protocol == IPPROTO_TCP) {
		if (bpf_skb_load_bytes(skb, packet->transport + 12, &offset, 1))
			return true;
		headers = packet->transport - ETH_HLEN + (offset >> 4) * 4;
	}
	return headers + skb->gso_size > mtu;
}

/* Tells the sender of a packet what would fit. */
static __always_inline int answer_too_big(struct __sk_buff *skb, struct packet *packet)
{
	__be32 mtu = bpf_htonl(packet->path_mtu);

	if (packet->is_error)
		return TC_ACT_SHOT;	/* RFC 1122 §3.2.2: no error about an error */
	count(WEFT_COUNTER_TOO_BIG_ANSWERED, packet->length);
	return answer_send(skb, packet,
			   make_icmp_error(skb, packet,
					   packet->ipv6 ? WEFT_ICMPV6_TOO_BIG
							: WEFT_ICMP_UNREACHABLE,
					   packet->ipv6 ? 0 : WEFT_ICMP_UNREACHABLE_TOO_BIG,
					   mtu));
}

struct mss_search {
	struct __sk_buff *skb;
	__u32 offset;
	__u32 end;
	__u32 found;	/* offset of the option's value, 0 if there is none */
};

/* Loop body: one option. */
static long search_option(__u32 index __attribute__((unused)), struct mss_search *search)
{
	__u8 option[2];

	if (search->offset + 4 > search->end ||
	    bpf_skb_load_bytes(search->skb, search->offset, option, sizeof(option)))
		return 1;
	if (option[0] == WEFT_TCP_OPTION_NOP) {
		search->offset++;
		return 0;
	}
	if (option[0] == WEFT_TCP_OPTION_MSS && option[1] == 4) {
		search->found = search->offset + 2;
		return 1;
	}
	if (option[0] == WEFT_TCP_OPTION_END || option[1] < 2)
		return 1;
	search->offset += option[1];
	return 0;
}

/* Lowers the MSS of a SYN or SYN-ACK to what the path carries. Returns 0 or a drop reason. */
WEFT_SEPARATE int clamp_mss(struct __sk_buff *skb, struct packet *packet, __u32 mtu)
{
	struct mss_search search = { .skb = skb };
	__be16 mss, limit, before, after;
	__u8 length;

	if (!packet)
		return WEFT_DROP_REWRITE_FAILED;
	limit = bpf_htons(mtu - sizeof(struct tcphdr) -
			  (packet->ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr)));
	search.offset = packet->transport + sizeof(struct tcphdr);
	if (bpf_skb_load_bytes(skb, packet->transport + 12, &length, 1))
		return WEFT_DROP_REWRITE_FAILED;
	search.end = packet->transport + (length >> 4) * 4;
	bpf_loop(WEFT_TCP_OPTIONS_MAX, search_option, &search, 0);
	if (!search.found)
		return 0;
	if (bpf_skb_load_bytes(skb, search.found, &mss, sizeof(mss)))
		return WEFT_DROP_REWRITE_FAILED;
	if (bpf_ntohs(mss) <= bpf_ntohs(limit))
		return 0;
	/* The checksum sees 16-bit words: an option at an odd offset straddles two, swapped. */
	before = mss;
	after = limit;
	if ((search.found - packet->transport) & 1) {
		before = __builtin_bswap16(mss);
		after = __builtin_bswap16(limit);
	}
	if (bpf_l4_csum_replace(skb, packet->transport + WEFT_TCP_CHECKSUM_OFFSET, before,
				after, sizeof(after)) ||
	    bpf_skb_store_bytes(skb, search.found, &limit, sizeof(limit), 0))
		return WEFT_DROP_REWRITE_FAILED;
	count(WEFT_COUNTER_MSS_CLAMPED, packet->length);
	return 0;
}
