/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Fragments: only the first one of a packet names ports. It is remembered, and the later ones go the
 * way of its connection. Those that come before it, or long after, are dropped: their ports can't be
 * known.
 */
#pragma once

#include "counter.h"
#include "parse.h"

#define WEFT_FRAGMENT_LIFE_NANOSECONDS 30000000000ULL	/* as long as Linux waits for the others */

struct fragment_key {
	struct weft_address source;
	struct weft_address destination;	/* as in the packet: a service's, not its backend's */
	__be32 id;
	__u8 protocol;	/* IPv4; 0: of IPv6 only the first fragment knows it */
	__u8 pad0;
	__u16 pad1;
};

WEFT_ASSERT_SIZE(struct fragment_key, 40);

/* What a first fragment says of the later ones. */
struct first_fragment {
	__u64 seen;		/* nanoseconds of CLOCK_MONOTONIC, to the tick */
	__be16 source_port;
	__be16 destination_port;
	__u16 headers;		/* bytes of headers in it that no other may overwrite */
	__u8 protocol;
	__u8 icmp_type;
};

WEFT_ASSERT_SIZE(struct first_fragment, 16);

/* Written by the programs, after the sender was checked. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, struct fragment_key);
	__type(value, struct first_fragment);
	__uint(max_entries, 8192);
} weft_fragments SEC(".maps");

/* Bytes of the transport header; 0 where there is none that is read. */
static __always_inline __u32 transport_header_bytes(struct __sk_buff *skb,
						    const struct packet *packet)
{
	__u8 offset;

	switch (packet->protocol) {
	case IPPROTO_TCP:
		if (bpf_skb_load_bytes(skb, packet->transport + 12, &offset, sizeof(offset)))
			return sizeof(struct tcphdr);
		return (offset >> 4) * 4;
	case IPPROTO_UDP:
		return sizeof(struct udphdr);
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return sizeof(struct icmp_header);
	case IPPROTO_SCTP:
		return 12;
	default:
		return 0;
	}
}

/*
 * Gives a later fragment the ports of the first one, which is remembered when it comes; both with
 * their addresses as they came. Returns 0 or a drop reason.
 *
 * RFC 1858, RFC 7112: headers that a first fragment doesn't hold as a whole, or that a later one
 * writes over, are an attempt to get past whoever reads the first one only.
 */
WEFT_SEPARATE int follow_fragment(struct __sk_buff *skb, struct packet *packet)
{
	__u64 now = bpf_ktime_get_coarse_ns();
	struct first_fragment *known;
	struct fragment_key key = {};
	struct first_fragment first = {};
	__u32 end;

	if (!packet)
		return WEFT_DROP_FRAGMENT;
	key.source = packet->source;
	key.destination = packet->destination;
	key.id = packet->fragment_id;
	key.protocol = packet->ipv6 ? 0 : packet->protocol;
	if (packet_is_later_fragment(packet)) {
		known = bpf_map_lookup_elem(&weft_fragments, &key);
		if (!known || known->seen + WEFT_FRAGMENT_LIFE_NANOSECONDS < now)
			return WEFT_DROP_FRAGMENT;
		if ((packet->fragment & WEFT_FRAGMENT_OFFSET) * 8 < known->headers)
			return WEFT_DROP_MALFORMED;
		packet->protocol = known->protocol;
		packet->icmp_type = known->icmp_type;
		packet->source_port = known->source_port;
		packet->destination_port = known->destination_port;
		packet->has_ports = packet->protocol == IPPROTO_TCP ||
				    packet->protocol == IPPROTO_UDP;
		return 0;
	}
	end = packet->transport + transport_header_bytes(skb, packet);
	if (end > ETH_HLEN + packet->length)
		return WEFT_DROP_MALFORMED;
	/* Errors are cut so that they needn't be fragmented: nobody may follow one. */
	if (packet->is_error)
		return 0;
	first.seen = now;
	first.source_port = packet->source_port;
	first.destination_port = packet->destination_port;
	first.headers = end - packet->fragment_start;
	first.protocol = packet->protocol;
	first.icmp_type = packet->icmp_type;
	/* Without room the later ones are dropped. */
	bpf_map_update_elem(&weft_fragments, &key, &first, BPF_ANY);
	return 0;
}
